"""Blur kernels as plain tensors: motion, camera shake, Gaussian, defocus, uniform.

Every function returns a non-negative tensor with odd side lengths, summing to one, its centre pixel
being the origin. Everything is computed in float64 on the CPU and cast at the end. This module
knows neither pictures nor operators, and reads no files; `pnp_recon.pictures.kernels` does.

Angles are in degrees, counter-clockwise from the positive x axis, with y pointing *up* in the
picture: 0 is horizontal, 90 vertical, 45 runs from the lower left to the upper right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from operators.errors import OperatorError

__all__ = [
    "KERNELS",
    "LARGEST_SIDE",
    "disk",
    "gaussian",
    "linear_motion",
    "trajectory",
    "uniform",
    "validate",
]

# Pixels on a side of a kernel: far above any blur, and far below what memory holds.
LARGEST_SIDE = 2047


def linear_motion(
    length: float, angle: float, size: int | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Uniform motion along a straight line, of `length` pixels at `angle` degrees.

    A centred segment of √(length² − 1) pixels, every point of which is shared bilinearly among its
    four nearest pixels (a triangular profile of half width one pixel): antialiased, and continuous
    in both parameters. The segment is that much shorter because the sharing widens it: length 1 is
    then the identity at every angle, and the variance of the kernel along the motion lies between
    (length² − 1)/12 and (length² + 2)/12, about the length²/12 of a continuous motion; the
    covariance of x and y is exactly (length² − 1)/12·cos·sin. Integrated exactly, not sampled.

    Parameters: `length` ≥ 1 in pixels; `angle` in degrees, counter-clockwise, y up (180 apart is
    the same kernel); `size` the odd side length of the result, by default the smallest that holds
    the motion. Returns (size, size). Raises `OperatorError` where a parameter is out of range or
    `size` would cut the motion.
    """
    _require(1 <= length <= LARGEST_SIDE, f"motion length {length}", f"1 to {LARGEST_SIDE} pixels")
    _require(math.isfinite(angle), f"motion angle {angle}", "a finite number of degrees")
    half = math.sqrt(length**2 - 1) / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # 1e-9 forgives the rounding of cos and sin: 90 degrees does not widen the kernel.
    radius = math.ceil(half * max(abs(cos), abs(sin)) - 1e-9)
    needed = 2 * max(0, radius) + 1
    side = _side(size, needed, f"a motion of {length:g} pixels at {angle:g} degrees")
    if needed == 1:
        weights = torch.zeros(side, side, dtype=torch.float64)
        weights[side // 2, side // 2] = 1.0
        return weights.to(dtype)
    # Between two crossings of the pixel grid the shares are quadratic in the position, so that two
    # Gauss points per piece integrate them exactly.
    lines = torch.arange(-radius, radius + 1, dtype=torch.float64)
    crossings = [lines / slope for slope in (cos, sin) if abs(slope) > 1e-12]
    ends = torch.tensor([-half, half], dtype=torch.float64)
    knots = torch.cat([ends, *crossings]).clamp(-half, half).sort().values
    middle, spread = (knots[1:] + knots[:-1]) / 2, (knots[1:] - knots[:-1]) / 2
    position = torch.cat([middle - spread / math.sqrt(3), middle + spread / math.sqrt(3)])
    mass = torch.cat([spread, spread])
    weights = splat(position * cos, position * sin, side, mass)
    return normalised((weights + weights.flip(0, 1)) / 2, dtype)  # symmetric to the last bit


def trajectory(
    size: int = 25,
    seed: int | torch.Generator = 0,
    *,
    inertia: float = 0.25,
    extent: float = 0.9,
    steps: int = 2000,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A random camera shake: the trace of a hand that drifts smoothly and now and then turns.

    The velocity follows an Ornstein–Uhlenbeck process whose correlation time is `inertia` times
    the exposure (0.05 jitters, 1 is nearly straight); its integral is the path. Each of the `steps`
    positions is shared bilinearly among the four nearest pixels, which keeps the centre of mass,
    placed at the centre pixel, exact. After centring, the farthest coordinate of the path lies at
    `extent` times the half width of the kernel.

    Parameters: odd `size` ≥ 3; `seed` an integer or a CPU `torch.Generator`; `inertia` > 0;
    0 < `extent` ≤ 1. Returns (size, size). Raises `OperatorError`.

    Random trajectories as camera shake: Levin, Weiss, Durand & Freeman 2009 (recorded shakes);
    Boracchi & Foi 2012 (inertial random motion). The algorithm here is an independent, simpler one.
    """
    _require(size >= 3, f"trajectory size {size}", "an odd number of at least 3")
    side = _side(size, 3, "a trajectory")
    _require(math.isfinite(inertia) and inertia > 0, f"inertia {inertia}", "a number above 0")
    _require(0 < extent <= 1, f"extent {extent}", "a number in (0, 1]")
    _require(steps >= 2, f"{steps} steps", "at least 2")
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    found = f"a generator on {generator.device}"
    _require(generator.device.type == "cpu", found, "one on the CPU: torch.Generator()")
    noise = torch.randn(2, steps, generator=generator, dtype=torch.float64)
    decay = math.exp(-1 / (inertia * steps))
    gain = math.sqrt(1 - decay**2)
    velocity = [noise[:, 0]]
    for step in range(1, steps):
        velocity.append(decay * velocity[-1] + gain * noise[:, step])
    points = torch.stack(velocity, dim=1).cumsum(dim=1)
    points = points - points.mean(dim=1, keepdim=True)
    radius = side // 2
    points = points * (extent * radius / points.abs().max().clamp(min=1e-300))
    return normalised(
        splat(points[0], points[1], side, torch.ones(steps, dtype=torch.float64)), dtype
    )


def gaussian(std: float, size: int | None = None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """An isotropic Gaussian of standard deviation `std` pixels, sampled at the pixel centres.

    `std` > 0; `size` odd, by default 2⌈4 std⌉ + 1 (what is left out weighs less than 2e-4). A
    smaller `size` truncates the bell. Returns (size, size). Raises `OperatorError`.
    """
    _require(0 < std <= LARGEST_SIDE, f"Gaussian std {std}", f"above 0, to {LARGEST_SIDE} pixels")
    side = _side(2 * math.ceil(4 * std) + 1 if size is None else size, 1, "a Gaussian")
    offsets = torch.arange(side, dtype=torch.float64) - side // 2
    profile = torch.exp(-0.5 * (offsets / std) ** 2)
    return normalised(torch.outer(profile, profile), dtype)


def disk(radius: float, size: int | None = None, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Defocus: the uniform disc of `radius` pixels; a pixel weighs the area that the disc covers.

    `radius` > 0 (0.5 and less is the identity); `size` odd, by default the smallest that holds the
    disc. Returns (size, size). Raises `OperatorError`.
    """
    _require(0 < radius <= LARGEST_SIDE, f"disc radius {radius}", f"above 0, to {LARGEST_SIDE}")
    needed = 2 * max(0, math.ceil(radius - 0.5)) + 1
    side = _side(size, needed, f"a disc of radius {radius:g}")
    # Area exact along y, midpoint rule with 64 slices per pixel along x; then made symmetric.
    slices = 64
    x = (torch.arange(side * slices, dtype=torch.float64) + 0.5) / slices - side / 2
    chord = (radius**2 - x**2).clamp(min=0.0).sqrt()
    low = torch.arange(side, dtype=torch.float64) - side / 2
    rows = []
    for begin in low:  # one at a time: all slices of a wide disc are more than memory holds
        height = torch.minimum(chord, begin + 1) - torch.maximum(-chord, begin)
        rows.append(height.clamp(min=0.0).reshape(side, slices).mean(dim=-1))
    covered = torch.stack(rows)
    return normalised((covered + covered.T) / 2, dtype)


def uniform(size: int = 9, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The mean over a square of odd side `size`: (size, size). Raises `OperatorError`."""
    side = _side(size, 1, "a uniform kernel")
    return normalised(torch.ones(side, side, dtype=torch.float64), dtype)


KERNELS: dict[str, Callable[..., Tensor]] = {
    "motion": linear_motion,
    "trajectory": trajectory,
    "gaussian": gaussian,
    "disk": disk,
    "uniform": uniform,
}
"""Kernels by the name that the command line uses."""


def validate(kernel: Tensor, image_shape: Sequence[int] | None = None) -> Tensor:
    """Check a kernel of any origin and normalise it to sum one.

    `kernel` is (kh, kw), both odd, finite, non-negative, not all zero; integers become float32.
    The last two entries of `image_shape`, where given, bound its size. Returns a new tensor of the
    same device and floating type. Raises `OperatorError` saying what was found and what to do.
    """
    if kernel.ndim != 2:
        raise OperatorError(
            f"the kernel has {kernel.ndim} dimensions, shape {tuple(kernel.shape)}; expected a"
            " two-dimensional array: pass one kernel without batch or channel axes"
        )
    height, width = kernel.shape
    if height == 0 or width == 0:
        raise OperatorError(f"the kernel is empty, shape {height}x{width}; expected at least 1x1")
    if kernel.is_complex():
        raise OperatorError("the kernel is complex; expected real weights: pass its real part")
    if height % 2 == 0 or width % 2 == 0:
        raise OperatorError(
            f"the kernel is {height}x{width}: an even side has no centre pixel; pad a row or column"
            " of zeros on the side away from the wanted centre, so that both sides are odd"
        )
    if image_shape is not None:
        rows, columns = image_shape[-2], image_shape[-1]
        if height > rows or width > columns:
            raise OperatorError(
                f"the kernel ({height}x{width}) is larger than the picture ({rows}x{columns});"
                " use a smaller kernel or a larger picture"
            )
    weights = kernel if kernel.is_floating_point() else kernel.to(torch.float32)
    if not bool(torch.isfinite(weights).all()):
        raise OperatorError("the kernel holds NaN or infinite values; expected finite weights")
    smallest = float(weights.min())
    if smallest < 0:
        raise OperatorError(
            f"the kernel holds negative weights (smallest {smallest:.3g}); a blur kernel is"
            " non-negative: clip it at 0 if these are rounding errors"
        )
    largest = weights.max()
    if float(largest) == 0:
        raise OperatorError("the kernel is all zero; expected at least one positive weight")
    scaled = weights.double() / largest.double()  # first by the maximum: no sum can overflow
    return (scaled / scaled.sum()).to(weights.dtype)


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise OperatorError(f"{found} found; expected {expected}")


def _side(size: int | None, needed: int, what: str) -> int:
    """The side length to use: `size` checked, or else the smallest that does."""
    side = needed if size is None else size
    if side > LARGEST_SIDE:
        raise OperatorError(
            f"{what} with {side} pixels on a side found; expected at most {LARGEST_SIDE}"
        )
    if size is None:
        return needed
    if size < 1 or size % 2 == 0:
        raise OperatorError(f"kernel size {size} found; expected an odd number, 1 or more")
    if size < needed:
        raise OperatorError(f"kernel size {size} cuts {what}; expected {needed} or more")
    return size


def splat(x: Tensor, y: Tensor, side: int, mass: Tensor) -> Tensor:
    """Points (n,) with |x|, |y| ≤ side//2, each shared bilinearly among four pixels."""
    radius = side // 2
    column, row = (x + radius).clamp(0, side - 1), (radius - y).clamp(0, side - 1)
    left = column.floor().clamp(max=side - 2)
    top = row.floor().clamp(max=side - 2)
    right_share, bottom_share = column - left, row - top
    weights = torch.zeros(side * side, dtype=torch.float64)
    for down in (0, 1):
        for across in (0, 1):
            share_y = bottom_share if down else 1 - bottom_share
            share_x = right_share if across else 1 - right_share
            index = (top + down) * side + left + across
            weights.index_add_(0, index.long(), share_x * share_y * mass)
    return weights.reshape(side, side)


def normalised(weights: Tensor, dtype: torch.dtype) -> Tensor:
    return (weights / weights.sum()).to(dtype)
