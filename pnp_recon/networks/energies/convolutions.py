"""3 × 3 convolutions with a border of zeros, in float64 a tap at a time.

For float64 torch has no convolution of its own on processors: it copies every window of a picture
into a matrix, 9 numbers for each one, and of a large picture these copies cost more than the
products, in time and in memory. The sum over the nine taps needs none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Pixels that are summed at a time, so that what is added up stays in a cache.
TOGETHER = 4096


def convolve(x: Tensor, filters: Tensor) -> Tensor:
    """`conv2d(x, filters, padding=1)` for filters (O, C, 3, 3)."""
    if _by_taps(x):
        return _summed(x, filters)
    return F.conv2d(x, filters, padding=1)


def convolve_transposed(g: Tensor, filters: Tensor) -> Tensor:
    """The transpose of `convolve`, `conv_transpose2d(g, filters, padding=1)`."""
    if _by_taps(g):
        return _summed(g, filters.flip(-2, -1).transpose(0, 1))
    return F.conv_transpose2d(g, filters, padding=1)


def _by_taps(x: Tensor) -> bool:
    """Where torch is slow. What is differentiated is left to it."""
    return x.dtype is torch.float64 and x.device.type == "cpu" and not torch.is_grad_enabled()


def _summed(x: Tensor, filters: Tensor) -> Tensor:
    """Σ over taps of a matrix times the picture moved by the tap.

    With a column of zeros on both sides a move is an offset into the rows one after the other; what
    is computed for these columns is cut off.
    """
    height, width = x.shape[-2:]
    row = width + 2
    taps = filters.permute(2, 3, 0, 1).reshape(9, *filters.shape[:2]).contiguous()
    offsets = [i * row + j for i in range(3) for j in range(3)]
    # Two more zeros, for the last row moved to the right.
    rows = F.pad(F.pad(x, (1, 1, 1, 1)).contiguous().flatten(2), (0, 2))
    out = x.new_empty(len(x), len(filters), height * row)
    for picture, found in zip(rows, out, strict=True):
        for begin in range(0, height * row, TOGETHER):
            end = min(begin + TOGETHER, height * row)
            total = taps[0] @ picture[:, begin:end]
            for tap, offset in zip(taps[1:], offsets[1:], strict=True):
                total.addmm_(tap, picture[:, begin + offset : end + offset])
            found[:, begin:end] = total
    return out.view(len(x), len(filters), height, row)[..., :width]
