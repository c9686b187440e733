"""Training of denoisers: random crops, Gaussian noise over a range of levels, exact resume.

Light on imports (torch alone), so that it runs on a bare machine. A run is a folder: the
checkpoint (`checkpoint.pt`, replaced atomically), the log (`log.csv`), sample sheets. A killed
run goes on from its checkpoint with the same random numbers, hence to the same weights.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.errors import InputError


@dataclass(frozen=True)
class DenoiserRecipe:
    """How a denoiser is trained. Noise levels in [0, 1] units (σ = 25/255, not 25)."""

    steps: int = 20_000
    batch: int = 16
    patch: int = 64
    sigma_min: float = 1 / 255
    sigma_max: float = 50 / 255
    learning_rate: float = 2e-3
    warmup: int = 200
    ema: float = 0.999
    seed: int = 0
    bf16: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min <= self.sigma_max <= 1:
            raise InputError(
                f"noise levels must satisfy 0 < min ≤ max ≤ 1 on the [0, 1] scale, found "
                f"{self.sigma_min} and {self.sigma_max}; write 25/255, not 25"
            )
        if min(self.steps, self.batch, self.patch) < 1:
            raise InputError("steps, batch and patch must be positive")


def random_patches(
    pictures: list[Tensor], count: int, size: int, generator: torch.Generator
) -> Tensor:
    """`count` crops (B, C, size, size) in [0, 1] of uint8 pictures, each turned and flipped.

    Pictures smaller than `size` are refused. The eight dihedral symmetries are equally likely.
    """
    patches = []
    for _ in range(count):
        picture = pictures[_integer(len(pictures), generator)]
        height, width = picture.shape[-2:]
        if min(height, width) < size:
            raise InputError(f"a training picture of {height}×{width} is smaller than {size}")
        top = _integer(height - size + 1, generator)
        left = _integer(width - size + 1, generator)
        patch = picture[:, top : top + size, left : left + size]
        symmetry = _integer(8, generator)
        patch = torch.rot90(patch, symmetry % 4, (1, 2))
        patches.append(patch.flip(2) if symmetry >= 4 else patch)
    return torch.stack(patches).float() / 255


def _integer(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(high, (1,), generator=generator))


def expected_error(sigma: float) -> float:
    """Typical mean squared error of a denoiser at this level, which evens out the loss.

    A fit to published denoising results on photographs: σ²/(1 + σ/0.02). Only the balance
    between noise levels depends on it.
    """
    return sigma**2 / (1 + sigma / 0.02)


def learning_rate_factor(step: int, recipe: DenoiserRecipe) -> float:
    """Linear warm-up, then a cosine down to 1 %."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@dataclass(frozen=True)
class Progress:
    """One line of the log."""

    step: int
    loss: float
    seconds: float
    psnr: dict[str, float]


class DenoiserTrainer:
    """A training run in a folder.

    Args:
        network: called as network(x, sigma); trained in place.
        recipe: see `DenoiserRecipe`.
        pictures: training pictures, uint8 (C, H, W).
        validation: pictures for the validation PSNR, uint8 (C, H, W); may be empty.
        folder: where checkpoint and log go; an existing checkpoint is resumed.
        device: "cpu" or "cuda".
    """

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
        self.recipe, self.folder, self.device = recipe, folder, device
        self.pictures, self.validation = pictures, validation
        self.network = network.to(device).train()
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Writes the checkpoint whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "recipe": asdict(self.recipe),
        }
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)

    def _resume(self) -> None:
        state: dict[str, Any] = torch.load(
            self.checkpoint, map_location=self.device, weights_only=True
        )
        if state["recipe"] != asdict(self.recipe):
            raise InputError(
                f"{self.checkpoint} was made with another recipe; give the same options to "
                "resume it, or another folder to start anew"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.bf16:
            return torch.autocast(self.device, torch.bfloat16)
        return nullcontext()

    def _batch(self) -> tuple[Tensor, Tensor, float]:
        """Clean and noisy patches and their level: one level a batch, uniform in log σ."""
        recipe = self.recipe
        clean = random_patches(self.pictures, recipe.batch, recipe.patch, self.generator)
        draw = float(torch.rand((), generator=self.generator))
        ratio = math.log(recipe.sigma_max / recipe.sigma_min)
        sigma = recipe.sigma_min * math.exp(draw * ratio)
        noise = torch.randn(clean.shape, generator=self.generator)
        clean = clean.to(self.device)
        return clean, clean + sigma * noise.to(self.device), sigma

    def train_step(self) -> float:
        """One optimiser step; returns the loss, about 1 for a good denoiser at any level."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)
        clean, noisy, sigma = self._batch()
        with self._autocast():
            restored = self.network(noisy, sigma)
        loss = F.mse_loss(restored.float(), clean) / expected_error(sigma)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self._update_average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for mean, value in pairs:
            mean.lerp_(value, 1 - decay)
        for mean, value in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mean.copy_(value)

    @torch.no_grad()
    def validate(
        self, levels: tuple[float, ...] = (5 / 255, 15 / 255, 25 / 255)
    ) -> dict[str, float]:
        """Mean PSNR of the averaged weights on 128² centre crops, each level with its own seed.

        The norm that divides the averaged weights is refreshed first: averaging moves it.
        """
        network = refreshed(self.average)
        result = {}
        for level in levels:
            total = 0.0
            for index, picture in enumerate(self.validation):
                clean = centre_crop(picture, 128)[None].float().to(self.device) / 255
                generator = torch.Generator().manual_seed(index)
                noise = torch.randn(clean.shape, generator=generator).to(self.device)
                with self._autocast():
                    restored = network(clean + level * noise, level)
                error = F.mse_loss(restored.float(), clean)
                total += float(-10 * torch.log10(error)) / len(self.validation)
            result[f"psnr_{round(level * 255, 2):g}"] = total
        return result

    def run(self, report: Callable[[Progress], None], every: int = 250) -> None:
        """Trains to the last step; logs, validates and saves every `every` steps."""
        for progress in self._iterate(every):
            self._log(progress)
            self.save()
            report(progress)

    def _iterate(self, every: int) -> Iterator[Progress]:
        mean, begin = 0.0, time.perf_counter()
        while self.step < self.recipe.steps:
            loss = self.train_step()
            if not math.isfinite(loss):
                raise InputError(f"the loss became {loss} at step {self.step}; lower the rate")
            mean = loss if mean == 0 else 0.99 * mean + 0.01 * loss
            if self.step % every == 0 or self.step == self.recipe.steps:
                now = time.perf_counter()
                self.seconds, begin = self.seconds + now - begin, now
                yield Progress(self.step, mean, self.seconds, self.validate())

    def _log(self, progress: Progress) -> None:
        row = {"step": progress.step, "loss": progress.loss, "seconds": progress.seconds}
        row |= progress.psnr
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def refreshed(network: nn.Module, steps: int = 20) -> nn.Module:
    """A copy whose norm estimates belong to its own weights (evaluation during training only)."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        for module in network.modules():
            estimate = getattr(module, "_estimate", None)
            for _ in range(steps if estimate else 0):
                estimate()
    return network.eval()


def centre_crop(picture: Tensor, size: int) -> Tensor:
    """The central crop of at most `size` pixels a side."""
    height, width = picture.shape[-2:]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return picture[..., top : top + size, left : left + size]


def with_seed(recipe: DenoiserRecipe, seed: int) -> DenoiserRecipe:
    return replace(recipe, seed=seed)
