"""Least squares, plain and weighted: ½‖A x − y‖² and ½ Σ wᵢ((A x)ᵢ − yᵢ)²."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from operators.norms import round_up
from operators.row_scaled import RowScaled
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
    def least(self) -> float:
        return 0.0

    @property
    def data_sensitivity(self) -> float:
        """‖Aᵀ‖: the gradient is Aᵀ(Ax − y)."""
        return self.A.norm_bound if self.A.has_norm_bound else math.inf

    def prox_sensitivity(self, gamma: float) -> float:
        """‖γ(I + γAᵀA)⁻¹Aᵀ‖: the largest γs/(1 + γs²) over the singular values s of A.

        It rises up to s = γ^(−½), where it is √γ/2, and falls from there on.
        """
        peak, low = 1 / math.sqrt(gamma), math.sqrt(self.strong_convexity)
        s = min(max(peak, low), self.data_sensitivity)
        return round_up(gamma * s / (1 + gamma * s * s) * (1 + 1e-12))

    @property
    def exact_prox(self) -> bool:
        return self.A.prox_closed_form

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error.

        In closed form where the operator has one, otherwise by conjugate gradients from
        `start` until the error bound is at most `tol`.
        """
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
    def whitening(self) -> Tensor:
        return self.weights.sqrt()

    @property
    def loss_lipschitz(self) -> float:
        return float(self.weights.max())

    @property
    def loss_strong_convexity(self) -> float:
        return float(self.weights.min())

    @property
    def least(self) -> float:
        return 0.0

    @cached_property
    def lipschitz(self) -> float:
        """‖W^½A‖², W the largest weights of the batch; at most max w · ‖A‖².

        By Collatz–Wielandt where A has entries ≥ 0 and encloses its products.
        """
        largest = self._root.amax(0, keepdim=True)
        return round_up(RowScaled(self.A, largest).norm_bound ** 2)

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and a proven bound (B,) on the error.

        Conjugate gradients on the operator W^½A with the data W^½y, see `RowScaled` and
        `LinearOperator.prox_l2_with_error`.
        """
        wide = torch.promote_types(self.y.dtype, self.A.certificate_dtype)
        data = self._root.to(wide) * self.y.to(wide)
        scaled = RowScaled(self.A, self._root)
        return scaled.prox_l2_with_error(z, data, gamma, x0=start, tol=tol)

    @cached_property
    def _root(self) -> Tensor:
        return self.weights.to(self.A.certificate_dtype).sqrt()
