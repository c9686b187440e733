"""One problem y = A x + noise, as solvers, commands and the benchmark hand it on.

Knows no prior and no solver, and not how y came about: measured (`cli`) or drawn (`simulate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.own import maker
from pnp_recon.errors import InputError
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.fidelity import Fidelity, LeastSquares, Ridged
from pnp_recon.problems.checks import (
    check_finite,
    check_maps,
    check_norm,
    check_range,
    checked_tensor,
    looked_at,
)
from pnp_recon.problems.numbers import checked_number

# Of the range of pictures: a ridge about it costs them least.
MIDDLE = 0.5


@dataclass(frozen=True, eq=False)
class Problem:
    """Measurements, the operator that they went through, and what else is known.

    Attributes:
        A: the forward operator, of pictures (B, C, H, W) in [0, 1].
        y: the measurements (B, *A.measurement_shape).
        noise_level: standard deviation of the noise in y, in the units of y; None: not known.
        truth: the true picture (B, C, H, W) in [0, 1], where there is one.
        start: where an iteration is to start, (B, C, H, W); None: that is left to the solver.
        fidelity: how misfit is measured, made of the same y and A; None: by least squares. The
            data then count as scaled to noise of level 1, whatever `noise_level` says.
        ridge: weight of a ridge about the middle of the range of pictures, weight/2·‖x − ½‖², that
            is added to the fidelity, in its units; None: none. See `fidelity.Ridged`.

    Raises:
        InputError: anything that cannot be right, in words: see `check`.
    """

    A: LinearOperator
    y: Tensor
    noise_level: float | None = None
    truth: Tensor | None = None
    start: Tensor | None = None
    fidelity: Fidelity | None = None
    ridge: float | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuses what no solver could make sense of.

        y and start are finite tensors in float32 or float64, the same for both, on one device, of
        shapes that fit A, with at least one picture; so is the truth, in either precision; the
        noise level is finite and ≥ 0.

        Raises:
            InputError: saying what was found, what is expected and what to do.
        """
        if not isinstance(self.A, LinearOperator):
            raise InputError(
                f"A is a {type(self.A).__name__}; expected a LinearOperator: one of `operators`, "
                f"or {maker(self.A)}"
            )
        y = checked_tensor("y", self.y, None, self.A.measurement_shape)
        check_finite("y", looked_at(self.A, y))
        if self.start is not None:
            start = checked_tensor("start", self.start, len(y), self.A.image_shape)
            if (start.dtype, start.device) != (y.dtype, y.device):
                raise InputError(
                    f"start is {start.dtype} on {start.device}, y is {y.dtype} on {y.device}; "
                    "convert one of them, as start.to(y) does"
                )
            check_finite("start", start)
        if self.truth is not None:
            truth = checked_tensor("the reference", self.truth, len(y), self.A.image_shape)
            if truth.device != y.device:
                raise InputError(
                    f"the reference is on {truth.device}, y is on {y.device}; move one of them, as "
                    "reference.to(y.device) does"
                )
            check_finite("the reference", truth)
        if self.noise_level is not None:
            checked_number("noise_level", self.noise_level, least=0.0)
        if not (self.fidelity is None or isinstance(self.fidelity, Fidelity)):
            raise InputError(
                f"fidelity is a {type(self.fidelity).__name__}; expected one of "
                "`pnp_recon.fidelity`, made of the same y and A"
            )
        if self.fidelity is not None:
            self._check_fidelity(self.fidelity)

    def _check_fidelity(self, fidelity: Fidelity) -> None:
        """What ran would be about its y and A, the report about ours."""
        other, y = fidelity.y, self.y
        alike = (other.dtype, other.device) == (y.dtype, y.device)
        same = other is y or (alike and torch.equal(other, y))
        if not same or fidelity.A is not self.A:
            what = f"operator '{fidelity.A.name}'" if same else "other data"
            raise InputError(
                f"the fidelity is about {what}, not about the y and A that were given; make it of "
                "the same two"
            )

    def check_operator(self) -> None:
        """Applies an operator of one's own once, and refuses a norm that arithmetic cannot hold.

        Raises:
            OperatorError, InputError: see `checks.check_maps` and `checks.check_norm`.
        """
        check_maps(self.A, self.y)
        check_norm(self.A, self.y)

    def check_range(self, low: float = 0.0, high: float = 1.0) -> None:
        """Refuses least-squares data far beyond those of pictures in [low, high].

        Data with a fidelity of their own are in units of their own.

        Raises:
            InputError: saying how far they reach.
        """
        if self.fidelity is None:
            check_range(self.A, looked_at(self.A, self.y), low, high, self.noise_level)

    @cached_property
    def data_term(self) -> Fidelity:
        """The fidelity that was given, or least squares; with the ridge."""
        plain = LeastSquares(self.A, self.y) if self.fidelity is None else self.fidelity
        return plain if self.ridge is None else Ridged(plain, self.ridge, MIDDLE)

    @property
    def scale(self) -> float:
        """√L of the data term where the data are explained, ‖A‖ for least squares; where no bound
        is proven, what power iterations attain of it. Settings rest on it, and no proof.

        `noise() / scale` is what the noise amounts to in the picture where A sees it best.
        """
        return math.sqrt(_positive(self.data_term.usual_lipschitz))

    @cached_property
    def evenness(self) -> float:
        """Noise where data are best, over that of their noisiest tenth, in (0, 1]; 1: all alike.

        For weights that differ, 1/`scale` is the noise of the best data alone, as of rays through
        air: the others may be far from exact where it is next to nothing. Data of no weight do not
        count. Settings rest on it, and no proof.
        """
        if self.fidelity is None or not self.A.has_norm_bound:
            return 1.0
        whitening = torch.as_tensor(self.data_term.whitening)
        seen = whitening[whitening > 0]
        if seen.numel() < 2:
            return 1.0
        tenth = seen.numel() // 10 + 1
        noisiest = float(seen.flatten().kthvalue(tenth).values)
        return min(1.0, noisiest * self.A.norm_bound / self.scale)

    @property
    def smoothness(self) -> float:
        """L of the data term, which steps keep to; `scale`² where no bound is proven."""
        term = self.data_term
        return _positive(term.lipschitz if self.A.has_norm_bound else term.usual_lipschitz)

    def noise(self) -> float:
        """The noise level in the units of y; 1 for a fidelity of one's own.

        What was not given is estimated from y, once (`estimation.noise`).
        """
        if self.fidelity is not None:
            return 1.0
        return self._estimated if self.noise_level is None else self.noise_level

    def first_guess(self) -> Tensor:
        """The start (B, C, H, W) that was given, or the operator's own guess from y."""
        return self.A.initial_guess(self.y) if self.start is None else self.start

    @cached_property
    def _estimated(self) -> float:
        return estimate_noise_level(self.y)


def _positive(constant: float) -> float:
    """The constant, or 1 where it is none to go by."""
    return constant if 0 < constant < math.inf else 1.0
