"""SO(3): rotations of space, as unit quaternions, of which q and −q are the same rotation.

The metric is the angle between two rotations; it is kept by Q ↦ PQR. The curvature is ¼: geodesics
from one point draw together again, so that the distance of two moving points is not convex along
geodesics, however near they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.manifolds.base import Manifold
from pnp_recon.solvers.core.theorem import Premise


class Rotations(Manifold):
    """Points (..., 4), (w, x, y, z); tangent vectors (..., 3), turns in the body's frame."""

    name = "SO(3)"
    point_axes = tangent_axes = 1

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        half = v.norm(dim=-1, keepdim=True) / 2
        # sin(t)/t by torch's sinc(t/π) = sin(t)/t.
        step = torch.cat([half.cos(), v / 2 * torch.sinc(half / torch.pi)], -1)
        moved = product(x, step)
        return moved / moved.norm(dim=-1, keepdim=True)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Its angle is in [0, π]; half turns have two shortest ways, and one is taken."""
        between = product(conjugate(x), y)
        between = torch.where(between[..., :1] < 0, -between, between)
        length = between[..., 1:].norm(dim=-1, keepdim=True)
        angle = 2 * torch.atan2(length, between[..., :1])
        share = torch.where(length > 0, angle / length.clamp_min(1e-300), 2.0)
        return share * between[..., 1:]

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return (u * v).sum(-1)

    def shaped(self, shape: tuple[int, ...]) -> bool:
        return shape[-1:] == (4,)

    def off(self, x: Tensor) -> Tensor:
        return (x.norm(dim=-1) - 1).abs().nan_to_num(torch.inf)

    def convexity(self, y: Tensor) -> Premise | str:
        return (
            "SO(3) is curved upwards, so that distances between neighbours are not convex along "
            "geodesics, even nearby; the result is where the descent from the data came to rest"
        )


def product(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton's product of quaternions (..., 4): first q, then p."""
    a, b, c, d = p.unbind(-1)
    e, f, g, h = q.unbind(-1)
    parts = (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )
    return torch.stack(parts, -1)


def conjugate(q: Tensor) -> Tensor:
    """The inverse of a unit quaternion (..., 4)."""
    return torch.cat([q[..., :1], -q[..., 1:]], -1)
