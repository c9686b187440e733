"""Noise models that `forward` applies to A x."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.errors import OperatorError


@dataclass(frozen=True)
class GaussianNoise:
    """y + sigma n with n standard normal; `sigma` in the units of the image ([0, 1]).

    The numbers are drawn on the generator's own device and then moved, so that one seed gives
    the same noise wherever the image lives.
    """

    sigma: float
    generator: torch.Generator

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise OperatorError(f"sigma is {self.sigma}; give a finite number >= 0")

    def __call__(self, y: Tensor) -> Tensor:
        noise = torch.randn(
            y.shape, generator=self.generator, dtype=y.dtype, device=self.generator.device
        )
        return y + self.sigma * noise.to(y.device)
