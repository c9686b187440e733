"""A tiny denoiser and its trainer, for the tests of training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pnp_recon.networks.configs import EulerConfig
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.trainer import Progress

TINY = EulerConfig(width=8, hidden=8, blocks=2)
RECIPE = DenoiserRecipe(steps=12, batch=2, patch=16, learning_rate=1e-2, warmup=3, bf16=False)


def pictures(count: int = 3, channels: int = 1, side: int = 32) -> list[Tensor]:
    """Smooth stripes with a rectangle each, uint8."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    out = []
    for i in range(count):
        stripes = 0.5 + 0.4 * torch.sin(0.2 * rows + 0.1 * (i + 1) * columns)
        stripes[8:20, 4 + 2 * i : 16] = 0.2 + 0.2 * i
        out.append((stripes * 255).to(torch.uint8).repeat(channels, 1, 1))
    return out


def trainer(folder: Path, recipe: DenoiserRecipe = RECIPE, config: EulerConfig = TINY):
    images = pictures(channels=config.channels)
    return DenoiserTrainer(build_network(config, recipe.seed), recipe, images, images[:1], folder)


def ignore(progress: Progress) -> None:
    pass


def weights(done: DenoiserTrainer) -> dict[str, Tensor]:
    own = {f"network.{key}": value for key, value in done.network.state_dict().items()}
    return own | {f"average.{key}": value for key, value in done.average.state_dict().items()}


def differing(a: DenoiserTrainer, b: DenoiserTrainer) -> list[str]:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    return [key for key in ours if not torch.equal(ours[key], theirs[key])]
