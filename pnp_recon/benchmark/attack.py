"""A search for pictures that a map moves apart: a lower bound of its Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp_recon.priors.denoiser import attained_ratio

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
