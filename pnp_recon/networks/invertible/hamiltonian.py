"""Steps of separable fields as invertible blocks: shears that keep the volume, or Ω.

They act on the channels, of vectors (B, d) or at every pixel of features (B, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.guarantees import Guarantee, none
from pnp_recon.networks.finite import NOT_FINITE, all_finite
from pnp_recon.networks.flows.separable import SeparableField, ShearField, SymplecticField
from pnp_recon.networks.flows.splitting import Splitting, SymplecticEuler
from pnp_recon.networks.invertible.base import Invertible


class SplittingBlock(Invertible):
    """One step of a separable field; log|det| = 0.

    Args:
        field: acts on vectors of as many numbers as there are channels.
        h: the step size, of either sign.
        method: symplectic Euler where None.
    """

    def __init__(
        self, field: SeparableField, h: float = 0.5, method: Splitting | None = None
    ) -> None:
        super().__init__()
        self.field, self.h, self.method = field, h, method or SymplecticEuler()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        moved = self.method.step(self.field, x.movedim(1, -1), self.h)
        return moved.movedim(-1, 1), x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return self.method.back(self.field, y.movedim(1, -1), self.h).movedim(-1, 1)

    @torch.no_grad()
    def check(self) -> Guarantee:
        if not all_finite(self):
            return none(NOT_FINITE)
        return self.method.check(self.field.facts(), self.h)


def symplectic(channels: int, kind: str = "vectors", hidden: int = 64) -> SplittingBlock:
    """A layer of a symplectic network, for an even number of channels."""
    return SplittingBlock(SymplecticField(channels, hidden))


def shears(channels: int, kind: str = "vectors", hidden: int = 0) -> SplittingBlock:
    """Two layers, each added to the half that it does not read."""
    return SplittingBlock(ShearField(channels))
