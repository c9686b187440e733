"""What was tried for the denoiser: one row each, a short training under the same conditions.

Grey, 24 of the 232 training pictures held out for the figures, 8 patches of 64×64 a step, one
thread, bfloat16, seed 0. Rows differ in what they name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from unittest.mock import patch

import torch
from research.variants import Overlapping, Prox, Pyramid, Skip, free
from torch import nn

from pnp_recon.networks.activations import ACTIVATIONS, Activation, Ball
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training_recipe import DenoiserRecipe

# Only tried, so known while a network is built, and not among those that ship.
TRIED: dict[str, Callable[[int], Activation]] = {
    "ball16": lambda channels: Ball(channels, 16),
    "overlap4": lambda channels: Overlapping(channels, 4),
}

SMALL = {"width": 32, "hidden": 32}


@dataclass(frozen=True)
class Trial:
    """One row.

    Attributes:
        question: what it is compared for.
        network, recipe: what differs from the usual ones.
        build: the class or function that makes the network.
        first: mean and spread of log(t/σ), the thresholds at the start.
        step: the relative step s at the start, None for the usual one.
    """

    question: str
    network: dict[str, object] = field(default_factory=dict)
    recipe: dict[str, object] = field(default_factory=dict)
    build: Callable[[EulerConfig], nn.Module] = EulerNet
    first: tuple[float, float] = (-2.5, 1.0)
    step: float | None = None

    def make(self) -> nn.Module:
        torch.manual_seed(0)
        fields = {"activation": "ball4", **self.network}
        with patch.dict(ACTIVATIONS, TRIED):
            net = self.build(EulerConfig(**fields))  # type: ignore[arg-type]
        mean, spread = self.first
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.endswith("threshold"):
                    parameter[0] = mean + spread * torch.randn(parameter.shape[1])
                if name.endswith("step_logit") and self.step is not None:
                    parameter.fill_(torch.logit(torch.tensor(self.step / 0.99)))
        return net

    def settings(self) -> DenoiserRecipe:
        usual = {"steps": 600, "optimiser": "muon", "learning_rate": 0.01, "ema": 0.99}
        return DenoiserRecipe(**{**usual, "warmup": 100, **self.recipe})  # type: ignore[arg-type]


ADAM = {"optimiser": "adam", "learning_rate": 4e-3}
EQUAL = (-1.0, 0.0)

TRIALS = {
    # How it began: the network of the first release, and what each change brings.
    "adam_clip": Trial("start", {"activation": "clip"}, ADAM, first=EQUAL),
    "adam_ball4": Trial("activation", {}, ADAM, first=EQUAL),
    "muon_clip": Trial("optimiser", {"activation": "clip"}, first=EQUAL),
    "muon_ball4": Trial("optimiser", first=EQUAL),
    "usual": Trial("thresholds"),
    # Thresholds at the start.
    "first_0": Trial("thresholds", first=(0.0, 1.0)),
    "first_-1": Trial("thresholds", first=(-1.0, 1.0)),
    "first_-1_wide": Trial("thresholds", first=(-1.0, 2.0)),
    "first_-3": Trial("thresholds", first=(-3.0, 1.0)),
    "step_half": Trial("steps", step=0.5),
    # Activations.
    "clip": Trial("activation", {"activation": "clip"}),
    "spline": Trial("activation", {"activation": "spline"}),
    "ball16": Trial("activation", {"activation": "ball16"}),
    "overlap4": Trial("activation", {"activation": "overlap4"}),
    # Size and shape.
    "small": Trial("size", dict(SMALL)),
    "hidden_128": Trial("size", {"hidden": 128}),
    "blocks_4": Trial("size", {"blocks": 4}),
    "blocks_16": Trial("size", {"blocks": 16}),
    "kernel_5": Trial("size", {"blocks": 4, "kernel_size": 5}),
    "pyramid": Trial("multi-scale", {"blocks": 10}, build=Pyramid),
    "one_step_11": Trial(
        "one gradient step at full resolution",
        {"width": 1, "hidden": 32, "kernel_size": 11, "blocks": 1, "lifting": "pad"}
        | {"activation": "clip"},
        {"steps": 1500},
        first=(0.0, 1.0),
        step=0.5,
    ),
    # Liftings.
    "unshuffle": Trial("lifting", {**SMALL, "lifting": "unshuffle"}),
    "orthonormal": Trial("lifting", {**SMALL, "lifting": "orthonormal"}),
    "haar2": Trial("lifting", {**SMALL, "lifting": "haar2"}),
    # Structure.
    "skip": Trial("weight on the input", dict(SMALL), build=Skip),
    "prox_20": Trial(
        "tied weights, accelerated",
        {"width": 4, "hidden": 64, "kernel_size": 5, "blocks": 1},
        build=Prox,
    ),
    # Training.
    "small_3000": Trial("longer", dict(SMALL), {"steps": 3000}),
    "small_only_25": Trial(
        "one level", dict(SMALL), {"sigma_min": 25 / 255, "sigma_max": 25 / 255}
    ),
    "small_batch_16": Trial("batch", dict(SMALL), {"batch": 16}),
    "small_patch_128": Trial("patch", dict(SMALL), {"batch": 2, "patch": 128}),
    # The price of the guarantee.
    "free_small": Trial("no constraint", dict(SMALL), {"learning_rate": 1e-3}, build=free),
    "free": Trial("no constraint", {}, {"learning_rate": 1e-3}, build=free),
}
