"""Gradients of convex functions whose slopes lie in [0, 1]: all that an Euler block admits.

Most act elementwise. Projections onto balls act on groups of neighbouring channels: the gradient
of the Huber function of the group's norm, as isotropic total variation has it, while an
elementwise clip belongs to the anisotropic one. Either way z ↦ φ(z) is firmly nonexpansive
(Bauschke & Combettes 2017, Cor. 18.17), which is what the block's constant rests on.

Each acts on *normalised* pre-activations z/t: a block divides by a learned threshold t(σ) > 0
before and multiplies by it after. With one t for each group that leaves the slopes, and so the
Lipschitz constant, alone. That is how one network follows the noise level.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Activation(nn.Module):
    """Base: maps (B, C, H, W) to the same shape.

    `group_size` neighbouring channels are mapped together; they share a threshold.
    """

    group_size: int = 1


class ReLU(Activation):
    """max(z, 0)."""

    def forward(self, z: Tensor) -> Tensor:
        return F.relu(z)


class LeakyReLU(Activation):
    """max(z, 0.1 z)."""

    def forward(self, z: Tensor) -> Tensor:
        return F.leaky_relu(z, 0.1)


class Clip(Activation):
    """min(max(z, −1), 1), the derivative of the Huber function.

    With the learned threshold of the block this is the clip at ±t(σ), and z − clip(z) is the
    soft threshold.
    """

    def forward(self, z: Tensor) -> Tensor:
        return F.hardtanh(z)


class MonotoneSpline(Activation):
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


class Ball(Activation):
    """z / max(‖z‖, 1) for each `size` channels at each pixel: the projection onto the unit ball.

    z minus it is the block soft threshold of group sparsity (Yuan & Lin 2006).

    Where a group acts on fields of `order` channels, a ball holds the same channel of each of
    `size` fields. The group permutes such balls, and as they share a threshold, commutes with all.
    """

    def __init__(self, channels: int, size: int, order: int = 1) -> None:
        super().__init__()
        self.group_size = size * order
        if channels % self.group_size:
            fields = f" fields of {order}" if order > 1 else ""
            raise ValueError(
                f"{channels} channels cannot be cut into groups of {size}{fields}; "
                f"expected a multiple of {self.group_size}"
            )
        self.shape = (-1, size, order)

    def forward(self, z: Tensor) -> Tensor:
        groups = z.unflatten(1, self.shape)
        square = (groups * groups).sum(2, keepdim=True)
        return (groups * torch.rsqrt(square.clamp_min(1.0))).flatten(1, 3)


# Made for a number of channels and the order of the group that permutes them, 1 without one.
ACTIVATIONS: dict[str, Callable[[int, int], Activation]] = {
    "relu": lambda channels, order: ReLU(),
    "leaky_relu": lambda channels, order: LeakyReLU(),
    "clip": lambda channels, order: Clip(),
    "spline": lambda channels, order: MonotoneSpline(channels),
    "ball4": lambda channels, order: Ball(channels, 4, order),
}
