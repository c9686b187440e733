"""Restoration problems that energies are trained on: circular blurs and missing pixels.

A picture has a noise level and a weight of its own; inverses have closed forms.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pnp_recon.problems.running import (
    KernelKind,
    integer,
    running_kernel,
    running_level,
    uniform,
)
from pnp_recon.training.energy.recipe import LARGEST_KERNEL, EnergyRecipe
from pnp_recon.training.fixed_point.exercises import Blurred, Masked, blurred, masked

# Half of the kernels are camera shakes.
KINDS: tuple[KernelKind, ...] = (
    "trajectory", "trajectory", "trajectory", "gaussian", "disk", "motion",
)  # fmt: skip
# σ·255 of the noise; shares of missing pixels; the weight is drawn up to this factor off its place.
NOISE = (1.5, 18.0)
MISSING = (0.2, 0.8)
JITTER = 1.7


class Normal(Protocol):
    """What ½‖Ax − y‖² needs: AᵀA, its shifted inverse, Aᵀy, and a first guess."""

    back: Tensor
    guess: Tensor

    def gram(self, x: Tensor) -> Tensor:
        """AᵀA x."""
        ...

    def inverse(self, r: Tensor, shift: Tensor) -> Tensor:
        """(AᵀA + shift)⁻¹ r, the shift (B, 1, 1, 1)."""
        ...


class Circular:
    """Circular blur of every picture."""

    def __init__(self, data: Blurred) -> None:
        self.power = data.transfer.abs().square()
        self.size = data.y.shape[-2:]
        self.back = self._inverted(data.transfer.conj() * torch.fft.rfft2(data.y))
        self.guess = self.back

    def gram(self, x: Tensor) -> Tensor:
        return self._inverted(self.power * torch.fft.rfft2(x))

    def inverse(self, r: Tensor, shift: Tensor) -> Tensor:
        return self._inverted(torch.fft.rfft2(r) / (self.power + shift))

    def _inverted(self, transform: Tensor) -> Tensor:
        return torch.fft.irfft2(transform, s=self.size)


class Pixels:
    """Missing pixels; they are guessed to be middle grey."""

    def __init__(self, data: Masked) -> None:
        self.mask, self.back = data.mask, data.y
        self.guess = data.y + (1 - data.mask) / 2

    def gram(self, x: Tensor) -> Tensor:
        return self.mask * x

    def inverse(self, r: Tensor, shift: Tensor) -> Tensor:
        return r / (self.mask + shift)


@dataclass(frozen=True, eq=False)
class Restoration:
    """½‖Ax − y‖² + λR_σ(x) for a batch.

    Attributes:
        data: the first term.
        level: σ, the standard deviation of the noise, (B,).
        weight: λ, (B, 1, 1, 1).
    """

    data: Normal
    level: Tensor
    weight: Tensor

    def to(self, device: torch.device | str) -> Restoration:
        """The same problem there."""
        data = copy(self.data)
        for name, value in vars(data).items():
            if isinstance(value, Tensor):
                setattr(data, name, value.to(device))
        return Restoration(data, self.level.to(device), self.weight.to(device))


def draw(clean: Tensor, recipe: EnergyRecipe, generator: torch.Generator) -> Restoration:
    """Random problems for clean pictures (B, C, H, W), H, W ≥ 31.

    Raises:
        InputError: pictures that a kernel does not fit into.
    """
    count = len(clean)
    levels = torch.tensor([running_level(NOISE, generator) for _ in range(count)]).to(clean)
    span = math.log(JITTER)
    logs = torch.tensor([uniform(-span, span, generator) for _ in range(count)]).to(clean)
    weight = recipe.strength * logs.exp()[:, None, None, None]
    noise = levels[:, None, None, None]
    if uniform(0, 1, generator) < recipe.masks:
        rates = [uniform(*MISSING, generator) for _ in range(count)]
        return Restoration(Pixels(masked(clean, rates, noise, generator)), levels, weight)
    kinds = [KINDS[integer(0, len(KINDS) - 1, generator)] for _ in range(count)]
    blurs = [running_kernel(kind, LARGEST_KERNEL, generator) for kind in kinds]
    return Restoration(Circular(blurred(clean, blurs, noise, generator)), levels, weight)
