"""The registered manifolds, points of each, and what a law needs to attack a map of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from laws.networks import random_tensor
from pnp_recon.manifolds import Circle, Flat, Manifold, PositiveDefinite, Rotations
from pnp_recon.manifolds.circle import phase
from pnp_recon.manifolds.rotations import product


@dataclass(frozen=True)
class Case:
    """A manifold.

    Attributes:
        space: itself.
        origin: a point (*point).
        tangent: shape of a tangent vector.
        isometry: a map of points that keeps distances.
    """

    space: Manifold
    origin: Tensor
    tangent: tuple[int, ...]
    isometry: Callable[[Tensor], Tensor]

    def vectors(self, *shape: int, seed: int = 0, spread: float = 1.0) -> Tensor:
        """Tangent vectors at the origin (*shape, *tangent)."""
        v = spread * random_tensor(*shape, *self.tangent, seed=seed)
        return (v + v.mT) / 2 if len(self.tangent) == 2 else v

    def points(self, *shape: int, seed: int = 0, spread: float = 0.5) -> Tensor:
        """Points (*shape, *point) around the origin."""
        at = self.origin.expand(*shape, *self.origin.shape)
        return self.space.exp(at, self.vectors(*shape, seed=seed, spread=spread))


def congruence(x: Tensor) -> Tensor:
    """A ↦ BABᵀ with an invertible B that is far from a rotation."""
    b = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, 0.3], [0.4, 0.0, 1.0]], dtype=torch.float64)
    moved = b @ x @ b.mT
    return (moved + moved.mT) / 2


def turned(q: Tensor) -> Tensor:
    """Q ↦ PQR."""
    p = torch.tensor([0.8, 0.6, 0.0, 0.0], dtype=torch.float64).expand_as(q)
    r = torch.tensor([0.28, 0.0, -0.96, 0.0], dtype=torch.float64).expand_as(q)
    return product(product(p, q), r)


ONE = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
CIRCLE = Case(Circle(), phase(torch.tensor(0.4).double()), (), lambda z: z * phase(_angle()))
TENSORS = Case(PositiveDefinite(), torch.eye(3, dtype=torch.float64), (3, 3), congruence)
TURNS = Case(Rotations(), ONE, (3,), turned)
LINE = Case(Flat(), torch.tensor(0.2).double(), (), lambda x: 3.0 - x)
CASES = (CIRCLE, TENSORS, TURNS, LINE)
NAMES = [case.space.name for case in CASES]


def _angle() -> Tensor:
    return torch.tensor(2.9, dtype=torch.float64)


def climbed(
    ratio: Callable[[Tensor], Tensor], start: Tensor, rounds: int = 60, spread: float = 0.3
) -> float:
    """The largest ratio (n,) that random climbing from `start` (n, ...) finds."""
    best, at = ratio(start), start
    for seed in range(rounds):
        tried = at + spread * random_tensor(*at.shape, seed=seed)
        found = ratio(tried)
        better = found > best
        best = torch.where(better, found, best)
        at = torch.where(better[(..., *[None] * (at.ndim - 1))], tried, at)
    return float(best.max())
