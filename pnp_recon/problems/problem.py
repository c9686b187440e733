"""One problem y = A x + noise, as solvers, commands and the benchmark hand it on.

Knows no prior and no solver, and not how y came about: measured (`cli`) or drawn (`simulate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.fidelity import Fidelity, LeastSquares, Ridged

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
    """

    A: LinearOperator
    y: Tensor
    noise_level: float | None = None
    truth: Tensor | None = None
    start: Tensor | None = None
    fidelity: Fidelity | None = None
    ridge: float | None = None

    @cached_property
    def data_term(self) -> Fidelity:
        """The fidelity that was given, or least squares; with the ridge."""
        plain = LeastSquares(self.A, self.y) if self.fidelity is None else self.fidelity
        return plain if self.ridge is None else Ridged(plain, self.ridge, MIDDLE)

    @property
    def scale(self) -> float:
        """√L of the data term, ‖A‖ for least squares; 1 where no bound is proven.

        `noise() / scale` is what the noise amounts to in the picture where A sees it best.
        """
        smoothness = self.data_term.lipschitz if self.A.has_norm_bound else 1.0
        return math.sqrt(smoothness) if 0 < smoothness < math.inf else 1.0

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
