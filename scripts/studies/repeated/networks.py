"""DnCNNs of one noise level, with and without batch normalisation, small enough for a processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pnp_recon.datasets.folders import TrainingData
from pnp_recon.problems.noise import seeded
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.seeding import seeded as weights_from


@dataclass(frozen=True)
class Trial:
    """A network and how it is trained. `level` is σ·255; `kept` are the steps that are measured."""

    level: float
    batch_norm: bool
    depth: int = 12
    width: int = 24
    kept: tuple[int, ...] = (300, 1500)

    @property
    def name(self) -> str:
        kind = "bn" if self.batch_norm else "plain"
        return f"{kind}_{self.depth}x{self.width}_{self.level:g}_{self.kept[-1]}"


PATCH = 32
# σ = 0.15 is the level of the source.
TRIALS = (
    Trial(38.25, True),
    Trial(38.25, False),
    Trial(15.0, True),
    Trial(15.0, False),
    Trial(38.25, True, depth=20),
    Trial(38.25, True, kept=(4000,)),
)


class Layers(nn.Module):
    """x − R(x) as in Zhang et al. 2017: convolutions 3×3, ReLU, batch normalisation or none."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        width, parts = trial.width, [nn.Conv2d(1, trial.width, 3, padding=1), nn.ReLU()]
        for _ in range(trial.depth - 2):
            parts.append(nn.Conv2d(width, width, 3, padding=1, bias=not trial.batch_norm))
            if trial.batch_norm:
                parts.append(nn.BatchNorm2d(width))
            parts.append(nn.ReLU())
        last = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(*parts, last)
        for part in self.layers[2:-1]:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)

    def forward(self, x: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        found: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return x - found.to(x.dtype)


def train(
    trial: Trial, data: TrainingData, folder: Path, said: Callable[[str], None]
) -> dict[int, Layers]:
    """The weights after each of `trial.kept` steps, from the folder where they are there."""
    kept = {step: folder / f"weights_{step}.pt" for step in trial.kept}
    with weights_from(0):
        network = Layers(trial)
    level = trial.level / 255
    recipe = DenoiserRecipe(
        steps=trial.kept[-1],
        patch=PATCH,
        learning_rate=1e-3,
        warmup=min(100, trial.kept[0]),
        ema=0.9,
        sigma_min=level,
        sigma_max=level,
    )
    trainer = DenoiserTrainer(network, recipe, data.training, data.validation, folder)
    while trainer.step < recipe.steps:
        trainer.train_step()
        if trainer.step in kept:
            # The statistics of batch normalisation belong to the last weights, not their average.
            torch.save(trainer.network.state_dict(), kept[trainer.step])
            trainer.save()
            said(f"{trial.name}: step {trainer.step}, loss {trainer.loss:.4f}")
    found = {}
    for step, path in kept.items():
        network = Layers(trial)
        network.load_state_dict(torch.load(path, weights_only=True))
        found[step] = network.eval().requires_grad_(False)
    return found


def level_noise(shape: tuple[int, ...], level: float) -> Tensor:
    """The noise that the orbits start with."""
    return level / 255 * torch.randn(shape, generator=seeded(7))
