"""Small exercises and a denoiser whose fixed points are near, for training at the fixed point."""

from __future__ import annotations

import torch
from torch import Tensor

from operators import kernels
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.fixed_point.exercises import Exercise, blurred, masked, posed
from pnp_recon.training.fixed_point.recipe import FixedPointRecipe

TINY = EulerConfig(width=8, hidden=8, blocks=2)
RECIPE = FixedPointRecipe(
    steps=4,
    batch=2,
    patch=32,
    learning_rate=2e-3,
    warmup=1,
    ema=0.5,
    bf16=False,
    iterations=4,
    terms=2,
)


def pictures(count: int = 2, side: int = 40) -> list[Tensor]:
    """Smooth stripes with a rectangle each, uint8."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    out = []
    for i in range(count):
        stripes = 0.5 + 0.3 * torch.sin(0.3 * rows + 0.2 * (i + 1) * columns)
        stripes[8:20, 4 + 2 * i : 16] = 0.2 + 0.2 * i
        out.append((stripes * 255).to(torch.uint8)[None])
    return out


def clean(side: int = 32) -> Tensor:
    return torch.stack(pictures(side=side)).double() / 255


# Of the pictures at whose fixed points gradients are taken.
SIDE = 16


def exercises() -> list[Exercise]:
    generator, x = torch.Generator().manual_seed(1), clean(SIDE)
    blur = blurred(x, [kernels.linear_motion(7, 30)], 8 / 255, generator)
    missing = masked(x, [0.5, 0.3], 8 / 255, generator)
    return [posed("blur", blur, 8 / 255), posed("inpainting", missing, 8 / 255)]


def fresh(seed: int) -> EulerNet:
    """With thresholds near the noise: few clips are active, and fixed points are near."""
    network = build_network(TINY, seed)
    with torch.no_grad():
        for block in network.flow_blocks():
            block.threshold.zero_()
            block.threshold[0] = -1.0
    return network


def net(seed: int = 0) -> EulerNet:
    network = fresh(seed).double().eval()
    network.certify()
    return network
