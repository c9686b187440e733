"""A numerical head, and the smooth phases and coil maps with which pictures are made complex.

For simulations that are named as such. The ellipses are those of Shepp & Logan (1974, IEEE Trans.
Nucl. Sci. 21) with the contrast of Toft (1996, The Radon Transform, appendix B.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Contrast, half axes, centre (x, y) and angle in degrees, in a square from −1 to 1.
_ELLIPSES = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)
# Points along the side of a pixel, whose mean the pixel is.
_WITHIN = 4
# How far the coils stand from the middle, and how far they see, in half sides.
_RING, _REACH = 1.3, 1.1
# The largest phase of a term of a smooth phase, in radians.
_TURN = 1.2


def head(side: int) -> Tensor:
    """The phantom (1, 1, side, side), in [0, 1], upright; pixels are means over 4 × 4 points."""
    count = _WITHIN * side
    place = (torch.arange(count, dtype=torch.float64) + 0.5) * (2 / count) - 1
    y, x = -place[:, None], place
    total = torch.zeros(count, count, dtype=torch.float64)
    for contrast, a, b, x0, y0, degrees in _ELLIPSES:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        along = (x - x0) * c + (y - y0) * s
        across = (y - y0) * c - (x - x0) * s
        total += contrast * ((along / a) ** 2 + (across / b) ** 2 <= 1)
    pixels = total.reshape(side, _WITHIN, side, _WITHIN).mean((1, 3))
    return pixels.clamp(0, 1).float()[None, None]


def polynomial_phase(height: int, width: int, weights: Tensor) -> Tensor:
    """A phase (H, W) in radians: a plane and three quadratic terms of the coordinates.

    Args:
        weights: six numbers about 1, drawn by a rule of `problems`.
    """
    y, x = _grid(height, width)
    terms = torch.stack([torch.ones_like(x), x, y, x * y, x.square(), y.square()])
    return (_TURN * weights.double()[:, None, None] * terms).sum(0)


def ring_maps(count: int, height: int, width: int) -> Tensor:
    """Maps (count, H, W) of coils on a ring, complex, Σ|s_c|² = 1 at every pixel.

    Each sees best what is near, by a Gaussian of the distance, with a phase that turns slowly.
    """
    y, x = _grid(height, width)
    maps = []
    for k in range(count):
        angle = 2 * math.pi * k / count
        dx, dy = x - _RING * math.cos(angle), y - _RING * math.sin(angle)
        size = torch.exp(-(dx.square() + dy.square()) / (2 * _REACH**2))
        phase = angle + 0.5 * (dx * math.sin(angle) - dy * math.cos(angle))
        maps.append(torch.polar(size, phase))
    stacked = torch.stack(maps)
    return (stacked / torch.linalg.vector_norm(stacked, dim=0)).to(torch.complex64)


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Coordinates from −1 to 1, (H, W) each: rows, columns."""
    rows, columns = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y, x
