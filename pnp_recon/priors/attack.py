"""Searches for pictures that a map moves apart: lower bounds of its Lipschitz constant.

An attack on a certificate: what it attains must stay below what is proven. It knows maps of
pictures, not what is claimed of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Norm of the first differences, for each entry: far above rounding, far below a picture's range.
SCALE = 1e-2


def attack(
    function: Callable[[Tensor], Tensor], x: Tensor, steps: int, *, gradients: bool
) -> float:
    """The largest ‖f(x+d) − f(x)‖/‖d‖ found from the start x (1, C, H, W).

    A search without gradients, d ← f(x+d) − f(x) scaled back, which is power iteration where f is
    nearly linear; with `gradients`, gradient ascent on x and d as well.
    """
    found = search(function, x, steps)
    if gradients:
        found = max(found, attained_ratio(function, x, steps))
    return found


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


@torch.no_grad()
def attained_ratio(
    function: Callable[[Tensor], Tensor], x: Tensor, steps: int = 50, scale: float = SCALE
) -> float:
    """The largest ‖f(x+d) − f(x)‖/‖d‖ that gradient ascent on d and x finds.

    `x` (1, C, H, W) is the start.
    """
    generator = torch.Generator().manual_seed(0)
    d = scale * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
    x, best = x.clone(), 0.0
    for _ in range(steps):
        with torch.enable_grad():
            point, offset = x.requires_grad_(), d.requires_grad_()
            ratio = (function(point + offset) - function(point)).norm() / offset.norm()
            move_x, move_d = torch.autograd.grad(ratio, (point, offset))
        best = max(best, float(ratio.detach()))
        x = x.detach() + 0.1 * x.detach().norm() * move_x / move_x.norm().clamp_min(1e-30)
        d = d.detach()
        d = d + 0.3 * d.norm() * move_d / move_d.norm().clamp_min(1e-30)
    return best
