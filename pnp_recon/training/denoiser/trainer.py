"""Training of denoisers: random crops of pictures, Gaussian noise over a range of levels."""

from __future__ import annotations

import math
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.problems.noise import validation_noise
from pnp_recon.problems.running import running_noise, uniform
from pnp_recon.training.denoiser.patches import check_size, random_patches
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.families import refreshed
from pnp_recon.training.trainer import Trainer
from pnp_recon.training.validation import validation_psnr


class DenoiserTrainer(Trainer):
    """A training run of a denoiser in a folder.

    Args:
        network: called as network(x, sigma); trained in place. To resume, build the same one.
        recipe: see `DenoiserRecipe`.
        pictures: training pictures, uint8 (C, H, W), no side below `recipe.patch`.
        validation: pictures for the validation PSNR, uint8 (C, H, W); may be empty.
        folder: where checkpoint and log go; an existing checkpoint is resumed.
        device: "cpu" or "cuda".

    Raises:
        InputError: no pictures, a picture smaller than a patch, or a checkpoint that is damaged
            or belongs to another recipe or network.
    """

    recipe: DenoiserRecipe

    def __init__(
        self,
        network: nn.Module,
        recipe: DenoiserRecipe,
        pictures: list[Tensor],
        validation: list[Tensor],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        if not pictures:
            raise InputError("no training pictures were given")
        for picture in pictures:
            check_size(picture, recipe.patch)
        self.pictures, self.validation = pictures, validation
        super().__init__(network, recipe, folder, device)

    def objective(self) -> Tensor:
        """Mean squared error over its expected value: about 1 for a good denoiser at any level."""
        clean, noisy, sigma = self._batch()
        with self.autocast():
            restored = self.network(noisy, sigma)
        return F.mse_loss(restored.float(), clean) / self.recipe.typical_error(sigma)

    def _batch(self) -> tuple[Tensor, Tensor, float]:
        """Clean and noisy patches and their level: one level a batch, uniform in log σ."""
        recipe = self.recipe
        clean = random_patches(self.pictures, recipe.batch, recipe.patch, self.generator)
        draw = uniform(0, 1, self.generator)
        ratio = math.log(recipe.sigma_max / recipe.sigma_min)
        sigma = recipe.sigma_min * math.exp(draw * ratio)
        noise = running_noise(self.generator)(clean)
        clean = clean.to(self.device)
        return clean, clean + sigma * noise.to(self.device), sigma

    def validate(self) -> dict[str, float]:
        """PSNR of the averaged weights at the recipe's validation levels.

        The norm that divides the averaged weights is refreshed first: averaging moves it.
        """
        network = refreshed(self.average)
        with self.autocast():
            return validation_psnr(
                network, self.validation, self.recipe.validation_levels(), self.device
            )

    def sheet(self) -> Tensor | None:
        """Up to four validation pictures at each level: clean, noisy, denoised."""
        from pnp_recon.pictures.sheets import SHEET_PICTURES, sample_sheet

        if not self.validation:
            return None
        levels = self.recipe.validation_levels()
        shown = self.validation[:SHEET_PICTURES]
        return sample_sheet(refreshed(self.average), shown, levels, validation_noise, self.device)
