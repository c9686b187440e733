"""Minimisers of strongly convex energies by accelerated gradient steps; capturable in a CUDA graph
where no tolerance asks for a look at a number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def minimised(
    gradient: Callable[[Tensor], Tensor],
    y: Tensor,
    step: Tensor,
    iterations: int,
    tolerance: float = 0.0,
) -> Tensor:
    """argmin of an energy about y by accelerated steps, restarted.

    With `tolerance` a picture is ready where ‖∇(z)‖ ≤ tolerance ‖z − y‖; it does not depend on the
    others of the batch.

    Args:
        gradient: the gradient of the energy, z ↦ z − y + ∇R(z) for a proximal map.
        y: where it starts, (B, C, H, W).
        step: one over a Lipschitz constant of the gradient, (B, 1, 1, 1).
        iterations: the limit.
        tolerance: relative; 0 takes all iterations.
    """
    x, z, t = y, y, torch.ones_like(step)
    ready, found = torch.zeros_like(step, dtype=torch.bool), y
    for _ in range(iterations):
        g = gradient(z)
        if tolerance:
            now = _norm(g) <= tolerance * _norm(z - y)
            found, ready = torch.where(now & ~ready, z, found), ready | now
            if bool(ready.all()):
                return found
        new = z - step * g
        ahead = (g * (new - x)).sum((1, 2, 3), keepdim=True) > 0
        t = torch.where(ahead, torch.ones_like(t), t)
        larger = 0.5 * (1 + (1 + 4 * t * t).sqrt())
        z = new + ((t - 1) / larger) * (new - x)
        x, t = new, larger
    return torch.where(ready, found, x)


def _norm(v: Tensor) -> Tensor:
    return v.square().sum((1, 2, 3), keepdim=True).sqrt()
