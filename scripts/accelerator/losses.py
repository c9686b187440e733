"""What is differentiated in training: denoising, and the error at the critical point of an energy.

A loss is a pair: what is differentiated, and the number that is reported. Denoising looks at no
number on the device, so that its step can be captured in a CUDA graph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pnp_recon.networks.energies.energy import Energy
from pnp_recon.problems.noise import seeded
from pnp_recon.training.energy.critical import Effort, critical_loss
from pnp_recon.training.energy.denoising import Loss, ProximalLoss, root_error
from pnp_recon.training.energy.problems import draw
from pnp_recon.training.energy.recipe import EnergyRecipe
from scripts.accelerator.data import Patches

__all__ = ["LEVELS", "CriticalLoss", "Loss", "ProximalLoss", "noisy_patches", "root_error"]

# Noise levels of the training, σ·255; the root of the level is uniform.
LEVELS = (0.5, 50.0)


def draw_levels(batch: int, device: torch.device) -> Tensor:
    low, high = (math.sqrt(level) for level in LEVELS)
    return (low + (high - low) * torch.rand(batch, device=device)).square() / 255


def noisy_patches(data: Patches, batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy and clean patches, and their levels."""
    clean = data.draw(batch, size)
    sigma = draw_levels(batch, clean.device)
    return clean + sigma[:, None, None, None] * torch.randn_like(clean), clean, sigma


class CriticalLoss:
    """The error at critical points of ½‖Ax − y‖² + λR_σ(x), three blurs to one mask.

    The problems are drawn on the CPU and the derivative asks the device for numbers, so that this
    step cannot be captured in a graph.
    """

    def __init__(self, energy: Energy, data: Patches, patch: int, seed: int) -> None:
        self.energy, self.data, self.patch = energy, data, patch
        self.generator = seeded(seed)
        self.recipe = EnergyRecipe(masks=0.25)

    def __call__(self, batch: int) -> Loss:
        clean = self.data.draw(batch, self.patch)
        posed = draw(clean.cpu(), self.recipe, self.generator).to(clean.device)
        effort = Effort(self.recipe.solve, self.recipe.adjoint, coarse=self.recipe.bf16)
        differentiated, loss = critical_loss(self.energy, posed, clean, effort)
        return differentiated, loss.detach()
