"""Two classes of points in the plane, balanced, from a seed: donuts, squares, a spiral."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Spread of the points about the curves of the spiral.
SPREAD = 0.05


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _ring(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Points (count, 2) spread evenly over the ring between two radii."""
    radius = (low**2 + (high**2 - low**2) * _uniform(count, generator)).sqrt()
    angle = 2 * math.pi * _uniform(count, generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def donut1d(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """An interval inside another class, on a line: x = ±r, no map of the line parts them."""
    half = count // 2
    inner = 0.4 * (2 * _uniform(half, generator) - 1)
    sign = 2 * (_uniform(half, generator) < 0.5) - 1
    outer = sign * (0.6 + 0.4 * _uniform(half, generator))
    x = torch.cat([inner, outer])
    return torch.stack([x, torch.zeros_like(x)], 1), _labels(half)


def donut2d(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A disc inside a ring: no homeomorphism of the plane makes them linearly separable."""
    half = count // 2
    points = torch.cat([_ring(half, 0.0, 0.45, generator), _ring(half, 0.65, 1.0, generator)])
    return points, _labels(half)


def squares(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Four squares, opposite corners of one class."""
    half = count // 2
    corners = []
    for first, second in (((1, 1), (-1, -1)), ((1, -1), (-1, 1))):
        pick = _uniform(half, generator) < 0.5
        centre = torch.where(pick[:, None], torch.tensor(first), torch.tensor(second)).float()
        shift = 0.8 * (torch.rand(half, 2, generator=generator) - 0.5)
        corners.append(0.5 * centre + shift)
    return torch.cat(corners), _labels(half)


def spiral(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two arms of a spiral, wound about each other once and a half."""
    half = count // 2
    arms = []
    for start in (0.0, math.pi):
        along = _uniform(half, generator).sqrt()
        angle = start + 3 * math.pi * along
        points = along[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        arms.append(points + SPREAD * (torch.rand(half, 2, generator=generator) - 0.5))
    return torch.cat(arms), _labels(half)


def _labels(half: int) -> Tensor:
    return torch.cat([torch.zeros(half), torch.ones(half)])


DATA: dict[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor]]] = {
    "donut1d": donut1d,
    "donut2d": donut2d,
    "squares": squares,
    "spiral": spiral,
}


def draw(name: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points (count, 2) and classes (count,), 0 or 1, half of each; `count` even."""
    return DATA[name](count, torch.Generator().manual_seed(seed))
