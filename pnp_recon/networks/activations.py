"""Activations with slopes in [0, 1]: the only ones that an Euler block admits.

Each acts elementwise on *normalised* pre-activations z/t: a block divides by a learned threshold
t(σ) > 0 before and multiplies by it after, which leaves the slopes, and so the Lipschitz
constant, alone. That is how one network follows the noise level.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReLU(nn.Module):
    """max(z, 0)."""

    def forward(self, z: Tensor) -> Tensor:
        return F.relu(z)


class LeakyReLU(nn.Module):
    """max(z, 0.1 z)."""

    def forward(self, z: Tensor) -> Tensor:
        return F.leaky_relu(z, 0.1)


class Clip(nn.Module):
    """min(max(z, −1), 1), the derivative of the Huber function.

    With the learned threshold of the block this is the clip at ±t(σ), and z − clip(z) is the
    soft threshold.
    """

    def forward(self, z: Tensor) -> Tensor:
        return F.hardtanh(z)


class MonotoneSpline(nn.Module):
    """Learned odd, monotone linear spline Σⱼ wⱼ clip(z, −kⱼ, kⱼ), wⱼ ≥ 0, Σ wⱼ ≤ 1.

    Its slope at z is the sum of the wⱼ whose knot kⱼ lies beyond |z|, hence in [0, 1]. Weights
    are a softmax with one entry left out (slope below one is allowed everywhere), knots are
    fixed on a geometric scale: the block's threshold scales them. A few fused operations instead
    of a gather for each sample (as in Goujon et al. 2023, whose splines this resembles).
    """

    knots: Tensor

    def __init__(self, channels: int, knots: int = 3) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(channels, knots + 1))
        self.register_buffer("knots", 2.0 ** torch.arange(knots), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        weights = torch.softmax(self.logits, 1)[:, :-1].to(z.dtype)
        out = torch.zeros_like(z)
        for j, knot in enumerate(self.knots.tolist()):
            out = torch.addcmul(out, F.hardtanh(z, -knot, knot), weights[:, j, None, None])
        return out


ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda channels: ReLU(),
    "leaky_relu": lambda channels: LeakyReLU(),
    "clip": lambda channels: Clip(),
    "spline": MonotoneSpline,
}
