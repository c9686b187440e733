"""Activations that are only tried."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.activations import Activation


class Overlapping(Activation):
    """Overlapping group sparsity: the ball of a group's norm over a neighbourhood of pixels.

    The gradient of Σₓ Huber(‖Kₓz‖), Σₓ KₓᵀKₓ ≤ 1: firmly nonexpansive as well.
    """

    def __init__(self, channels: int, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, z: Tensor) -> Tensor:
        groups = z.unflatten(1, (-1, self.group_size))
        square = F.avg_pool2d((groups * groups).sum(2), 3, 1, 1)
        scale = F.avg_pool2d(torch.rsqrt(square.clamp_min(1.0)), 3, 1, 1)
        return (groups * scale[:, :, None]).flatten(1, 2)


class Balls(Activation):
    """Σⱼ aⱼ proj(z, rⱼ): projections onto balls of several radii, learned for each group.

    aⱼ ≥ 0 and Σ aⱼ < 1: a convex combination of gradients with slopes in [0, 1] and of zero.
    """

    def __init__(self, channels: int, group_size: int, radii: int) -> None:
        super().__init__()
        self.group_size = group_size
        groups = channels // group_size
        share = torch.zeros(radii + 1, groups)
        share[-1] = -3.0  # of zero
        self.share = nn.Parameter(share)
        spread = torch.linspace(0, math.log(8.0), radii)[:, None] + 0.3 * torch.randn(radii, groups)
        self.radii = nn.Parameter(spread)

    def forward(self, z: Tensor) -> Tensor:
        groups = z.unflatten(1, (-1, self.group_size))
        inverse = torch.rsqrt((groups * groups).sum(2, keepdim=True) + 1e-12)
        shares = torch.softmax(self.share, 0)[:-1, :, None, None, None].to(z.dtype)
        radii = torch.exp(self.radii)[:, :, None, None, None].to(z.dtype)
        scale = torch.zeros_like(inverse)
        for share, radius in zip(shares, radii, strict=True):
            scale = scale + share * (inverse * radius).clamp_max(1.0)
        return (groups * scale).flatten(1, 2)
