"""Two half-moons in the plane, each coordinate with mean 0 and variance 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Standard deviation of the points about the arcs, before they are scaled.
SPREAD = 0.05
POINTS, TEST_POINTS, TEST_SEED = 4000, 4000, 10_000


def moons(count: int, seed: int) -> Tensor:
    """Points (count, 2): an arc of the unit circle, and one turned about (½, ¼), with noise."""
    generator = torch.Generator().manual_seed(seed)
    angle = math.pi * torch.rand(count, generator=generator)
    first = torch.stack((angle.cos(), angle.sin()), 1)
    second = torch.tensor([1.0, 0.5]) - first
    arc = torch.where((torch.arange(count) % 2 == 0)[:, None], first, second)
    points = arc + SPREAD * torch.randn(count, 2, generator=generator)
    # Moments of the arcs: E x = ½, E y = ¼, and the variances with the noise.
    variance = torch.tensor([0.75, 0.5 - (2 / math.pi) * 0.5 + 0.0625]) + SPREAD**2
    return (points - torch.tensor([0.5, 0.25])) / variance.sqrt()
