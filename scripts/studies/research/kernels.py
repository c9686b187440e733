"""Blocks of other filters: dilated ones, and factored ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.blocks import FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet


class Dilated(FlowBlock):
    """The block with its filters dilated by two.

    That is the block on each of the four pictures of every second pixel (of a picture whose sides
    zeros make even); taking it apart is an isometry, so it is averaged as the block is.
    """

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, width % 2, 0, height % 2))
        parts = F.pixel_unshuffle(padded, 2).unflatten(1, (-1, 4)).transpose(1, 2)
        level = sigma if sigma.numel() == 1 else sigma.repeat_interleave(4)
        apart = parts.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        moved = super().forward(apart, level).unflatten(0, (-1, 4))
        whole = F.pixel_shuffle(moved.transpose(1, 2).flatten(1, 2), 2)[..., :height, :width]
        return whole.contiguous(memory_format=torch.channels_last)


def every_second_dilated(config: EulerConfig) -> EulerNet:
    """A network whose second, fourth, … block is dilated."""
    net = EulerNet(config)
    sizes = (config.width, config.hidden, config.kernel_size, config.activation)
    for index in range(1, config.blocks, 2):
        net.blocks[index] = Dilated(*sizes)
    return net


class Factored(FlowBlock):
    """Filters W behind a 3×3 kernel G for each channel: 5×5 for the cost of 3×3.

    ‖G‖ ≤ Σ|g| = 1 (Young), so ‖VG‖ ≤ ‖V‖, and the block of VG is x + Gᵀ(Φ − 1)(Gx) with the
    block Φ of V: averaged as Φ is.
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int, activation: str) -> None:
        super().__init__(channels, hidden, kernel_size, activation)
        centre = F.pad(torch.ones(channels, 1, 1, 1), (1, 1, 1, 1))
        self.kernel = nn.Parameter(centre + 0.05 * torch.randn(centre.shape))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        kernel = self.kernel / self.kernel.abs().sum((1, 2, 3), keepdim=True)
        channels = x.shape[1]
        # The difference below is small: G must not be rounded to bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            seen = F.conv2d(x, kernel, padding=1, groups=channels)
        change = super().forward(seen, sigma) - seen
        with torch.autocast(x.device.type, enabled=False):
            return x + F.conv_transpose2d(change, kernel, padding=1, groups=channels)
