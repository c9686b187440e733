"""Masks for `Inpainting`: random pixels, blocks, brush strokes. Reads no files.

A mask is boolean, True where a pixel is known. Random numbers come from a CPU generator, so that
one seed gives one mask everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from operators.errors import OperatorError

__all__ = ["blocks", "random_pixels", "strokes"]


def random_pixels(shape: Sequence[int], rate_missing: float, generator: torch.Generator) -> Tensor:
    """Single pixels missing at random, exactly round(rate_missing · number of pixels) of them.

    Args:
        shape: (H, W); or (C, H, W), where each value of each channel goes missing by itself.
        rate_missing: in [0, 1]; at least one pixel has to remain.
        generator: on the CPU.

    Returns:
        A mask of that shape.

    Raises:
        OperatorError: for a shape, rate or generator that is none of these.
    """
    size = _checked_shape(shape, (2, 3))
    count = math.prod(size)
    if not (math.isfinite(rate_missing) and 0 <= rate_missing <= 1):
        raise OperatorError(f"rate_missing is {rate_missing}; expected a number from 0 to 1")
    _require_cpu(generator)
    missing = round(rate_missing * count)
    if missing == count:
        raise OperatorError(
            f"rate_missing is {rate_missing}: all of {count} pixels are missing; leave at least one"
        )
    mask = torch.ones(count, dtype=torch.bool)
    mask[torch.randperm(count, generator=generator)[:missing]] = False
    return mask.reshape(size)


def blocks(shape: Sequence[int], count: int, side: int, generator: torch.Generator) -> Tensor:
    """Square blocks missing, at random places inside the picture; they may overlap.

    Args:
        shape: (H, W).
        count: number of blocks, >= 1.
        side: how wide a block is, in pixels; from 1 to the smaller of H and W.
        generator: on the CPU.

    Returns:
        A mask (H, W).

    Raises:
        OperatorError: for numbers out of range, another generator, or where nothing would be left.
    """
    height, width = _checked_shape(shape, (2,))
    _require(count >= 1, f"{count} blocks", "at least 1")
    _require_cpu(generator)
    largest = min(height, width)
    _require(1 <= side <= largest, f"side {side}", f"1 to {largest} pixels, inside the picture")
    mask = torch.ones(height, width, dtype=torch.bool)
    for _ in range(count):
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        mask[top : top + side, left : left + side] = False
    return _some_left(mask)


def strokes(
    shape: Sequence[int],
    count: int,
    width: float,
    generator: torch.Generator,
    *,
    length: float | None = None,
) -> Tensor:
    """Winding strokes of a round brush missing: scratches, or writing over a picture.

    A stroke starts anywhere, in any direction, and turns as it goes: the direction is a random
    walk that loses its memory over about a third of the stroke. Beyond the border it is cut off.

    Args:
        shape: (H, W).
        count: number of strokes, >= 1.
        width: diameter of the brush in pixels, >= 1.
        generator: on the CPU.
        length: how long a stroke is, in pixels, > 0; default half of the longer side.

    Returns:
        A mask (H, W).

    Raises:
        OperatorError: for numbers out of range, another generator, or where nothing would be left.
    """
    size = _checked_shape(shape, (2,))
    _require(count >= 1, f"{count} strokes", "at least 1")
    _require_cpu(generator)
    _require(math.isfinite(width) and width >= 1, f"brush width {width}", "1 pixel or more")
    reach = max(size) / 2 if length is None else length
    _require(math.isfinite(reach) and reach > 0, f"stroke length {reach}", "a number above 0")
    steps = math.ceil(2 * reach) + 1  # half a pixel apart: no gaps
    start = torch.rand(2, count, 1, generator=generator, dtype=torch.float64)
    start = start * torch.tensor(size, dtype=torch.float64)[:, None, None]
    first = 2 * math.pi * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    turns = torch.randn(count, steps, generator=generator, dtype=torch.float64)
    direction = first + (math.sqrt(6 / steps) * turns).cumsum(1)
    path = start + 0.5 * torch.stack([direction.sin(), direction.cos()]).cumsum(-1)
    row, column = path.floor().long().flatten(1)
    # The brush reaches into the picture from outside as well.
    radius = math.ceil(width / 2)
    inside = (row >= -radius) & (row < size[0] + radius)
    inside &= (column >= -radius) & (column < size[1] + radius)
    whole = (1, 1, size[0] + 2 * radius, size[1] + 2 * radius)
    canvas = torch.zeros(whole, dtype=torch.float32)
    canvas[0, 0, row[inside] + radius, column[inside] + radius] = 1
    offset = torch.arange(-radius, radius + 1)
    brush = (offset[:, None] ** 2 + offset**2 <= (width / 2) ** 2).float()
    touched = functional.conv2d(canvas, brush[None, None])[0, 0]
    return _some_left(touched < 0.5)


def _checked_shape(shape: Sequence[int], dimensions: tuple[int, ...]) -> tuple[int, ...]:
    size = tuple(int(n) for n in shape)
    if len(size) not in dimensions or min(size) < 1:
        expected = " or ".join("(H, W)" if n == 2 else "(C, H, W)" for n in dimensions)
        raise OperatorError(f"the mask's shape is {size}; expected {expected}")
    return size


def _some_left(mask: Tensor) -> Tensor:
    if not bool(mask.any()):
        raise OperatorError("all pixels are missing; take fewer or smaller blocks or strokes")
    return mask


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise OperatorError(f"found {found}; expected {expected}")


def _require_cpu(generator: torch.Generator) -> None:
    found = f"a generator on {generator.device}"
    _require(generator.device.type == "cpu", found, "one on the CPU: torch.Generator()")
