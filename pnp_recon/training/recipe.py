"""How any network is trained: the recipe, and its schedule. Loads no torch.

A task derives a recipe of its own. The words beside a field say what it means; commands show them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pnp_recon.errors import InputError

OPTIMISERS = ("adam", "muon")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every training has.

    Attributes:
        steps, batch: optimiser steps; samples a step.
        optimiser: "adam", or "muon" for the filters of Euler blocks (Adam for all the rest).
        learning_rate: Adam's, at its peak; `warmup` steps lead up to it.
        ema: decay of the weight average, which is what is exported.
        seed: everything that is drawn follows from it.
        bf16: bfloat16 autocast in the network; the weights stay float32.

    Raises:
        InputError: a value outside its range.
    """

    steps: Annotated[int, "Train for this many optimiser steps."] = 5000
    batch: Annotated[int, "Draw this many samples for each step."] = 8
    optimiser: Annotated[str, "Use adam, or muon for the filters and Adam for all else."] = "adam"
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 4e-3
    warmup: Annotated[int, "The learning rate rises for this many steps."] = 200
    ema: Annotated[float, "The weight average forgets at this rate, from 0 to 1."] = 0.999
    seed: Annotated[int, "The first weights and all that is drawn follow from this seed."] = 0
    bf16: Annotated[bool, "Compute the network in bfloat16; the weights stay float32."] = True

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.optimiser not in OPTIMISERS:
            raise InputError(
                f"unknown optimiser {self.optimiser!r}; known: {', '.join(OPTIMISERS)}"
            )
        if not 0 < self.learning_rate < math.inf or self.warmup < 0 or not 0 <= self.ema < 1:
            raise InputError(
                f"learning rate {self.learning_rate:g}, warmup {self.warmup}, ema {self.ema:g}; "
                "expected a positive rate, warmup ≥ 0 and 0 ≤ ema < 1"
            )


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to 1 %."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
