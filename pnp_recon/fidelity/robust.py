"""Huber's loss: quadratic for small residuals, linear for outliers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity


@dataclass(frozen=True)
class Huber(Fidelity):
    """Σ h((A x − y)ᵢ), h(r) = r²/2 for |r| ≤ δ and δ|r| − δ²/2 beyond (Huber 1964, eq. 2.7).

    Attributes:
        delta: δ > 0, in the units of the data: residuals beyond it pull no harder.
    """

    delta: float
    name: ClassVar[str] = "huber"

    def check(self) -> None:
        """Refuse a δ that is not positive.

        Raises:
            InputError: what was found.
        """
        super().check()
        if not 0 < self.delta < math.inf:
            raise InputError(f"delta is {self.delta}; expected a finite number > 0")

    def loss(self, v: Tensor) -> Tensor:
        r = (v - self.y).abs()
        small = r.clamp(max=self.delta)
        return (small * (r - 0.5 * small)).flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        return (v - self.y).clamp(-self.delta, self.delta)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        return v - step * ((v - self.y) / (1 + step)).clamp(-self.delta, self.delta)

    @property
    def loss_lipschitz(self) -> float:
        return 1.0

    @property
    def data_sensitivity(self) -> float:
        """‖Aᵀ‖, as ∇φ is a 1-Lipschitz function of Ax − y."""
        return self.A.norm_bound if self.A.has_norm_bound else math.inf

    @property
    def least(self) -> float:
        return 0.0
