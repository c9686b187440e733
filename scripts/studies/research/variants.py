"""Networks that are only tried: other compositions of blocks, and nothing proven.

Each is called as network(x, sigma), as `EulerNet` is, and trains with `DenoiserTrainer`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.blocks import SIGMA_CENTRE, FlowBlock
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import SHIFT, EulerNet
from pnp_recon.networks.lifting import Haar


class Skip(EulerNet):
    """z ← (1 − θ) Φ(z) + θ Qx after every block: a convex combination, so still averaged.

    θ is learned; it is the term that pulls each step of a proximal iteration towards its input.
    """

    def __init__(self, config: EulerConfig, first: float = 0.1) -> None:
        super().__init__(config)
        logit = math.log(first / (1 - first))
        self.mix = nn.Parameter(torch.full((config.blocks,), logit))

    def _centred(self, x: Tensor, level: Tensor) -> Tensor:
        z = first = self.lifting.lift(x).contiguous(memory_format=torch.channels_last)
        for block, logit in zip(self.blocks, self.mix, strict=True):
            z = torch.lerp(block(z, level), first, torch.sigmoid(logit))
        return self.lifting.lower(z, (x.shape[-2], x.shape[-1]))


class Relaxed(EulerNet):
    """D = (1 − θ) I + θ N, N the composition of averaged blocks: θ-averaged, as N is nonexpansive.

    Trained in this form. θ = ½ makes D firmly nonexpansive, which Douglas–Rachford needs.
    """

    def __init__(self, config: EulerConfig, share: float = 0.5) -> None:
        super().__init__(config)
        self.share = share

    def _centred(self, x: Tensor, level: Tensor) -> Tensor:
        return torch.lerp(x, super()._centred(x, level), self.share)


def tied(config: EulerConfig) -> EulerNet:
    """One block again and again: averaged, as every composition of averaged maps is."""
    net = EulerNet(config)
    net.blocks = nn.ModuleList([net.blocks[0]] * config.blocks)
    return net


class Symmetrised(nn.Module):
    """The mean of g⁻¹N(gx) over the eight turns and flips g of the picture.

    Each term is averaged as N is, g being an isometry, and so is their mean.
    """

    def __init__(self, config: EulerConfig) -> None:
        super().__init__()
        self.net = EulerNet(config)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        total = torch.zeros_like(x)
        for turns in range(4):
            for flipped in (False, True):
                seen = torch.rot90(x, turns, (2, 3))
                out = self.net(seen.flip(3) if flipped else seen, sigma)
                total = total + torch.rot90(out.flip(3) if flipped else out, -turns, (2, 3))
        return total / 8


class Pyramid(nn.Module):
    """Blocks at half resolution, at a quarter, and at half again.

    On the way down an orthonormal Haar transform takes the features apart: the means go on, the
    details wait. Both ways are isometries, so that the whole is averaged as its blocks are.
    """

    def __init__(self, config: EulerConfig, outer: int = 3, inner: int = 4) -> None:
        super().__init__()
        self.net = EulerNet(config)
        self.haar = Haar()
        self.outer, self.inner = outer, inner
        if config.blocks != 2 * outer + inner:
            raise ValueError(f"{config.blocks} blocks; expected {2 * outer + inner}")

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        level = torch.as_tensor(sigma, dtype=x.dtype).reshape(-1)
        height, width = x.shape[-2:]
        x = F.pad(x - SHIFT, (0, -width % 4, 0, -height % 4))
        z = self.net.lifting.lift(x).contiguous(memory_format=torch.channels_last)
        blocks = list(self.net.blocks)
        for block in blocks[: self.outer]:
            z = block(z, level)
        parts = self.haar.lift(z).unflatten(1, (-1, 4))
        means = parts[:, :, 0].contiguous(memory_format=torch.channels_last)
        for block in blocks[self.outer : self.outer + self.inner]:
            means = block(means, level)
        z = self.haar.lower(torch.cat([means[:, :, None], parts[:, :, 1:]], 2).flatten(1, 2))
        z = z.contiguous(memory_format=torch.channels_last)
        for block in blocks[self.outer + self.inner :]:
            z = block(z, level)
        whole = self.net.lifting.lower(z, (x.shape[-2], x.shape[-1]))
        return whole[..., :height, :width] + SHIFT


class FreeBlock(FlowBlock):
    """The same block with two free sets of filters and nothing normalised: no guarantee."""

    def __init__(self, channels: int, hidden: int, kernel_size: int, activation: str) -> None:
        super().__init__(channels, hidden, kernel_size, activation)
        self.calibrate()
        with torch.no_grad():
            self.weight.div_(self.norm)
            self.second = nn.Parameter(-2 * self.relative_step * self.weight)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        t, pad = thresholds(self, sigma), self.weight.shape[-1] // 2
        z = F.conv2d(x, self.weight / t, self.bias, padding=pad)
        flow = F.conv_transpose2d(self.activation(z), self.second * t, padding=pad)
        return x + flow.to(x.dtype)


class Prox(EulerNet):
    """prox of λ Σ ψ(V·) by accelerated gradient steps with one set of filters (a CRR-NN's shape).

    The limit is firmly nonexpansive; a fixed number of steps is that up to what they leave.
    """

    def __init__(self, config: EulerConfig, steps: int = 20) -> None:
        super().__init__(config)
        self.steps = steps
        self.strength = nn.Parameter(torch.tensor([2.5, 0.3]))

    def _centred(self, x: Tensor, level: Tensor) -> Tensor:
        (block,) = self.flow_blocks()
        t, pad = thresholds(block, level), block.weight.shape[-1] // 2
        weight = block.weight / (block._estimate() if self.training else block.norm)
        strength = torch.exp(self.strength[0] + self.strength[1] * torch.log(level / SIGMA_CENTRE))
        y = self.lifting.lift(x).contiguous(memory_format=torch.channels_last)
        pace = 1 / (1 + strength)
        momentum = (1 - pace.sqrt()) / (1 + pace.sqrt())
        z = ahead = y
        for _ in range(self.steps):
            inner = block.activation(F.conv2d(ahead, weight / t, block.bias, padding=pad))
            slope = F.conv_transpose2d(inner, weight * t * strength, padding=pad)
            moved = ahead - pace * (ahead - y + slope)
            z, ahead = moved, moved + momentum * (moved - z)
        return self.lifting.lower(z.to(x.dtype), (x.shape[-2], x.shape[-1]))


def thresholds(block: FlowBlock, sigma: Tensor) -> Tensor:
    """t(σ) of one level, (hidden, 1, 1, 1)."""
    level = torch.log(sigma / SIGMA_CENTRE)
    powers = torch.stack([torch.ones_like(level), level, level**2], 1)
    scale = sigma[:, None] * torch.exp(powers @ block.threshold)
    return scale[0].repeat_interleave(block.activation.group_size)[:, None, None, None]
