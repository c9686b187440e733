"""The trainer of the rows: other losses, and constraints that tighten."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer

LOSSES = ("squares", "log", "absolute")


class TrialTrainer(DenoiserTrainer):
    """A `DenoiserTrainer` with a loss from `LOSSES`; modules with `follow` hear of the progress."""

    def __init__(
        self,
        network: nn.Module,
        recipe: DenoiserRecipe,
        data: TrainingData,
        folder: Path,
        loss: str = "squares",
    ) -> None:
        super().__init__(network, recipe, data.training, data.validation, folder)
        self.kind = loss

    def objective(self) -> Tensor:
        for module in self.network.modules():
            follow = getattr(module, "follow", None)
            if follow is not None:
                follow(self.step / self.recipe.steps)
        if self.kind == "squares":
            return super().objective()
        clean, noisy, sigma = self._batch()
        with self.autocast():
            error = self.network(noisy, sigma).float() - clean
        if self.kind == "absolute":
            return error.abs().mean() / math.sqrt(self.recipe.typical_error(sigma))
        # The mean of log(MSE) over the patches: the mean PSNR, but for what keeps it finite.
        squares = error.square().flatten(1).mean(1) / self.recipe.typical_error(sigma)
        return 1 + torch.log(0.05 + squares).mean()
