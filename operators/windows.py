"""Smooth windows along one axis that add up to one, which blend the kernels of a grid, and the
pieces of a picture that they see.

Knows no kernels. Two axes make a grid by their product: (Σᵢ rᵢ)(Σⱼ cⱼ) = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.errors import OperatorError

# What the sum of windows may be off one: float32 windows of anyone's are off by less.
SUM_TOLERANCE = 1e-6


def hats(count: int, length: int) -> Tensor:
    """Windows (count, length), float64, >= 0, Σ = 1: linear interpolation between cell middles.

    The axis is cut into `count` equal cells. Window i is one at the middle of cell i and falls in a
    straight line to zero at its neighbours' middles; the outermost windows stay one to the border.

    Raises:
        OperatorError: there are more cells than pixels, or none.
    """
    if not 1 <= count <= length:
        raise OperatorError(
            f"{count} kernels found along an axis of {length} pixels; expected 1 to {length}"
        )
    pixel = torch.arange(length, dtype=torch.float64)
    place = ((pixel + 0.5) * count / length - 0.5).clamp(0, count - 1)
    return (1 - (place - torch.arange(count, dtype=torch.float64)[:, None]).abs()).clamp_min(0)


def require_partition(windows: Tensor, count: int, length: int) -> None:
    """Raise OperatorError unless these are `count` windows >= 0 of this length that add up to one.

    What they add up to is the brightness of a picture of one colour.
    """
    if tuple(windows.shape) != (count, length):
        raise OperatorError(
            f"the windows have shape {tuple(windows.shape)}; expected {(count, length)}: one for "
            "each kernel along the axis, as long as the measurement"
        )
    if not bool(torch.isfinite(windows).all()) or float(windows.min()) < 0:
        raise OperatorError("the windows hold negative or infinite values; expected finite >= 0")
    off = float((windows.to(torch.float64).sum(0) - 1).abs().max())
    if off > SUM_TOLERANCE:
        raise OperatorError(
            f"the windows add up to one up to {off:.2g}; expected {SUM_TOLERANCE:g}: divide them "
            "by their sum"
        )


@dataclass(frozen=True)
class Pieces:
    """Stretches of one axis of equal length, the supports of its windows."""

    starts: tuple[int, ...]
    length: int

    @property
    def overlap(self) -> int:
        """An upper bound of how many pieces share a pixel, however far they are widened."""
        return len(self.starts)


def supports(windows: Tensor) -> Pieces:
    """Stretches that hold all that is not zero of each of the windows (count, length)."""
    found = [torch.nonzero(window).flatten() for window in windows]
    first = [int(place[0]) if len(place) else 0 for place in found]
    last = [int(place[-1]) if len(place) else 0 for place in found]
    longest = max(b - a + 1 for a, b in zip(first, last, strict=True))
    return Pieces(tuple(min(a, windows.shape[1] - longest) for a in first), longest)


def on_pieces(windows: Tensor, pieces: Pieces) -> Tensor:
    """What each window (count, length) is on its own piece."""
    ends = [(start, start + pieces.length) for start in pieces.starts]
    return torch.stack([w[a:b] for w, (a, b) in zip(windows, ends, strict=True)])


def cut(t: Tensor, down: Pieces, across: Pieces, size: tuple[int, int]) -> Tensor:
    """The N pieces of t (B, C, P, Q) that begin where the windows do, (B, C, N, h, w)."""
    strips = torch.stack([t[..., a : a + size[0], :] for a in down.starts], dim=2)
    pieces = [strips[..., a : a + size[1]] for a in across.starts]
    return torch.stack(pieces, dim=3).flatten(2, 3)


def pasted(
    pieces: Tensor, down: Pieces, across: Pieces, size: tuple[int, int], whole: Sequence[int]
) -> Tensor:
    """The transpose of `cut`: pieces of this size added up at their places in (B, C, *whole)."""
    # First along the rows: gh + gw sums of large arrays instead of gh·gw of small ones.
    pieces = pieces.unflatten(2, (len(down.starts), len(across.starts)))
    strips = pieces.new_zeros(*pieces.shape[:3], size[0], whole[1])
    for n, start in enumerate(across.starts):
        strips[..., start : start + size[1]] += pieces[:, :, :, n]
    total = pieces.new_zeros(*pieces.shape[:2], *whole)
    for n, start in enumerate(down.starts):
        total[..., start : start + size[0], :] += strips[:, :, n]
    return total
