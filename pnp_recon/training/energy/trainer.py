"""Training of an energy: as a denoiser, then at critical points of restoration problems."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import kernels
from pnp_recon.networks.energies.energy import Energy
from pnp_recon.networks.energies.ridge import RidgeNet
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.problems.noise import validation_generator
from pnp_recon.problems.running import running_levels, running_noise
from pnp_recon.training.denoiser.patches import check_size, random_patches
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.energy.critical import Effort, critical_loss, reached, shown
from pnp_recon.training.energy.denoising import Loss, ProximalLoss, direct_loss
from pnp_recon.training.energy.optimiser import EnergyOptimiser
from pnp_recon.training.energy.problems import Circular, Pixels, Restoration, draw
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.fixed_point.exercises import blurred, masked
from pnp_recon.training.recipe import learning_rate_factor
from pnp_recon.training.validation import VALIDATION_SIDE, validation_psnr

# Pictures that are restored in a validation: each takes as long as tens of denoisings.
RESTORED = 4


class EnergyTrainer(DenoiserTrainer):
    """A training run of an energy in a folder. See `DenoiserTrainer`.

    Attributes:
        best: averaged weights of the best validation so far, with its step, score and figures;
            empty before the first.
    """

    network: Energy
    average: Energy
    recipe: EnergyRecipe

    def __init__(
        self,
        network: Energy,
        recipe: EnergyRecipe,
        pictures: list[Tensor],
        validation: list[Tensor],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        self.best: dict[str, Any] = {}
        if recipe.critical:
            for picture in pictures:
                check_size(picture, recipe.critical_patch)
        super().__init__(network, recipe, pictures, validation, folder, device)
        self.proximal = None
        if isinstance(self.network, RidgeNet):
            place = torch.device(device)
            self.proximal = ProximalLoss(self.network, recipe.inner, recipe.cg, place)

    def make_optimiser(self) -> EnergyOptimiser:
        return EnergyOptimiser(self.network, self.recipe)

    def autocast(self) -> AbstractContextManager[Any]:
        """Arithmetic is chosen within the network, and only where an error does not matter."""
        return nullcontext()

    @property
    def at_critical_points(self) -> bool:
        """Whether the next step is of the last phase."""
        return self.step >= round((1 - self.recipe.critical) * self.recipe.steps)

    def rate(self) -> float:
        factor = learning_rate_factor(self.step, self.recipe)
        return factor * (self.recipe.critical_rate if self.at_critical_points else 1.0)

    def objective(self) -> Tensor:
        recipe = self.recipe
        if not self.at_critical_points:
            return _reported(self._denoising())
        clean = random_patches(
            self.pictures, recipe.critical_batch, recipe.critical_patch, self.generator
        )
        # Drawn on the CPU, so that all devices are set the same problems.
        problem = draw(clean, recipe, self.generator).to(self.device)
        effort = Effort(recipe.solve, recipe.adjoint, coarse=recipe.bf16)
        restoring = critical_loss(self.network, problem, clean.to(self.device), effort)
        if not recipe.denoising:
            return _reported(restoring)
        return _reported(restoring) + recipe.denoising * _reported(self._denoising())

    def _denoising(self) -> Loss:
        recipe = self.recipe
        clean = random_patches(self.pictures, recipe.batch, recipe.patch, self.generator)
        limits = (255 * recipe.sigma_min, 255 * recipe.sigma_max)
        sigma = running_levels(limits, recipe.batch, self.generator)
        noisy = clean + sigma[:, None, None, None] * running_noise(self.generator)(clean)
        noisy, clean, sigma = (x.to(self.device) for x in (noisy, clean, sigma))
        if self.proximal is not None:
            return self.proximal(noisy, clean, sigma)
        return direct_loss(self.network, noisy, clean, sigma)

    # ---- validation ------------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """PSNR of the averaged weights; they are kept where their mean is the best so far."""
        levels = self.recipe.validation_levels()
        found = validation_psnr(self.average, self.validation, levels, self.device)
        if self.recipe.critical:
            found |= self.restored()
        score = sum(found.values()) / len(found) if found else float(self.step)
        if math.isfinite(score) and score > self.best.get("score", -math.inf):
            state = copy.deepcopy(self.average.state_dict())
            self.best = {"score": score, "step": self.step, "psnr": found, "average": state}
        return found

    @torch.no_grad()
    def restored(self) -> dict[str, float]:
        """Mean PSNR in dB at critical points of `EXERCISES`, at the recipe's strength."""
        effort = Effort(self.recipe.solve, 1)
        found: dict[str, list[float]] = {name: [] for name in EXERCISES}
        for index, picture in enumerate(self.validation[:RESTORED]):
            clean = centre_crop(picture, VALIDATION_SIDE)[None].float() / 255
            for name, pose in EXERCISES.items():
                problem = pose(clean, self.recipe.strength, validation_generator(index))
                problem = problem.to(self.device)
                x = reached(self.average, problem, effort)
                x = shown(self.average, problem, x).clamp(0, 1)
                square = float((x.cpu() - clean).square().mean())
                found[name].append(-10 * math.log10(square))
        return {f"psnr_{name}": sum(psnr) / len(psnr) for name, psnr in found.items() if psnr}

    def more_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def restore_more(self, state: dict[str, Any]) -> None:
        self.best = state.get("best", {})


def _reported(loss: Loss) -> Tensor:
    """A number that has the value of the one and the derivative of the other."""
    differentiated, value = loss
    return value.detach() + (differentiated - differentiated.detach())


Pose = Callable[[Tensor, float, torch.Generator], Restoration]


def _blur(kernel: Tensor, noise: float) -> Pose:
    def pose(clean: Tensor, strength: float, generator: torch.Generator) -> Restoration:
        return _posed(Circular(blurred(clean, [kernel], noise, generator)), noise, strength, clean)

    return pose


def _missing(rate: float, noise: float) -> Pose:
    def pose(clean: Tensor, strength: float, generator: torch.Generator) -> Restoration:
        return _posed(Pixels(masked(clean, [rate], noise, generator)), noise, strength, clean)

    return pose


def _posed(data: Circular | Pixels, noise: float, strength: float, clean: Tensor) -> Restoration:
    level, weight = clean.new_tensor([noise]), clean.new_full((1, 1, 1, 1), strength)
    return Restoration(data, level, weight)


# Camera shake and a Gaussian of 1.6 px at σ·255 = 2.55 and 7.65; half of the pixels at 7.65.
EXERCISES: dict[str, Pose] = {
    "shake_2.55": _blur(kernels.trajectory(25, 900), 2.55 / 255),
    "shake_7.65": _blur(kernels.trajectory(25, 901), 7.65 / 255),
    "gaussian_2.55": _blur(kernels.gaussian(1.6), 2.55 / 255),
    "missing_7.65": _missing(0.5, 7.65 / 255),
}
