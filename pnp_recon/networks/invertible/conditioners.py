"""Networks inside couplings: from the half that stays to the numbers that change the other half.

They need no inverse. Each has a Lipschitz constant that is proven from its weights.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.flows.fields import SLOPES
from pnp_recon.networks.flows.matrices import matrix_norm_bound


class Conditioner(nn.Module, ABC):
    """A network with slopes of its activation in [0, 1]: layers and constants multiply."""

    def __init__(self, layers: list[nn.Module], activation: str, zero: bool) -> None:
        super().__init__()
        if activation not in SLOPES:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(SLOPES)}")
        self.layers, self.activation = nn.ModuleList(layers), activation
        self._known: dict[bytes, float] = {}
        if zero:  # a coupling then starts as the identity
            nn.init.zeros_(cast(Tensor, layers[-1].weight))
            nn.init.zeros_(cast(Tensor, layers[-1].bias))

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.layers
        for layer in inner:
            x = SLOPES[self.activation](layer(x))
        return cast(Tensor, last(x))

    def lipschitz(self) -> float:
        """Proven constant for the weights held now: the product of the layers' norm bounds."""
        # Bounds cost a second for wide layers, and an inverse asks for them each time: they are
        # kept for the very numbers that they were computed from.
        before, self._known, product = self._known, {}, 1.0
        for layer in self.layers:
            weight = cast(Tensor, layer.weight).detach().to("cpu", torch.float64)
            shape = str(tuple(weight.shape)).encode()
            key = hashlib.sha256(shape + weight.numpy().tobytes()).digest()
            found = before[key] if key in before else self.bound(weight)
            self._known[key] = found
            product *= found * (1 + 1e-15)
        return product

    @abstractmethod
    def bound(self, weight: Tensor) -> float: ...


class Dense(Conditioner):
    """Vectors (B, d) to vectors (B, outputs) through `depth` layers of `hidden` numbers."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 64,
        depth: int = 2,
        activation: str = "relu",
        zero: bool = True,
    ) -> None:
        widths = [inputs, *[hidden] * depth, outputs]
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        super().__init__([*layers], activation, zero)

    def bound(self, weight: Tensor) -> float:
        return matrix_norm_bound(weight)


class Convolutional(Conditioner):
    """Features (B, C, H, W) to features (B, outputs, H, W), of any size, zero padding.

    Args:
        kernel_size: odd.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 32,
        depth: int = 2,
        kernel_size: int = 3,
        activation: str = "relu",
        zero: bool = True,
    ) -> None:
        widths = [inputs, *[hidden] * depth, outputs]
        layers = [
            nn.Conv2d(a, b, kernel_size, padding=kernel_size // 2) for a, b in pairwise(widths)
        ]
        super().__init__([*layers], activation, zero)

    def bound(self, weight: Tensor) -> float:
        return conv_norm_bound(weight)


def smooth_clamp(values: Tensor, limit: float) -> Tensor:
    """limit · tanh(values/limit): slopes in (0, 1], |result| < limit."""
    return limit * torch.tanh(values / limit)


def positive(values: Tensor) -> Tensor:
    """softplus, shifted so that 0 becomes 1."""
    return F.softplus(values + math.log(math.e - 1))
