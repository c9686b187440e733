"""Grids of blur kernels for `VaryingBlur`: what a rotating camera makes of each part of a picture.

Places are (x, y) in pixels from the middle of the top left one, x to the right, y down. As in
`kernels`, everything is computed in float64 on the CPU and cast at the end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.errors import OperatorError
from operators.kernels import LARGEST_SIDE, normalised, splat

# More kernels along an axis than this take memory and change little.
LARGEST_GRID = 24
# Weights of all kernels together: a gigabyte.
LARGEST_FIELD = 2**27


def middles(count: int, length: int) -> Tensor:
    """Where the middles of `count` equal cells of an axis of `length` pixels lie, (count,)."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) * length / count - 0.5


def rotation_grid(angle: float, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of cells across which a rotation by `angle` degrees changes little.

    The ends of the arcs of neighbours are half a pixel apart at most, until there are 24 along an
    axis. Against a rotation that was sampled densely, at 2 and 5 degrees, the blur of a photograph
    was then right to 48 dB; with cells twice as wide to 46 dB, with one kernel to 26 to 29 dB.
    """
    cell = 1 / math.radians(abs(angle))
    down, across = (min(LARGEST_GRID, side, math.ceil(side / cell)) for side in (height, width))
    return down, across


def rotation(
    angle: float,
    height: int,
    width: int,
    centre: tuple[float, float] | None = None,
    grid: tuple[int, int] | None = None,
    size: int | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Kernels of a camera that rolled by `angle` degrees about a point while the shutter was open.

    At constant speed, half the angle to either side: a pixel at distance r from the centre sees an
    arc of r·angle. Each of its points is shared bilinearly among four pixels; as in
    `kernels.linear_motion` an arc of ℓ pixels is shortened to √(ℓ² − 1) for it, and one of a pixel
    or less is the identity. The kernel of a cell is that of its middle.

    Args:
        angle: degrees, not zero, at most 90 either way; both ways are the same blur.
        height, width: size of the blurred picture in pixels.
        centre: (x, y) of the point that stays, which may lie outside; default the middle.
        grid: rows and columns of cells; default `rotation_grid`.
        size: odd side of the kernels; default the smallest that holds the longest arc.

    Returns:
        (gh, gw, size, size), >= 0, each kernel with sum one.

    Raises:
        OperatorError: a number is out of range, or `size` would cut an arc.
    """
    if not (math.isfinite(angle) and 0 < abs(angle) <= 90):
        raise OperatorError(f"rotation by {angle} degrees found; expected up to 90, and not 0")
    x0, y0 = ((width - 1) / 2, (height - 1) / 2) if centre is None else centre
    if not (math.isfinite(x0) and math.isfinite(y0)):
        raise OperatorError(f"centre {centre} found; expected finite numbers (x, y)")
    down, across = rotation_grid(angle, height, width) if grid is None else grid
    places = torch.cartesian_prod(middles(down, height) - y0, middles(across, width) - x0)
    longest = max(math.hypot(float(x), float(y)) for y, x in places) * math.radians(abs(angle))
    if not longest <= LARGEST_SIDE:
        raise OperatorError(
            f"the rotation moves pixels along {longest:.4g} pixels; expected at most "
            f"{LARGEST_SIDE}: a smaller angle, or a centre that is nearer"
        )
    arcs = [_arc(float(x), float(y), math.radians(angle)) for y, x in places]
    reach = max(float(arc.abs().max()) for arc in arcs)
    needed = 2 * math.ceil(reach - 1e-9) + 1
    side = needed if size is None else size
    if side % 2 == 0 or side < needed:
        raise OperatorError(f"kernel size {side} found; expected an odd number, {needed} or more")
    if down * across * side**2 > LARGEST_FIELD:
        raise OperatorError(
            f"the rotation is {down * across} kernels of {side} pixels on a side, more than memory "
            "holds; expected a smaller angle, or a centre that is nearer"
        )
    if side == 1:
        return torch.ones(down, across, 1, 1, dtype=dtype)
    kernels = [
        normalised(splat(arc[0], arc[1], side, torch.ones_like(arc[0])), dtype) for arc in arcs
    ]
    return torch.stack(kernels).unflatten(0, (down, across))


def _arc(x: float, y: float, angle: float) -> Tensor:
    """Where the light of a pixel at (x, y) from the centre goes, (2, points): right and up."""
    length = math.hypot(x, y) * abs(angle)
    if length <= 1:
        return torch.zeros(2, 1, dtype=torch.float64)
    angle *= math.sqrt(1 - length**-2)
    points = 8 * math.ceil(length)
    turn = angle * ((torch.arange(points, dtype=torch.float64) + 0.5) / points - 0.5)
    # A pixel sees the picture at R p; in y[i] = Σ k[u] x[i − u] that is the weight at u = p − R p.
    cos, sin = 1 - turn.cos(), turn.sin()
    return torch.stack([cos * x + sin * y, -(cos * y - sin * x)])
