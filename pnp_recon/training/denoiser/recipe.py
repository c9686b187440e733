"""How denoisers are trained: patches, noise levels and their balance. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pnp_recon.errors import InputError
from pnp_recon.training.recipe import Recipe

# Levels at which the validation PSNR is quoted, as far as they lie in the trained range.
VALIDATION_LEVELS = (5 / 255, 15 / 255, 25 / 255)


@dataclass(frozen=True, kw_only=True)
class DenoiserRecipe(Recipe):
    """How a denoiser is trained.

    Attributes:
        patch: side of a patch in pixels; `batch` patches a step.
        sigma_min, sigma_max: noise levels on the [0, 1] scale (σ = 25/255, not 25).

    Raises:
        InputError: a value outside its range.
    """

    batch: Annotated[int, "Draw this many patches for each step."] = 8
    patch: Annotated[int, "Patches are this many pixels wide."] = 64
    sigma_min: Annotated[float, "This is the lowest noise level, such as 0.004 or 1/255."] = 1 / 255
    sigma_max: Annotated[float, "This is the highest noise level."] = 50 / 255

    loss: ClassVar[str] = (
        "mean squared error, one noise level a batch, weighted by the expected error"
    )

    def __post_init__(self) -> None:
        for name, level in (("min", self.sigma_min), ("max", self.sigma_max)):
            if not 0 < level <= 1:
                hint = f"; write {level:g}/255, not {level:g}" if 1 < level <= 255 else ""
                raise InputError(
                    f"sigma-{name} is {level:g}; expected 0 < sigma ≤ 1 on the [0, 1] scale{hint}"
                )
        if self.sigma_min > self.sigma_max:
            raise InputError(
                f"sigma-min {self.sigma_min:g} is above sigma-max {self.sigma_max:g}; swap them"
            )
        if self.patch < 1:
            raise InputError(f"patch is {self.patch}; expected at least 1")
        super().__post_init__()

    def validation_levels(self) -> tuple[float, ...]:
        """Levels of the validation: the usual ones inside the range, or else its centre."""
        inside = [s for s in VALIDATION_LEVELS if self.sigma_min <= s <= self.sigma_max]
        return tuple(inside) or (math.sqrt(self.sigma_min * self.sigma_max),)

    def typical_error(self, sigma: float) -> float:
        """What divides the mean squared error at a level: all levels weigh the same."""
        return expected_error(sigma)


@dataclass(frozen=True, kw_only=True)
class BlindRecipe(DenoiserRecipe):
    """How a denoiser is trained that is not told the noise level.

    It mistakes weak noise for texture and texture for weak noise, so that its error there is far
    above the expected one and would rule the sum: the levels are evened out by half only.
    """

    steps: Annotated[int, "Train for this many optimiser steps."] = 4700
    patch: Annotated[int, "Patches are this many pixels wide."] = 40
    learning_rate: Annotated[float, "This is Adam's learning rate at its peak."] = 5e-4

    loss: ClassVar[str] = (
        "mean squared error, one noise level a batch, weighted by the root of the expected error"
    )

    def typical_error(self, sigma: float) -> float:
        """The geometric mean of the expected errors at this level and at σ = 25/255."""
        return math.sqrt(expected_error(sigma) * expected_error(25 / 255))


def expected_error(sigma: float) -> float:
    """Typical mean squared error of a denoiser at this level, which evens out the loss.

    A fit to published denoising results on photographs: σ²/(1 + σ/0.02). Only the balance
    between noise levels depends on it.
    """
    return sigma**2 / (1 + sigma / 0.02)
