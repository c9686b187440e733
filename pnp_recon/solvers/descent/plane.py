"""The points of a descent whose pictures explain the total of their data: a plane.

Where the picture is z itself it is ⟨Aᵀ1, z⟩ = Σ y. Where it is z + ∇f(z)/λ, f quadratic, it is
⟨(I + ∇²f/λ)Aᵀ1, z⟩ = Σ y − ⟨Aᵀ1, ∇f(0)⟩/λ, a plane as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal.total import CHANCE, BoxTotal, unit


@dataclass(frozen=True, eq=False)
class Plane:
    """{z: rows·z = values}, of one dimension less for each row.

    Attributes:
        rows: (B, K, N), float64, orthonormal.
        values: (B, K, 1).
        factor: (B, K, K); its transpose takes them to the rows that the total is about.
    """

    rows: Tensor
    values: Tensor
    factor: Tensor

    @classmethod
    def of(cls, kept: BoxTotal, fidelity: Fidelity, flat: Fidelity, share: float) -> Self:
        """The plane of z for pictures z + share·∇f(z), share ≥ 0.

        Args:
            fidelity: f, quadratic.
            flat: f without its linear part.
        """
        like = fidelity.y.new_zeros(len(fidelity.y), *fidelity.A.image_shape, dtype=torch.float64)
        normals = kept.rows()
        values = kept.total.to(like).expand(len(like), -1)
        rows = []
        offset = share * fidelity.gradient(like)
        for k, normal in enumerate(normals):
            whole = normal.expand_as(like)
            rows.append((whole + share * flat.gradient(whole)).flatten(1))
            lack = (whole * offset).flatten(1).sum(1)
            values = values - lack[:, None] * torch.eye(len(normals)).to(values)[k]
        basis, factor = torch.linalg.qr(torch.stack(rows, 2))
        return cls(basis.mT, torch.linalg.solve(factor.mT, values[..., None]), factor)

    def tangent(self, g: Tensor) -> Tensor:
        """The part of a gradient along the plane, in the precision of g."""
        flat = g.double().flatten(1)[..., None]
        return (flat - self.rows.mT @ (self.rows @ flat)).view_as(g).to(g)

    def pictures(self, like: Tensor) -> list[Tensor]:
        """The rows, each as pictures of the shape and precision of `like`."""
        return [row.view_as(like).to(like) for row in self.rows.unbind(1)]

    def reached(self, z: Tensor, moves: list[Tensor]) -> Tensor:
        """The point of the plane that z comes to by the moves, one for each row."""
        flat = z.double().flatten(1)[..., None]
        ways = torch.stack([move.double().flatten(1) for move in moves], 2)
        far = torch.linalg.solve(self.rows @ ways, self.values - self.rows @ flat)
        return self.onto((flat + ways @ far).view_as(z).to(z))

    def rounding(self, z: Tensor) -> Tensor:
        """By how much rounding the entries of z may move the total of its picture: (B, K)."""
        weights = (self.factor.mT @ self.rows).abs()
        size = (weights * z.double().abs().flatten(1)[:, None]).sum(2)
        share = CHANCE * (3 * z[0].numel()) ** 0.5 * unit(torch.float64)
        return (unit(z.dtype) + share) * size

    def onto(self, z: Tensor) -> Tensor:
        """The nearest point, in the precision of z."""
        flat = z.double().flatten(1)[..., None]
        return (flat + self.rows.mT @ (self.values - self.rows @ flat)).view_as(z).to(z)
