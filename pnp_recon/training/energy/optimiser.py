"""Adam for energies, or Muon for the filters between features and Adam for everything else.

Unlike those of Euler blocks these filters have a size that counts, so it is left as it is.
"""

from __future__ import annotations

import torch
from torch import nn

from pnp_recon.errors import InputError
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.training.energy.denoising import RATES
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.optimisers import Optimiser

BETAS = (0.9, 0.99)
DECAY = 0.01


class EnergyOptimiser(Optimiser):
    """See `Optimiser`.

    Raises:
        InputError: Muon for an energy without filters that it may move.
    """

    def __init__(self, energy: Energy, recipe: EnergyRecipe) -> None:
        self.network, self.filters, self.parts = energy, [], {}
        self.inner = energy.inner_filters() if recipe.optimiser == "muon" else []
        # Matrices that share memory with the filters.
        self.matrices = [nn.Parameter(p.detach().view(len(p), -1)) for p in self.inner]
        if recipe.optimiser == "muon":
            if not self.inner:
                raise InputError(
                    "optimiser muon is for the inner filters of gradient-step energies; a ridge "
                    "energy is normalised as a whole: take adam"
                )
            self.parts["muon"] = torch.optim.Muon(
                self.matrices, recipe.muon_rate, weight_decay=DECAY
            )
        taken = {id(p) for p in self.inner}
        groups = [
            {"params": [p], "lr": recipe.learning_rate * RATES.get(name.split(".")[0], 1.0)}
            for name, p in energy.named_parameters()
            if id(p) not in taken
        ]
        self.parts["adam"] = torch.optim.Adam(groups, betas=BETAS)
        for group in self._groups():
            group["peak"] = group["lr"]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        for matrix, filters in zip(self.matrices, self.inner, strict=True):
            grad = filters.grad
            matrix.grad = None if grad is None else grad.view(len(grad), -1)
        super().step(factor)
