"""Distance from cells: what data leave open that say of each number between which two it lay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.fidelity.base import Fidelity


@dataclass(frozen=True)
class CellDistance(Fidelity):
    """weight/2·Σ dist((A x)ᵢ, [yᵢ − hᵢ, yᵢ + hᵢ])²: half the squared distance from a box.

    Convex with a Lipschitz gradient, zero in the box (Bauschke & Combettes 2017, Cor. 12.31).

    Attributes:
        half: h ≥ 0, (B or 1, *measurement_shape), in the units of y.
        weight: > 0.
    """

    half: Tensor
    weight: float
    name: ClassVar[str] = "cell-distance"

    def check(self) -> None:
        """Refuse widths that are negative or of another shape, and a weight that is not positive.

        Raises:
            InputError: what was found.
        """
        super().check()
        shape = tuple(self.half.shape)
        if shape[1:] != tuple(self.y.shape[1:]) or shape[:1] not in ((1,), self.y.shape[:1]):
            raise InputError(
                f"the half widths have shape {shape}; expected that of the measurement, "
                f"{tuple(self.y.shape)}, or 1 for the batch"
            )
        if not bool((torch.isfinite(self.half) & (self.half >= 0)).all()):
            raise InputError("the half widths are not all finite and >= 0")
        if not 0 < self.weight < math.inf:
            raise InputError(f"the weight is {self.weight}; expected a finite number > 0")

    def _outside(self, v: Tensor) -> Tensor:
        """v minus the nearest point of the box."""
        half, offset = self.half.to(v.dtype), v - self.y
        return offset - offset.clamp(-half, half)

    def loss(self, v: Tensor) -> Tensor:
        return 0.5 * self.weight * self._outside(v).square().flatten(1).sum(1)

    def loss_gradient(self, v: Tensor) -> Tensor:
        return self.weight * self._outside(v)

    def loss_prox(self, v: Tensor, step: float | Tensor) -> Tensor:
        rate = step * self.weight
        return v - rate / (1 + rate) * self._outside(v)

    @property
    def loss_lipschitz(self) -> float:
        return self.weight

    @property
    def least(self) -> float:
        return 0.0

    @property
    def exact_prox(self) -> bool:
        """In an orthonormal basis, proven to be one, the proximal map of the loss is that of f."""
        square = math.prod(self.A.image_shape) == math.prod(self.A.measurement_shape)
        # Only what the package constructs has a lower bound; both bounds 1: AᵀA = I.
        return square and self.A.gram_lower_bound >= 1 and self.A.norm_bound <= 1

    def prox(
        self, z: Tensor, gamma: float, start: Tensor | None = None, tol: float | Tensor = 0.0
    ) -> tuple[Tensor, Tensor]:
        """argmin γ f(x) + ½‖x − z‖², and its error (B,), a proven bound where it is iterated.

        In closed form where A is orthonormal, computed in float64: the error is then that of the
        result's own rounding. Otherwise as `Fidelity.prox`.
        """
        if not self.exact_prox:
            return super().prox(z, gamma, start=start, tol=tol)
        exact = self.A.A_adjoint(self.loss_prox(self.A.A(z.double()), gamma))
        found = exact.to(z.dtype)
        return found, (exact - found).flatten(1).norm(dim=1).to(z.dtype)
