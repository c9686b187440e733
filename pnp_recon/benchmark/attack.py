"""A search for pictures that a map moves apart: a lower bound of its Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp_recon.denoisers import attained_ratio

# Norm of the first differences, for each entry: far above rounding, far below a picture's range.
SCALE = 1e-2


def attack(function: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> float:
    """The largest ‖f(x+d) − f(x)‖/‖d‖ found from the start x (1, C, H, W).

    Gradient ascent on x and d where the map can be differentiated; and always a search without
    gradients, d ← f(x+d) − f(x) scaled back, which is power iteration where f is nearly linear.
    """
    found = search(function, x, steps)
    if differentiable(function, x[..., :32, :32]):
        found = max(found, attained_ratio(function, x, steps))
    return found


def differentiable(function: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """Does a gradient come back to x?"""
    with torch.enable_grad():
        point = x.clone().requires_grad_()
        try:
            value = function(point)
        except RuntimeError:  # numpy asked for the values of a tensor that has a gradient
            return False
        return value.requires_grad


@torch.no_grad()
def search(function: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> float:
    """The search without gradients."""
    generator = torch.Generator().manual_seed(0)
    d = SCALE * torch.randn(x.shape, generator=generator).to(x)
    size, base, best = float(d.norm()), function(x), 0.0
    for _ in range(steps):
        moved = function(x + d) - base
        best = max(best, float(moved.norm()) / size)
        if not best < float("inf"):
            break
        d = moved * (size / float(moved.norm().clamp_min(1e-30)))
    return best
