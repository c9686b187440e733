"""A proven bound of ‖W‖² for filters of symmetrically extended pictures, of every size at once.

(W x)_c(p) = Σ_q h_c(q)·x̃(p + q), x̃ the half-sample symmetric extension; q ≤ `reach` in both
directions. WᵀW is a sum over pairs of taps (q, q′) of Kronecker products, one factor a dimension.
Such a factor is that of the infinite line, cut out, plus a correction at each end, of 2·reach
pixels, if the side has at least 2·reach pixels; shorter sides are written out. The largest
eigenvalue of a sum is at most the sum of the largest eigenvalues, and each of those is that of a
trigonometric polynomial with matrices as coefficients (the plane, the edges) or of one small matrix
(the corners). docs/theory.md has the proof. It knows filters, no potentials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

# Frequencies of the grid in each direction: on a plane, along an edge.
PLANE, EDGE = 512, 512
# Rounding, relative to the sum of all |products| of two taps: sums of fewer than 1e6 terms.
ROUNDING = 1e-9


@torch.no_grad()
def squared_norm(h: Tensor) -> float:
    """An upper bound of ‖W‖² for pictures of every size.

    Args:
        h: taps (filters, C, n, n), n odd; tap (i, j) multiplies the pixel i − n//2 rows below and
            j − n//2 columns to the right.
    """
    h = h.double()
    reach = h.shape[-1] // 2
    taps = torch.einsum("ocab,odef->cabdef", h, h)
    rows, columns = _Axis(taps, reach), _Axis(taps.permute(0, 2, 1, 3, 5, 4), reach)
    ends = _ends(reach)
    corners = [_top(_pair(rows.at(a), b)) for a in ends for b in ends]
    edges = [_edge(axis.at(end)) for axis in (rows, columns) for end in ends]
    found = [_plane(taps) + sum(_positive(corners)) + sum(_positive(edges))]
    short = list(_short(reach))
    for axis in (rows, columns):
        for side in short:
            strip = axis.at(side)
            found.append(_edge(strip) + sum(_positive(_top(_pair(strip, end)) for end in ends)))
    found += [_top(_pair(rows.at(a), b)) for a in short for b in short]
    return math.nextafter(max(found) + ROUNDING * float(h.abs().sum()) ** 2, math.inf)


class _Axis:
    """Σ over the taps of the first dimension, whose factor is given."""

    def __init__(self, taps: Tensor, reach: int) -> None:
        self.taps, self.reach = taps, reach

    def at(self, factor: Tensor) -> Tensor:
        """(C, i, tap, C, j, tap) for a factor (tap, tap, i, j)."""
        return torch.einsum("caqder,aeij->ciqdjr", self.taps, factor)


def _pair(first: Tensor, factor: Tensor) -> Tensor:
    """The symmetric matrix of two factors, the first one summed already."""
    m = torch.einsum("ciqdjr,qrkl->cikdjl", first, factor)
    size = m.shape[0] * m.shape[1] * m.shape[2]
    return m.reshape(size, size)


def _ends(reach: int) -> list[Tensor]:
    """What half a line adds to the line cut out, (tap, tap, i, j), i and j from the end inwards."""
    size, far = 2 * reach, 4 * reach
    taps = range(-reach, reach + 1)
    low = torch.zeros(len(taps), len(taps), far, far, dtype=torch.float64)
    for a, q in enumerate(taps):
        for b, r in enumerate(taps):
            for p in range(-reach, size):
                i, j = p + q, p + r
                if p >= 0:  # folded at the border
                    low[a, b, _folded(i, far), _folded(j, far)] += 1
                if min(i, j) >= 0:  # without a border
                    low[a, b, i, j] -= 1
    low = low[:, :, :size, :size]
    return [low, low.flip(0, 1)] if reach else []


def _short(reach: int) -> Iterator[Tensor]:
    """The factors of sides that are too short for two ends."""
    taps = range(-reach, reach + 1)
    for size in range(1, max(2, 2 * reach)):
        found = torch.zeros(len(taps), len(taps), size, size, dtype=torch.float64)
        for a, q in enumerate(taps):
            for b, r in enumerate(taps):
                for p in range(size):
                    found[a, b, _folded(p + q, size), _folded(p + r, size)] += 1
        yield found


def _folded(i: int, size: int) -> int:
    """The pixel that the extension of a side of so many pixels shows at i."""
    i %= 2 * size
    return min(i, 2 * size - 1 - i)


def _top(m: Tensor) -> float:
    return float(torch.linalg.eigvalsh((m + m.T) / 2)[-1])


def _positive(values: list[float] | Iterator[float]) -> list[float]:
    return [max(0.0, value) for value in values]


def _edge(strip: Tensor) -> float:
    """The largest eigenvalue of Σ strip(q, r) e^{iω(r − q)} over all ω."""
    width = strip.shape[2]
    size = strip.shape[0] * strip.shape[1]
    lags = torch.zeros(EDGE, size, size, dtype=torch.float64)
    for q in range(width):
        for r in range(width):
            lags[r - q] += strip[:, :, q, :, :, r].reshape(size, size)
    spectrum = torch.linalg.eigvalsh(torch.fft.rfft(lags, dim=0))
    low, high = float(spectrum[:, 0].min()), float(spectrum[:, -1].max())
    # A real trigonometric polynomial exceeds its values on the grid by a factor of at most
    # 1/cos(π degree/points) (Ehlich & Zeller 1964), here about the middle of its range.
    return (low + high) / 2 + (high - low) / 2 / math.cos(math.pi * (width - 1) / EDGE)


def _plane(taps: Tensor) -> float:
    """The largest eigenvalue of the transfer function's Gram matrix over all frequencies."""
    channels, width = taps.shape[:2]
    lags = torch.zeros(PLANE, PLANE, channels, channels, dtype=torch.float64)
    for a in range(width):
        for b in range(width):
            for e in range(width):
                for f in range(width):
                    lags[e - a, f - b] += taps[:, a, b, :, e, f]
    spectrum = torch.fft.rfft2(lags, dim=(0, 1))
    top = (
        float(torch.linalg.eigvalsh(spectrum).max()) if channels > 1 else float(spectrum.real.max())
    )
    return top / math.cos(math.pi * (width - 1) / PLANE) ** 2
