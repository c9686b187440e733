"""The networks of the study, and how they are trained: all alike, by the package's own trainer."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon.datasets.labelled import Labelled
from pnp_recon.networks.classifier import Classifier, build_classifier
from pnp_recon.networks.configs import ClassifierConfig
from pnp_recon.training.classifier.recipe import ClassifierRecipe
from pnp_recon.training.classifier.trainer import ClassifierTrainer, certified
from pnp_recon.training.seeding import seeded

# Chosen on 300 of the 1300 training pictures, see docs/results/robust.md.
DENSE = ClassifierConfig(width=128, blocks=3)
CONV = ClassifierConfig(architecture="conv", blocks=3, width=8)
RECIPE = ClassifierRecipe()
# A step of the convolutional network takes ten times as long, so that it makes fewer.
CONV_STEPS = 500
MODELS = ("dense", "conv", "ResNet")


class ResNet(nn.Module):
    """x ↦ x + Vσ(Wx + b) as often as the dense flow has blocks, and with as many numbers."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.width = config.width or config.inputs
        half = self.width // 2
        self.into = nn.ModuleList(nn.Linear(self.width, half) for _ in range(config.blocks))
        self.out = nn.ModuleList(nn.Linear(half, self.width) for _ in range(config.blocks))
        self.head = nn.Linear(self.width, config.classes)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        z = nn.functional.pad(flat, (0, self.width - flat.shape[1]))
        for into, out in zip(self.into, self.out, strict=True):
            z = z + out(torch.relu(into(z)))
        return cast(Tensor, self.head(z))


def train(model: str, seed: int, data: Labelled, recipe: ClassifierRecipe = RECIPE) -> nn.Module:
    """The trained network in float64, in evaluation mode; certified where it can be."""
    steps = min(recipe.steps, CONV_STEPS) if model == "conv" else recipe.steps
    recipe = replace(recipe, seed=seed, steps=steps)
    with seeded(seed):
        network: nn.Module = {
            "dense": lambda: build_classifier(DENSE),
            "conv": lambda: build_classifier(CONV),
            "ResNet": lambda: ResNet(DENSE),
        }[model]()
    nothing = data.part(torch.zeros(0, dtype=torch.long))
    with tempfile.TemporaryDirectory() as folder:
        trainer = ClassifierTrainer(network, recipe, data, nothing, Path(folder))
        trainer.run(lambda _: None, every=recipe.steps)
    average = trainer.average
    if isinstance(average, Classifier):
        return certified(average)
    return average.double().eval().requires_grad_(False)
