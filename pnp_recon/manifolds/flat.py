"""ℝⁿ: the manifold whose geodesics are straight, and what others are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.manifolds.base import Manifold
from pnp_recon.solvers.core.theorem import Premise


class Flat(Manifold):
    """Numbers (...), or vectors and matrices with `axes` trailing axes, of the Euclidean metric."""

    name = "ℝⁿ"

    def __init__(self, axes: int = 0) -> None:
        self.point_axes = self.tangent_axes = axes

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        return x + v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        return y - x

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(tuple(range(-self.tangent_axes, 0))) if self.tangent_axes else u * v

    def off(self, x: Tensor) -> Tensor:
        return torch.where(x.isfinite(), 0.0, torch.inf)

    def convexity(self, y: Tensor) -> Premise | str:
        return Premise("ℝⁿ is a Hadamard manifold")
