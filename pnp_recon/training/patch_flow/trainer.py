"""Training of a patch flow: the likelihood of noisy patches, and how well it tells their noise.

The two terms ask for the same density: −log p_σ is least for the true one (Kullback & Leibler
1951), and so is the error of −σ∇log p_σ as an estimate of the noise (Vincent 2011). The second is
what a descent feels.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon.networks.energies.patch_flow import PatchFlowNet
from pnp_recon.problems.noise import seeded
from pnp_recon.problems.running import running_noise
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.patch_flow.recipe import PatchFlowRecipe
from pnp_recon.training.validation import validation_psnr

# Patches that the flow's whitening is computed from.
WHITENED = 50_000


class PatchFlowTrainer(DenoiserTrainer):
    """A training run of a patch flow in a folder. See `DenoiserTrainer`."""

    network: nn.Module
    recipe: PatchFlowRecipe

    def __init__(
        self,
        network: PatchFlowNet,
        recipe: PatchFlowRecipe,
        pictures: list[Tensor],
        validation: list[Tensor],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        chosen = spaced(pictures, recipe.few)
        generator = seeded(recipe.seed)
        if chosen:
            network.whiten(patches(chosen, WHITENED, network.config.size, generator))
        super().__init__(network, recipe, chosen, validation, folder, device)

    def objective(self) -> Tensor:
        recipe, flow = self.recipe, cast(PatchFlowNet, self.network)
        clean = patches(self.pictures, recipe.batch, flow.config.size, self.generator)
        draw = torch.rand(len(clean), generator=self.generator)
        sigma = recipe.sigma_min * (draw * math.log(recipe.sigma_max / recipe.sigma_min)).exp()
        noise = running_noise(self.generator)(clean)
        clean, sigma, noise = (part.to(self.device) for part in (clean, sigma, noise))
        return flow_loss(flow, clean, sigma, noise, recipe.score)

    def validate(self) -> dict[str, float]:
        """PSNR of the averaged weights as a denoiser, at the recipe's validation levels."""
        average = copy.deepcopy(self.average)
        return validation_psnr(
            average, self.validation, self.recipe.validation_levels(), self.device
        )


def flow_loss(
    flow: PatchFlowNet, clean: Tensor, sigma: Tensor, noise: Tensor, score: float
) -> Tensor:
    """Mean −log p_σ a number and, weighted, the squared error of σ∇(−log p_σ) as the noise.

    Args:
        flow: the density of patches of d numbers.
        clean, noise: (N, d); noise of variance 1.
        sigma: (N,).
        score: weight of the second term.
    """
    noisy = clean + sigma[:, None] * noise
    cost, slope = flow.patch_cost(noisy, sigma, keep=score > 0)
    # The part of −log p that the energy leaves out.
    left = flow.left_out(sigma)
    loss = (cost + left).mean() / flow.dim
    if slope is None:
        return loss
    return loss + score * (sigma[:, None] * slope - noise).square().mean()


def spaced(pictures: list[Tensor], few: int) -> list[Tensor]:
    """So many of the pictures, evenly spaced; all where there are fewer, or for 0."""
    if not few or few >= len(pictures):
        return pictures
    return [pictures[(2 * i + 1) * len(pictures) // (2 * few)] for i in range(few)]


def patches(pictures: list[Tensor], count: int, size: int, generator: torch.Generator) -> Tensor:
    """Patches (N, C·size²) in [0, 1] of uint8 pictures (C, H, W), or of floats in [0, 1].

    All places of a picture are equally likely; those of one picture in a batch are turned and
    flipped alike, by one of the eight symmetries of the square.
    """
    which = torch.randint(len(pictures), (count,), generator=generator)
    found = []
    for k in which.unique().tolist():
        picture, number = pictures[k], int((which == k).sum())
        places = picture.unfold(1, size, 1).unfold(2, size, 1)
        rows = torch.randint(places.shape[1], (number,), generator=generator)
        columns = torch.randint(places.shape[2], (number,), generator=generator)
        taken = places[:, rows, columns].transpose(0, 1)
        taken = taken.float() / 255 if taken.dtype is torch.uint8 else taken
        symmetry = int(torch.randint(8, (1,), generator=generator))
        taken = torch.rot90(taken, symmetry % 4, (2, 3))
        found.append((taken.flip(3) if symmetry >= 4 else taken).flatten(1))
    return torch.cat(found)
