"""Training of a denoiser at the fixed point of the certified iteration that it runs in.

Every step has two parts: plain denoising, as in `denoiser.trainer`, so that it stays as good; and
one batch of inverse problems (`exercises`), solved to the fixed point, whose mean squared
error is differentiated implicitly (`equilibrium`). The Lipschitz constant is built into
the network and does not notice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators import kernels
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.problems.noise import validation_generator
from pnp_recon.training.denoiser.patches import random_patches
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.families import refreshed
from pnp_recon.training.fixed_point.equilibrium import fixed_point, implicit_loss
from pnp_recon.training.fixed_point.exercises import Exercise, blurred, draw, masked, posed
from pnp_recon.training.fixed_point.recipe import FixedPointRecipe
from pnp_recon.training.validation import VALIDATION_SIDE, validation_psnr

# As `FixedPointRecipe.iterations`, in the validation.
VALIDATION_ITERATIONS = 30
# The first guess is never taken for better than this mean squared error (60 dB).
LEAST_ERROR = 1e-6


class FixedPointTrainer(DenoiserTrainer):
    """A training run at the fixed point in a folder. See `DenoiserTrainer`."""

    recipe: FixedPointRecipe

    def objective(self) -> Tensor:
        """Loss of plain denoising and of one batch of problems."""
        weight = self.recipe.weight
        denoising = super().objective()
        return (1 - weight) * denoising + weight * self._reconstruction()

    def _reconstruction(self) -> Tensor:
        """The mean squared error at the fixed point over that of the first guess."""
        recipe = self.recipe
        clean = random_patches(self.pictures, recipe.batch, recipe.patch, self.generator)
        clean = clean.to(self.device)
        exercise = self._served(draw(clean, recipe.inpainting, self.generator))
        start = exercise.start()
        unit = float(F.mse_loss(start, clean)) + LEAST_ERROR

        # The forward pass of plain denoising has brought the norms up to the weights; here they
        # must stand still, or there would be no fixed point. In float32 in any case: rounding to
        # bfloat16 moves the fixed point by up to 1.5 dB, though a single step by little.
        with evaluating(self.network):
            z = solved(self.network, exercise, start, recipe.iterations)

        def step(z: Tensor) -> Tensor:
            with self.autocast():
                return exercise.step(self.network, z)

        return implicit_loss(
            step, z, lambda z: F.mse_loss(exercise.image(z), clean) / unit, recipe.terms
        )

    def _served(self, exercise: Exercise) -> Exercise:
        """The exercise with the nearest level that the denoiser is trained for."""
        level = min(max(exercise.level, self.recipe.sigma_min), self.recipe.sigma_max)
        return replace(exercise, level=level)

    def validate(self) -> dict[str, float]:
        """PSNR of the averaged weights: denoising by level, and `VALIDATION_EXERCISES`."""
        network = refreshed(self.average)
        with self.autocast():
            levels = self.recipe.validation_levels()
            denoising = validation_psnr(network, self.validation, levels, self.device)
        return denoising | restoration_psnr(network, self.validation, self.device)

    @torch.no_grad()
    def sheet(self) -> Tensor | None:
        """Four validation pictures at each exercise: first guess, fixed point, truth, error."""
        from pnp_recon.pictures.sheets import SHEET_PICTURES, scan_sheet

        if not self.validation:
            return None
        network = refreshed(self.average)
        parts: list[tuple[Tensor, ...]] = []
        shown = self.validation[:SHEET_PICTURES]
        for pose in VALIDATION_EXERCISES.values():
            for index, picture in enumerate(shown):
                clean = _crop(picture, self.device)
                exercise = pose(clean, validation_generator(index))
                parts.append((exercise.start(), restored(network, exercise), clean))
        return scan_sheet(*(torch.cat(column) for column in zip(*parts, strict=True)))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode for a while."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


def _motion(clean: Tensor, generator: torch.Generator) -> Exercise:
    noise = 7.65 / 255
    data = blurred(clean, [kernels.linear_motion(15, 30)], noise, generator)
    return posed("motion", data, noise)


def _gaussian(clean: Tensor, generator: torch.Generator) -> Exercise:
    noise = 2.55 / 255
    return posed("gaussian", blurred(clean, [kernels.gaussian(1.6)], noise, generator), noise)


def _inpainting(clean: Tensor, generator: torch.Generator) -> Exercise:
    return posed("inpainting", masked(clean, [0.5], 0.0, generator), 0.0)


# From the benchmark: motion 15 px, 30° at σ·255 = 7.65; Gaussian 1.6 px at 2.55; half the pixels.
VALIDATION_EXERCISES: dict[str, Callable[[Tensor, torch.Generator], Exercise]] = {
    "motion": _motion,
    "gaussian": _gaussian,
    "inpainting": _inpainting,
}


def solved(network: nn.Module, exercise: Exercise, start: Tensor, iterations: int) -> Tensor:
    """The fixed point, nearly."""
    steps = exercise.data.rounds * iterations
    return fixed_point(lambda z: exercise.step(network, z), start, steps)


def restored(network: nn.Module, exercise: Exercise) -> Tensor:
    """The picture at the fixed point, in [0, 1]."""
    z = solved(network, exercise, exercise.start(), VALIDATION_ITERATIONS)
    return exercise.image(z).clamp(0, 1)


@torch.no_grad()
def restoration_psnr(
    network: nn.Module, pictures: list[Tensor], device: str = "cpu"
) -> dict[str, float]:
    """Mean PSNR in dB at the fixed point of `VALIDATION_EXERCISES`, on central 128×128 crops.

    Args:
        network: in evaluation mode.
        pictures: uint8 (C, H, W); the noise is seeded by the index. Empty: nothing is measured.
    """
    found: dict[str, list[float]] = {name: [] for name in VALIDATION_EXERCISES}
    for index, picture in enumerate(pictures):
        clean = _crop(picture, device)
        for name, pose in VALIDATION_EXERCISES.items():
            image = restored(network, pose(clean, validation_generator(index)))
            found[name].append(-10 * math.log10(float(F.mse_loss(image, clean))))
    return {f"psnr_{name}": sum(psnr) / len(psnr) for name, psnr in found.items() if psnr}


def _crop(picture: Tensor, device: str) -> Tensor:
    return centre_crop(picture, VALIDATION_SIDE)[None].float().to(device) / 255
