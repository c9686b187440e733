"""A timing twin of the 50-step denoiser of CRR-NN: its operations, with random weights.

Goujon, Neumayer, Bohra, Ducotterd & Unser, "A neural-network-based convex regularizer for inverse
problems" (2023): x minimises ½‖x − y‖² + Σᵢ ψᵢ(wᵢ ∗ x); each accelerated gradient step has one
convolution with 32 filters of 11×11, learned linear splines ψᵢ', and the transposed convolution.
Written from the paper for its cost alone; colour pictures channel by channel, as a batch.

It is made as fast as torch makes it: the transposed convolution has one output channel, which
processors dislike, so it may run as a strided convolution with one output channel for each of 4×4
pixels; layouts and ways of evaluating the splines are tried too, and the fastest is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

FILTERS, SIDE, KNOTS, SPACING = 32, 11, 21, 0.01
# Pixels a side that the strided form of the transposed convolution computes at once.
STRIDE = 4

Spline = Literal["gather", "pairs", "clip"]


@dataclass(frozen=True)
class Way:
    """One way of doing the same: layout, transposed convolution and splines.

    `spline` "clip" is another, cheaper function: a lower bound of what any spline can cost.
    """

    channels_last: bool
    strided: bool
    spline: Spline


class CRRTwin:
    """`steps` accelerated gradient steps from y; call with (B, C, H, W)."""

    def __init__(self, way: Way, steps: int = 50) -> None:
        generator = torch.Generator().manual_seed(0)
        filters = torch.randn(FILTERS, 1, SIDE, SIDE, generator=generator)
        filters = (filters - filters.mean((2, 3), keepdim=True)) / (SIDE * FILTERS)
        self.way, self.steps = way, steps
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        self.filters = filters.contiguous(memory_format=layout)
        self.strided = strided_filters(filters).contiguous(memory_format=layout)
        slopes = torch.rand(FILTERS, KNOTS + 1, generator=generator)
        values = 0.1 * torch.randn(FILTERS, KNOTS + 1, generator=generator)
        # Row by row, one row a filter: value + slope·z on each interval.
        self.slopes, self.values = slopes.flatten(), values.flatten()
        self.pairs = torch.stack([self.slopes, self.values], 1)
        self.rows = ((KNOTS + 1) * torch.arange(FILTERS))[:, None, None]

    def __call__(self, y: Tensor) -> Tensor:
        planes = y.reshape(-1, 1, *y.shape[-2:])
        x = previous = planes
        momentum = 1.0
        for _ in range(self.steps):
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            point = torch.lerp(previous, x, 1 + (momentum - 1) / following)
            previous, momentum = x, following
            # Step size ½ for a gradient with Lipschitz constant at most 2.
            x = torch.lerp(point, planes, 0.5).sub_(self.gradient(point), alpha=0.5)
        return x.reshape(y.shape)

    def gradient(self, x: Tensor) -> Tensor:
        """Wᵀψ'(Wx) of (N, 1, H, W)."""
        if not self.way.strided:
            z = F.conv2d(x, self.filters, padding=SIDE // 2)
            return F.conv_transpose2d(self.activation(z), self.filters, padding=SIDE // 2)
        height, width = x.shape[-2:]
        z = F.conv2d(F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE)), self.filters, padding=5)
        z = self.activation(z)
        # There are no responses outside the picture.
        z[..., height:, :] = 0
        z[..., width:] = 0
        out = F.pixel_shuffle(F.conv2d(z, self.strided, stride=STRIDE, padding=SIDE // 2), STRIDE)
        return out[..., :height, :width]

    def activation(self, z: Tensor) -> Tensor:
        if self.way.spline == "clip":
            return F.hardtanh(z)
        index = torch.add(z, SPACING * (KNOTS + 1) / 2).mul_(1 / SPACING)
        index = index.clamp_(0, KNOTS).to(torch.int64).add_(self.rows)
        if self.way.spline == "pairs":
            found = F.embedding(index, self.pairs)
            return torch.addcmul(found[..., 1], found[..., 0], z)
        return torch.addcmul(torch.take(self.values, index), torch.take(self.slopes, index), z)


def strided_filters(filters: Tensor) -> Tensor:
    """Filters (n, 1, k, k) of a convolution -> (16, n, k+3, k+3) of its transpose, strided.

    Output channel 4r + c is the transposed convolution at the pixels (4i + r, 4j + c).
    """
    flipped, side = filters[:, 0].flip(1, 2), filters.shape[-1]
    out = filters.new_zeros(STRIDE, STRIDE, len(filters), side + STRIDE - 1, side + STRIDE - 1)
    for r, c in product(range(STRIDE), repeat=2):
        out[r, c, :, r : r + side, c : c + side] = flipped
    return out.flatten(0, 1)


def fastest(y: Tensor, splines: tuple[Spline, ...]) -> Way:
    """The fastest way for this picture and number of threads; each is tried with two steps."""
    ways = [
        Way(channels_last, strided, spline)
        for channels_last, strided, spline in product((False, True), (False, True), splines)
    ]
    return min(ways, key=lambda way: _seconds(CRRTwin(way, 2), y))


def _seconds(function: Callable[[Tensor], Tensor], y: Tensor) -> float:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        function(y)
        times.append(time.perf_counter() - begin)
    return min(times)
