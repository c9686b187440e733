"""Least squares, plain and weighted: ½‖A x − y‖² and ½ Σ wᵢ((A x)ᵢ − yᵢ)²."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.norms import NormBound, collatz_wielandt, round_up, tightest
from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity


@dataclass(frozen=True)
class LeastSquares(Fidelity):
    """½‖A x − y‖²: Gaussian noise of one level."""

    name: ClassVar[str] = "least-squares"

    def loss(self, v: Tensor) -> Tensor:
        return 0.5 * (v - self.y).square().flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        return v - self.y

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        return (v + step * self.y) / (1 + step)

    @property
    def loss_lipschitz(self) -> float:
        return 1.0

    @property
    def loss_strong_convexity(self) -> float:
        return 1.0

    @property
    def exact_prox(self) -> bool:
        return self.A.prox_closed_form

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error.

        In closed form where the operator has one, otherwise by conjugate gradients from
        `start` until the error bound is at most `tol`.
        """
        if self.A.prox_closed_form:
            x = self.A.prox_l2(z, self.y, gamma)
            return x, torch.zeros(z.shape[0], dtype=z.dtype, device=z.device)
        return self.A.prox_l2_with_error(z, self.y, gamma, x0=start, tol=tol)


@dataclass(frozen=True)
class WeightedLeastSquares(Fidelity):
    """½ Σ wᵢ((A x)ᵢ − yᵢ)²: Gaussian noise whose variance 1/wᵢ differs between the data.

    For transmission tomography wᵢ is proportional to the photons counted in detector i
    (Sauer & Bouman 1993, eq. 9): noisy rays count less.

    Attributes:
        weights: ≥ 0, (B, *measurement_shape), or with 1 for B: the same for every picture.
    """

    weights: Tensor
    name: ClassVar[str] = "weighted-least-squares"

    def check(self) -> None:
        """Refuse weights that are negative, not finite, or not of the measurement's shape.

        Raises:
            InputError: what was found.
        """
        super().check()
        shape = tuple(self.weights.shape)
        if shape[1:] != tuple(self.y.shape[1:]) or shape[:1] not in ((1,), self.y.shape[:1]):
            raise InputError(
                f"the weights have shape {shape}; expected that of the measurement, "
                f"{tuple(self.y.shape)}, or 1 for the batch"
            )
        if not bool((torch.isfinite(self.weights) & (self.weights >= 0)).all()):
            raise InputError("the weights are not all finite and >= 0; correct the noise model")

    def loss(self, v: Tensor) -> Tensor:
        return 0.5 * (self.weights * (v - self.y).square()).flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        return self.weights * (v - self.y)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        rate = step * self.weights
        return (v + rate * self.y) / (1 + rate)

    @property
    def loss_lipschitz(self) -> float:
        return float(self.weights.max())

    @property
    def loss_strong_convexity(self) -> float:
        return float(self.weights.min())

    @property
    def lipschitz(self) -> float:
        """‖W^½A‖², by Collatz–Wielandt where A allows it; at most max w · ‖A‖²."""
        return round_up(self._scaled.norm_bound**2)

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error.

        Conjugate gradients on the operator W^½A with the data W^½y, see
        `LinearOperator.prox_l2_with_error`.
        """
        scaled = self._scaled
        wide = torch.promote_types(self.y.dtype, self.A.certificate_dtype)
        data = scaled.root.to(wide) * self.y.to(wide)
        return scaled.prox_l2_with_error(z, data, gamma, x0=start, tol=tol)

    @cached_property
    def _scaled(self) -> _RowScaled:
        return _RowScaled(self.A, self.weights.to(self.A.certificate_dtype).sqrt())


class _RowScaled(LinearOperator):
    """diag(root)·A; `root` may differ between the pictures of a batch."""

    root: Tensor

    def __init__(self, operator: LinearOperator, root: Tensor) -> None:
        super().__init__(
            f"weighted {operator.name}",
            operator.image_shape,
            operator.measurement_shape,
            nonnegative=operator.nonnegative,
        )
        self.operator = operator
        self.adjoint_matched = operator.adjoint_matched
        self.certificate_dtype = operator.certificate_dtype
        self.register_buffer("root", root)

    def _forward_map(self, x: Tensor) -> Tensor:
        return self.root.to(x.dtype) * self.operator.A(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self.operator.A_adjoint(self.root.to(y.dtype) * y)

    @property
    def has_norm_bound(self) -> bool:
        return self.operator.has_norm_bound

    def _prove_norm(self) -> NormBound:
        peak = round_up(float(self.root.max()))
        product = NormBound(
            round_up(peak * self.operator.norm_bound),
            0.0,
            "largest weight's root times the operator's bound",
            "norm of a product",
        )
        # The bracket needs rounding errors entry by entry. An operator that kept the enclosure of
        # plain sums is one; through another's (FFT) the weights cannot be passed.
        plain = type(self.operator).normal_enclosure is LinearOperator.normal_enclosure
        if not (plain and self.operator.nonnegative and self.operator.has_norm_bound):
            return product
        return tightest(product, collatz_wielandt(self))

    def certificate_start(self) -> Tensor:
        """All ones, one for each set of weights."""
        ones = self.operator.certificate_start()
        return ones.expand(self.root.shape[0], *ones.shape[1:]).to(self.root.device)
