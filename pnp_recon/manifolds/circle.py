"""S¹: phases, as complex numbers of modulus 1.

No function but a constant is convex on the whole circle, since geodesics close. Data in an open
half circle are another matter. Let H be a closed half circle with all data inside it, and fold S¹
onto H by the reflection that exchanges H with its complement. The fold is 1-Lipschitz and leaves
the data where they are, so that it raises no sum of distances to data and between pixels; a pixel
outside of H comes strictly nearer to its datum. All minimisers therefore lie in H, and H is
isometric to an interval, where everything is as on the line.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon.manifolds.base import Manifold
from pnp_recon.solvers.core.theorem import Basis, Premise

# Arcs count as shorter than π only by more than angles are rounded.
HALF = math.pi * (1 - 1e-12)


class Circle(Manifold):
    """Points (...) complex128 of modulus 1, tangent vectors (...) in radians, counterclockwise."""

    name = "S¹"
    point_axes = tangent_axes = 0
    dtype: ClassVar[torch.dtype] = torch.complex128

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        moved = x * torch.polar(torch.ones_like(v), v)
        return moved / moved.abs()

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """In (−π, π]; to the opposite point either way is a shortest one, and one is taken."""
        return (y * x.conj()).angle()

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return u * v

    def off(self, x: Tensor) -> Tensor:
        return (x.abs() - 1).abs().nan_to_num(torch.inf)

    def convexity(self, y: Tensor) -> Premise | str:
        length = arc(y)
        if length < HALF:
            words = f"all data lie in an arc of {length:.4g} < π, which is isometric to an interval"
            return Premise(words, Basis.CHECKED)
        return (
            "no function but a constant is convex on the whole circle, and the data lie in no half "
            "circle; the result is where the descent from the data came to rest"
        )

    def covers(self, y: Tensor, x: Tensor) -> bool:
        """Is there one half circle with both in it?"""
        return arc(torch.cat([y.flatten(), x.flatten()])) < HALF


def arc(x: Tensor) -> float:
    """Length of the shortest arc that has all points in it, in radians."""
    angles = x.flatten().angle().sort().values
    gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]])
    return 2 * math.pi - float(gaps.max())


def phase(angle: Tensor) -> Tensor:
    """Points of angles in radians."""
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex128)
