"""Directions in which a map was tried, and which of their combinations it stretches most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# Eigenvalues of the Gram matrix of unit directions, below which a combination is only noise.
DEPENDENT = 1e-4


@dataclass(frozen=True)
class Subspace:
    """Unit directions (B, m, N) and the difference quotients (R(z + d) − R(z))/‖d‖ in them."""

    directions: Tensor
    images: Tensor

    @property
    def size(self) -> int:
        return self.directions.shape[1]

    @classmethod
    def of(cls, direction: Tensor, image: Tensor) -> Self:
        """The span of one direction, with its image, (B, N) each."""
        return cls(direction[:, None], image[:, None])

    def joined(self, other: Subspace) -> Subspace:
        """With the directions of `other` after its own."""
        return Subspace(
            torch.cat([self.directions, other.directions], 1),
            torch.cat([self.images, other.images], 1),
        )

    def ranked(self, count: int) -> Subspace:
        """The `count` combinations that R stretches most, if it is linear: Rayleigh and Ritz."""
        gram = (self.directions @ self.directions.mT).double()
        values, vectors = torch.linalg.eigh(gram)
        usable = values > DEPENDENT
        scale = torch.where(usable, values.clamp_min(DEPENDENT).rsqrt(), 0.0)
        whiten = vectors * scale[:, None, :]
        inner = whiten.mT @ (self.images @ self.images.mT).double() @ whiten
        order = torch.linalg.eigh(0.5 * (inner + inner.mT))[1].flip(-1)[..., :count]
        weights = (whiten @ order).mT.to(self.directions)
        found = weights @ self.directions
        length = torch.linalg.vector_norm(found, dim=2, keepdim=True).clamp_min(1e-30)
        return Subspace(found / length, weights @ self.images / length)

    def outside(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """The unit part of (B, N) outside the subspace, and how much of the vector it is (B,)."""
        size = torch.linalg.vector_norm(vector, dim=1).clamp_min(1e-30)
        rest = vector / size[:, None]
        basis = torch.linalg.qr(self.directions.mT)[0]
        for _ in range(2):  # twice is enough (Kahan; Parlett 1998, §6.9)
            rest = rest - (basis @ (basis.mT @ rest[:, :, None]))[:, :, 0]
        left = torch.linalg.vector_norm(rest, dim=1)
        return rest / left.clamp_min(1e-30)[:, None], left
