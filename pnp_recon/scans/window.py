"""The window [low, high] of values that is mapped to the [0, 1] of solvers and denoisers.

A denoiser knows pictures in [0, 1]; a slice holds attenuation in 1/mm. For x = low + w u with
w = high − low, the measurements A x = y say A u = (y − A(low·1))/w. So the problem in u has the
*same* operator and the same norm bound, hence the same range of steps and the same constants in
the certificate; what the window changes is the data and their noise, which are divided by w.
Nothing is clipped here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.ct_numbers import MU_WATER, attenuation
from pnp_recon.errors import InputError

# From the smallest value of a 12 bit scanner, below air (−1000), to dense bone.
HOUNSFIELD_WINDOW = (-1024.0, 1500.0)


@dataclass(frozen=True)
class Window:
    """Values from `low` (0) to `high` (1), in 1/mm, HU or any unit that A's pictures have.

    Raises:
        InputError: not finite, or `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"the window runs from {self.low} to {self.high}; expected two finite numbers, the "
                "lower one first"
            )

    @property
    def width(self) -> float:
        """high − low, what one step of [0, 1] is worth."""
        return self.high - self.low

    def to_unit(self, x: Tensor) -> Tensor:
        """(x − low)/(high − low)."""
        return (x - self.low) / self.width

    def from_unit(self, u: Tensor) -> Tensor:
        """low + (high − low) u."""
        return self.low + self.width * u

    def measurements(self, A: LinearOperator, y: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The y' of the problem in u, (B, ...) as y: A u = y' says what A x = y does.

        `lengths` is A 1 (1, ...), where it is known already.

        ½‖A x − y‖² = (high − low)² ½‖A u − y'‖², so a weight γ of the fidelity in u is
        γ/(high − low)² in x, and a box [0, 1] for u is a box [low, high] for x.
        """
        if lengths is not None:
            return (y - self.low * lengths) / self.width
        floor = torch.full((1, *A.image_shape), self.low, dtype=y.dtype, device=y.device)
        return (y - A.A(floor)) / self.width

    def noise_level(self, sigma: float) -> float:
        """Standard deviation of the noise in `measurements`, for `sigma` in y."""
        return sigma / self.width

    def weights(self, weights: Tensor) -> Tensor:
        """Inverse variances of `measurements`, for inverse variances `weights` of y."""
        return weights * self.width**2


def hounsfield_window(
    low: float = HOUNSFIELD_WINDOW[0],
    high: float = HOUNSFIELD_WINDOW[1],
    mu_water: float = MU_WATER,
) -> Window:
    """A window given in Hounsfield units as one in attenuation, μ = μ_water (1 + HU/1000).

    Args:
        low, high: in HU. The default, −1024 to 1500, holds everything but metal and the densest
            bone; its lower end is a little below zero attenuation.
        mu_water: attenuation of water at the beam's energy in 1/mm, > 0.

    Raises:
        InputError: `mu_water` is not a finite number > 0, or low is not below high.
    """
    if not (math.isfinite(mu_water) and mu_water > 0):
        raise InputError(f"mu_water is {mu_water}; expected 1/mm, > 0, for example {MU_WATER}")
    return Window(attenuation(low, mu_water), attenuation(high, mu_water))
