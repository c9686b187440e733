"""Sampling masks for `MRI`: lines and spokes through k-space. Reads no files.

A mask is boolean (H, W), True where a frequency is measured, zero frequency at (H // 2, W // 2).
Lines run along the first axis, the direction of the readout; which of them are measured is chosen
along the second. Random numbers come from a CPU generator, so that one seed gives one mask
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from operators.errors import OperatorError

__all__ = [
    "centre_share",
    "equispaced_lines",
    "most_undersampled",
    "radial_spokes",
    "random_lines",
]

# Of the lines that are measured, those in the fully sampled centre.
CENTRE = 0.32


def centre_share(acceleration: float) -> float:
    """The share of lines in the fully sampled centre: 8 % for 4-fold, 4 % for 8-fold.

    As in the fastMRI data set (Zbontar et al. 2018).
    """
    return min(1.0, CENTRE / acceleration)


def most_undersampled(width: int) -> int:
    """The largest whole acceleration that leaves a line in the centre, and one beside it."""
    return math.ceil(2 * CENTRE * width) - 1


def random_lines(
    size: Sequence[int],
    acceleration: float,
    generator: torch.Generator,
    centre: float | None = None,
) -> Tensor:
    """The lines of the centre, and others at random, round(W / acceleration) in all.

    Args:
        size: (H, W).
        acceleration: >= 1.
        generator: on the CPU.
        centre: share of the lines in the fully sampled centre; default `centre_share`.

    Raises:
        OperatorError: for numbers out of range.
    """
    height, width = _size(size)
    lines, others, count = _outer(width, acceleration, centre)
    chosen = others[torch.randperm(len(others), generator=generator)[:count]]
    lines[chosen] = True
    return lines.expand(height, width).clone()


def equispaced_lines(
    size: Sequence[int], acceleration: float, centre: float | None = None
) -> Tensor:
    """The lines of the centre, and others evenly spaced, round(W / acceleration) in all.

    See `random_lines` for the arguments.
    """
    height, width = _size(size)
    lines, others, count = _outer(width, acceleration, centre)
    if count:
        places = ((torch.arange(count) + 0.5) * (len(others) / count)).floor().long()
        lines[others[places]] = True
    return lines.expand(height, width).clone()


def radial_spokes(size: Sequence[int], acceleration: float) -> Tensor:
    """Diameters at even angles, rounded to the grid; the fewest that measure a share of at least
    1/acceleration.

    Raises:
        OperatorError: for numbers out of range.
    """
    height, width = _size(size)
    _checked(acceleration)
    steps = torch.linspace(-1, 1, 4 * max(height, width) + 1, dtype=torch.float64)
    mask = torch.zeros(height, width, dtype=torch.bool)
    for spokes in range(1, 4 * max(height, width)):
        angle = torch.arange(spokes, dtype=torch.float64)[:, None] * (math.pi / spokes)
        row = (height // 2 + 0.5 * height * steps * angle.sin()).round().long().flatten()
        column = (width // 2 + 0.5 * width * steps * angle.cos()).round().long().flatten()
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        mask = torch.zeros(height, width, dtype=torch.bool)
        mask[row[inside], column[inside]] = True
        # Corners are on no diameter: more of them cannot help for ever.
        if float(mask.double().mean()) >= 1 / acceleration:
            break
    return mask


def _outer(width: int, acceleration: float, centre: float | None) -> tuple[Tensor, Tensor, int]:
    """Lines with the centre measured, the columns outside it, and how many of them to take."""
    _checked(acceleration)
    share = centre_share(acceleration) if centre is None else centre
    if not 0 <= share <= 1:
        raise OperatorError(f"the centre is {share} of the lines; expected a share from 0 to 1")
    total, middle = max(1, round(width / acceleration)), round(share * width)
    lines = torch.zeros(width, dtype=torch.bool)
    lines[width // 2 - middle // 2 : width // 2 - middle // 2 + middle] = True
    others = (~lines).nonzero().flatten()
    return lines, others, min(len(others), max(0, total - middle) or int(middle == 0))


def _checked(acceleration: float) -> None:
    if not (math.isfinite(acceleration) and acceleration >= 1):
        raise OperatorError(f"the acceleration is {acceleration}; expected a number of at least 1")


def _size(size: Sequence[int]) -> tuple[int, int]:
    found = tuple(int(n) for n in size)
    if len(found) != 2 or min(found) < 1:
        raise OperatorError(f"the size is {found}; expected (H, W)")
    return found[0], found[1]
