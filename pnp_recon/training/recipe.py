"""How networks are trained: recipes, the schedule, and a denoiser's balance of levels and patches.

Torch alone; the loop that follows a recipe is in `training`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pnp_recon.errors import InputError

# Levels at which the validation PSNR is quoted, as far as they lie in the trained range.
VALIDATION_LEVELS = (5 / 255, 15 / 255, 25 / 255)


OPTIMISERS = ("adam", "muon")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every training has.

    Attributes:
        steps, batch: optimiser steps; samples a step.
        optimiser: "adam", or "muon" for the filters of Euler blocks (Adam for all the rest).
        learning_rate: of Adam, at its peak; `warmup` steps lead up to it.
        ema: decay of the weight average, which is what is exported.
        seed: of everything that is drawn.
        bf16: bfloat16 autocast in the network; the weights stay float32.

    Raises:
        InputError: a value outside its range.
    """

    steps: int = 5000
    batch: int = 8
    optimiser: str = "adam"
    learning_rate: float = 4e-3
    warmup: int = 200
    ema: float = 0.999
    seed: int = 0
    bf16: bool = True

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


@dataclass(frozen=True, kw_only=True)
class DenoiserRecipe(Recipe):
    """How a denoiser is trained.

    Attributes:
        patch: side of a patch in pixels; `batch` patches a step.
        sigma_min, sigma_max: noise levels on the [0, 1] scale (σ = 25/255, not 25).

    Raises:
        InputError: a value outside its range.
    """

    patch: int = 64
    sigma_min: float = 1 / 255
    sigma_max: float = 50 / 255

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

    steps: int = 4700
    patch: int = 40
    learning_rate: float = 5e-4

    loss: ClassVar[str] = (
        "mean squared error, one noise level a batch, weighted by the root of the expected error"
    )

    def typical_error(self, sigma: float) -> float:
        """The geometric mean of the expected errors at this level and at σ = 25/255."""
        return math.sqrt(expected_error(sigma) * expected_error(25 / 255))


def random_patches(
    pictures: list[Tensor], count: int, size: int, generator: torch.Generator
) -> Tensor:
    """`count` crops (B, C, size, size) in [0, 1] of uint8 pictures, each turned and flipped.

    Pictures smaller than `size` are refused. The eight dihedral symmetries are equally likely.
    """
    patches = []
    for _ in range(count):
        picture = pictures[_integer(len(pictures), generator)]
        check_size(picture, size)
        height, width = picture.shape[-2:]
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


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to 1 %."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def check_size(picture: Tensor, size: int) -> None:
    """Refuses (InputError) a picture (C, H, W) with a side below `size` pixels."""
    height, width = picture.shape[-2:]
    if min(height, width) < size:
        raise InputError(
            f"a training picture of {height}×{width} is smaller than the patch of {size}×{size}; "
            "leave it out or take a smaller patch"
        )
