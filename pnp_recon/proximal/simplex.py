"""The simplex {k ≥ 0, Σk = 1} of blur kernels: its projection, and that on its tangent cones.

Both are exact up to rounding, by sorting (Held, Wolfe & Crowder 1974; Duchi, Shalev-Shwartz,
Singer & Chandra 2008, Fig. 1).
"""

from __future__ import annotations

import torch
from torch import Tensor


def project_simplex(v: Tensor, total: float = 1.0) -> Tensor:
    """The nearest k ≥ 0 with Σk = total > 0, of the shape of v, float64 or float32.

    It is max(v − τ, 0) with the one τ that makes the sum `total`.
    """
    falling = v.flatten().sort(descending=True).values
    excess = (falling.cumsum(0) - total) / torch.arange(1, falling.numel() + 1).to(falling)
    last = int((falling > excess).nonzero().max())  # the largest is above its own excess
    k = (v - excess[last]).clamp_min(0)
    return k * (total / k.sum())  # the sum was `total` up to the rounding of τ


def project_capped_simplex(v: Tensor, total: float, cap: float) -> Tensor:
    """The nearest k with 0 ≤ kᵢ ≤ `cap` and Σk = `total`, of the shape of v.

    It is v − τ clipped to [0, cap], whose sum falls with τ and is linear between the places where
    an entry meets a bound: the two neighbours of `total` among them give τ. Entries at a bound are
    there exactly; the work is quadratic in their number.

    Raises:
        ValueError: `total` is above what the entries hold together, or not above 0.
    """
    room = cap * v.numel()
    if not 0 < total <= room:
        raise ValueError(f"the sum is {total:g}; expected above 0 and at most {room:g}")
    flat = v.flatten()
    shifts = torch.cat([flat - cap, flat]).sort().values  # sums fall from `room` to 0 along them
    sums = (flat[None] - shifts[:, None]).clamp(0, cap).sum(1)
    after = int((sums > total).sum())
    before = max(after - 1, 0)
    after = min(after, len(shifts) - 1)
    fall = sums[before] - sums[after]
    part = (sums[before] - total) / fall if fall > 0 else torch.zeros_like(fall)
    return (v - torch.lerp(shifts[before], shifts[after], part.clamp(0, 1))).clamp(0, cap)


def project_tangent(d: Tensor, k: Tensor) -> Tensor:
    """The projection of d on the tangent cone of the simplex at k: {Σd = 0, dᵢ ≥ 0 where kᵢ = 0}.

    What is taken off lies in the normal cone (Moreau). So the projection of −∇h(k) is the shortest
    element of −∂(h + indicator) at k, and zero where k is critical.
    """
    free, bound = d[k > 0], d[k <= 0].sort(descending=True).values
    sums = torch.cat([free.sum()[None], free.sum() + bound.cumsum(0)])
    means = sums / torch.arange(free.numel(), free.numel() + len(sums)).to(d)
    # Bound entries above the mean of what is free so far are free as well.
    joins = int((bound > means[:-1]).sum())
    moved = d - means[joins]
    return torch.where(k > 0, moved, moved.clamp_min(0))
