"""What was tried for the denoiser: one row each, a short training under the same conditions.

Grey, 24 of the 232 training pictures held out for the figures, 8 patches of 64×64 a step, one
thread, bfloat16, seed 0. The network is `small`: Haar lifting, 8 blocks of 32 features and 32
filters of 3×3, projections onto balls of 4 channels; 600 steps. Rows differ in what they name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from unittest.mock import patch

import torch
from torch import nn

from pnp_recon.networks.activations import ACTIVATIONS, Activation, Ball
from pnp_recon.networks.blocks import STEP_LIMIT
from pnp_recon.networks.euler import EulerConfig, EulerNet
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from scripts.studies.research.activations import Balls, Overlapping
from scripts.studies.research.kernels import Factored, every_second_dilated
from scripts.studies.research.normalisation import (
    Bjorck,
    Columns,
    Orthogonal,
    Rows,
    Tightened,
    with_blocks,
    with_filters,
)
from scripts.studies.research.variants import (
    FreeBlock,
    Prox,
    Pyramid,
    Relaxed,
    Skip,
    Symmetrised,
    tied,
)

# Only tried, so known while a network is built, and not among those that ship.
TRIED: dict[str, Callable[[int, int], Activation]] = {
    "ball2": lambda channels, order: Ball(channels, 2),
    "ball8": lambda channels, order: Ball(channels, 8),
    "overlap4": lambda channels, order: Overlapping(channels, 4),
    "radii3": lambda channels, order: Balls(channels, 4, 3),
}

# What every row starts from.
SMALL: dict[str, object] = {"width": 32, "hidden": 32, "activation": "ball4"}
USUAL: dict[str, object] = {
    "steps": 600,
    "optimiser": "muon",
    "learning_rate": 0.01,
    "ema": 0.99,
    "warmup": 100,
}
ADAM: dict[str, object] = {"optimiser": "adam", "learning_rate": 4e-3}
EQUAL = (-1.0, 0.0)


@dataclass(frozen=True)
class Trial:
    """One row.

    Attributes:
        topic: the table it stands in.
        what: what differs, in words.
        network, recipe: what differs from `SMALL` and `USUAL`.
        build: the class or function that makes the network.
        against: the row it is compared with.
        first: mean and spread of log(t/σ), the thresholds at the start.
        step: the relative step s at the start, None for the usual one.
        hold: whether s stays there.
        seed: of the weights and of everything that is drawn.
        loss: from `training.LOSSES`.
        of: the row whose trained network is measured in another form; nothing is trained.
    """

    topic: str
    what: str
    network: dict[str, object] = field(default_factory=dict)
    recipe: dict[str, object] = field(default_factory=dict)
    build: Callable[[EulerConfig], nn.Module] = EulerNet
    against: str = "small"
    first: tuple[float, float] = (-2.5, 1.0)
    step: float | None = None
    hold: bool = False
    seed: int = 0
    loss: str = "squares"
    of: str | None = None

    def make(self) -> nn.Module:
        torch.manual_seed(self.seed)
        with patch.dict(ACTIVATIONS, TRIED):
            net = self.build(EulerConfig(**SMALL | self.network))  # type: ignore[arg-type]
        mean, spread = self.first
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.endswith("threshold"):
                    parameter[0] = mean + spread * torch.randn(parameter.shape[1])
                if name.endswith("step_logit") and self.step is not None:
                    parameter.fill_(torch.logit(torch.tensor(self.step / STEP_LIMIT)))
                    parameter.requires_grad_(not self.hold)
        return net

    def settings(self) -> DenoiserRecipe:
        return DenoiserRecipe(**USUAL | self.recipe, seed=self.seed)  # type: ignore[arg-type]


def levels(sigma: float) -> dict[str, object]:
    return {"sigma_min": sigma / 255, "sigma_max": sigma / 255}


TRIALS = {
    "small": Trial("resolution", "the network that the others are compared with"),
    "small_seed_1": Trial("resolution", "seed 1", seed=1),
    "small_seed_2": Trial("resolution", "seed 2", seed=2),
    # The network of the first release, and what each change of it brings.
    "adam_clip": Trial(
        "start",
        "Adam, clips, equal thresholds",
        {"activation": "clip"},
        ADAM,
        against="adam_ball4",
        first=EQUAL,
    ),
    "adam_ball4": Trial(
        "start", "Adam, equal thresholds t = σ/e", {}, ADAM, against="adam", first=EQUAL
    ),
    "muon_ball4": Trial("start", "equal thresholds t = σ/e", first=EQUAL),
    "adam": Trial("start", "Adam", {}, ADAM),
    "adam_016": Trial("start", "Adam at 0.016, not 0.004", {}, ADAM | {"learning_rate": 0.016}),
    "adam_032": Trial("start", "Adam at 0.032", {}, ADAM | {"learning_rate": 0.032}),
    "adam_1800": Trial("start", "Adam, 1800 steps", {}, ADAM | {"steps": 1800}),
    # Thresholds at the start.
    "first_0": Trial("start", "log t/σ ~ N(0, 1)", first=(0.0, 1.0)),
    "first_-1": Trial("start", "log t/σ ~ N(−1, 1)", first=(-1.0, 1.0)),
    "first_-4": Trial("start", "log t/σ ~ N(−4, 1)", first=(-4.0, 1.0)),
    # Steps.
    "step_half": Trial("steps", "s = 0.5 at the start", step=0.5),
    "step_half_held": Trial("steps", "s = 0.5 throughout", step=0.5, hold=True),
    "step_99_held": Trial("steps", "s = 0.985 throughout", step=0.985, hold=True),
    # Activations.
    "clip": Trial("activation", "clip", {"activation": "clip"}),
    "spline": Trial("activation", "monotone spline", {"activation": "spline"}),
    "ball2": Trial("activation", "balls of 2 channels", {"activation": "ball2"}),
    "ball8": Trial("activation", "balls of 8 channels", {"activation": "ball8"}),
    "overlap4": Trial(
        "activation", "balls of 4 channels and 3×3 pixels", {"activation": "overlap4"}
    ),
    "radii3": Trial("activation", "balls of three learned radii", {"activation": "radii3"}),
    # Size and shape.
    "features_4": Trial("size", "4 features, 32 filters", {"width": 4}),
    "features_8": Trial("size", "8 features, 32 filters", {"width": 8}),
    "features_8_hidden_64": Trial("size", "8 features, 64 filters", {"width": 8, "hidden": 64}),
    "hidden_64": Trial("size", "64 filters for 32 features", {"hidden": 64}),
    "blocks_4": Trial("size", "4 blocks", {"blocks": 4}),
    "blocks_16": Trial("size", "16 blocks", {"blocks": 16}),
    "wide": Trial("size", "64 features, 64 filters", {"width": 64, "hidden": 64}),
    "pyramid": Trial(
        "size",
        "10 blocks, four of them at a quarter of the resolution",
        {"blocks": 10},
        build=Pyramid,
    ),
    "kernel_5": Trial("kernels", "5×5, 4 blocks", {"blocks": 4, "kernel_size": 5}),
    "one_step_11": Trial(
        "kernels",
        "one gradient step at full resolution, 32 filters of 11×11, 1500 steps",
        {"width": 1, "hidden": 32, "kernel_size": 11, "blocks": 1, "lifting": "pad"}
        | {"activation": "clip"},
        {"steps": 1500},
        first=(0.0, 1.0),
        step=0.5,
    ),
    "dilated": Trial("kernels", "every second block dilated by two", build=every_second_dilated),
    "factored": Trial(
        "kernels",
        "5×5 = 3×3 filters behind 3×3 kernels for each channel",
        build=with_blocks(Factored),
    ),
    # Normalisation.
    "aol": Trial(
        "normalisation", "one divisor for each feature channel (AOL)", build=with_blocks(Columns)
    ),
    "sll": Trial("normalisation", "one divisor for each filter (SLL)", build=with_blocks(Rows)),
    "bjorck": Trial(
        "normalisation",
        "filters orthonormal on patches (Björck), Adam",
        {},
        ADAM,
        build=with_filters(Bjorck),
        against="adam",
    ),
    "orthogonal": Trial(
        "normalisation",
        "orthogonal convolutions (Cayley matrices and shifts), Adam",
        {},
        ADAM,
        build=with_filters(Orthogonal),
        against="adam",
    ),
    # Class.
    "firm": Trial("class", "½(I + N): firmly nonexpansive", build=Relaxed),
    "theta_75": Trial("class", "¼I + ¾N", build=partial(Relaxed, share=0.75)),
    # Liftings.
    "unshuffle": Trial("lifting", "2×2 pixels as channels", {"lifting": "unshuffle"}),
    "orthonormal": Trial(
        "lifting", "2×2 pixels, then learned orthonormal columns", {"lifting": "orthonormal"}
    ),
    "haar2": Trial("lifting", "Haar transform twice, 4×4 pixels", {"lifting": "haar2"}),
    # Depth.
    "skip": Trial("depth", "a learned weight on the input after every block", build=Skip),
    "prox_20": Trial(
        "depth",
        "proximal map of a learned convex function, 20 accelerated steps, 64 filters of 5×5",
        {"width": 4, "hidden": 64, "kernel_size": 5, "blocks": 1},
        build=Prox,
    ),
    "tied_8": Trial("depth", "one block, eight times", build=tied),
    # Symmetry.
    "d4": Trial(
        "symmetry",
        "tied under turns and flips (D4), 2×2 pixels as channels",
        {"group": "D4", "lifting": "unshuffle"},
        against="unshuffle",
    ),
    "eightfold": Trial(
        "symmetry", "the trained `small`, mean over the eight", build=Symmetrised, of="small"
    ),
    # Training.
    "loss_log": Trial("training", "mean of log MSE over the patches", loss="log"),
    "loss_l1": Trial("training", "mean absolute error", loss="absolute"),
    "tightened": Trial(
        "training", "steps up to 4 times too long, tightened", build=with_blocks(Tightened)
    ),
    "small_only_5": Trial("levels", "trained at σ·255 = 5 alone", {}, levels(5)),
    "small_only_15": Trial("levels", "trained at σ·255 = 15 alone", {}, levels(15)),
    "small_only_25": Trial("levels", "trained at σ·255 = 25 alone", {}, levels(25)),
    "small_batch_16": Trial("training", "16 patches a step", {}, {"batch": 16}),
    "small_patch_128": Trial(
        "training", "2 patches of 128×128 a step", {}, {"batch": 2, "patch": 128}
    ),
    "ema_0": Trial("training", "no average of the weights", {}, {"ema": 0.0}),
    "small_1800": Trial("training", "1800 steps", {}, {"steps": 1800}),
    # The price of the guarantee.
    "free_small": Trial(
        "price", "no constraint", {}, {"learning_rate": 1e-3}, build=with_blocks(FreeBlock)
    ),
    "free_small_1800": Trial(
        "price",
        "no constraint, 1800 steps",
        {},
        {"learning_rate": 1e-3, "steps": 1800},
        build=with_blocks(FreeBlock),
        against="small_1800",
    ),
}
