"""Data fidelity f(x) = ½‖A x − y‖²: value, gradient, proximal map, smoothness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator


@dataclass(frozen=True)
class LeastSquares:
    """½‖A x − y‖² for measurements y (B, C, h, w) of pictures x (B, C, H, W)."""

    A: LinearOperator
    y: Tensor

    def value(self, x: Tensor) -> Tensor:
        """f(x) for each picture, (B,)."""
        return 0.5 * (self.A.A(x) - self.y).square().flatten(1).sum(1)

    def gradient(self, x: Tensor) -> Tensor:
        """Aᵀ(A x − y)."""
        return self.A.A_adjoint(self.A.A(x) - self.y)

    @property
    def lipschitz(self) -> float:
        """Proven upper bound of the gradient's Lipschitz constant, ‖A‖²."""
        return self.A.norm_bound**2

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
