"""How unrolled networks are trained. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pnp_recon.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class UnrolledRecipe(Recipe):
    """How an unrolled network is trained; see `Recipe`."""

    steps: Annotated[int, "Train for this many optimiser steps."] = 2000
    batch: Annotated[int, "Draw this many slices for each step."] = 1
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 2e-3
    warmup: Annotated[int, "The learning rate rises for this many steps."] = 50
    ema: Annotated[float, "The weight average forgets at this rate, from 0 to 1."] = 0.99
