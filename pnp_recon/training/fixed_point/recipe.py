"""How a denoiser is trained at the fixed point. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.recipe import DenoiserRecipe

# Largest side of a kernel that is drawn, hence smallest side of a picture.
LARGEST_KERNEL = 31


@dataclass(frozen=True, kw_only=True)
class FixedPointRecipe(DenoiserRecipe):
    """How a denoiser is trained on from weights that denoise already.

    Attributes:
        iterations: steps to the fixed point of a blur; twice as many with missing pixels.
        terms: steps of the solve for the implicit gradient, see `equilibrium`.
        weight: share of the problems' loss, in [0, 1]; the rest is plain denoising's.
        inpainting: share of problems with missing pixels, in [0, 1]; the rest is blur.

    Raises:
        InputError: a value outside its range.
    """

    steps: Annotated[int, "Train for this many optimiser steps."] = 3000
    batch: Annotated[int, "Draw this many patches for each step."] = 4
    patch: Annotated[int, "Patches are this many pixels wide."] = 96
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 5e-4
    warmup: Annotated[int, "The learning rate rises for this many steps."] = 100
    ema: Annotated[float, "The weight average forgets at this rate, from 0 to 1."] = 0.998
    iterations: Annotated[
        int, "Take this many steps to the fixed point of a blur; twice for missing pixels."
    ] = 16
    terms: Annotated[
        int, "Take this many steps to solve for the implicit gradient; 0: Jacobian-free."
    ] = 8
    weight: Annotated[float, "The problems weigh so much against plain denoising, from 0 to 1."] = (
        0.5
    )
    inpainting: Annotated[float, "This share of the problems misses pixels; the rest is blur."] = (
        0.25
    )

    loss: ClassVar[str] = (
        "mean squared error at the fixed point over that of a linear first guess, and mean squared "
        "error of plain denoising weighted by the expected error"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < LARGEST_KERNEL:
            raise InputError(
                f"patch is {self.patch}; expected at least {LARGEST_KERNEL}, the largest blur"
            )
        if self.iterations < 1 or self.terms < 0:
            raise InputError(
                f"iterations {self.iterations}, terms {self.terms}; expected at least 1 and 0"
            )
        for name in ("weight", "inpainting"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name):g}; expected 0 to 1")
