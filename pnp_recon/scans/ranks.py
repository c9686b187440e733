"""Medians and other ranks of the values around each value of a picture, by NumPy alone.

SciPy's filters give the same numbers; loading them takes longer than all that a scan asks of them.
Borders are mirrored without repeating the outermost value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Values that are laid side by side at a time: 64 MB.
AT_ONCE = 1 << 23


def ranked(values: Floats, size: tuple[int, int], ranks: tuple[int, ...]) -> list[Floats]:
    """The values of some ranks, counted from 0, among the `size` values around each: (H, W) each.

    Args:
        values: (H, W); a side shorter than the window is mirrored again and again.
        size: two odd numbers.
    """
    height, width = values.shape
    padded = np.pad(values, [(n // 2, n // 2) for n in size], mode="reflect")
    rows = max(1, AT_ONCE // (width * size[0] * size[1]))
    out = [np.empty_like(values) for _ in ranks]
    for first in range(0, height, rows):
        part = padded[first : first + rows + size[0] - 1]
        around = np.lib.stride_tricks.sliding_window_view(part, size)
        around = np.partition(around.reshape(*around.shape[:2], -1), ranks, axis=-1)
        for made, rank in zip(out, ranks, strict=True):
            made[first : first + rows] = around[..., rank]
    return out


def median(values: Floats, size: tuple[int, int]) -> Floats:
    """The median of the values around each, (H, W)."""
    return ranked(values, size, (size[0] * size[1] // 2,))[0]


def least_beside(values: Floats, reach: int) -> Floats:
    """The smallest value in the rows above and below within `reach` columns, (H, W)."""
    padded = np.pad(values, ((1, 1), (reach, reach)), mode="reflect")
    least = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).min(-1)
    return np.minimum(least[:-2], least[2:])
