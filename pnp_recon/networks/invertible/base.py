"""What an invertible map offers: the map with its log-determinant, the inverse, what is proven.

Inputs are vectors (B, d) or features (B, C, H, W); parts are split along dimension 1. Nothing here
knows of likelihoods or of pictures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon.guarantees import Guarantee, compose


class Invertible(nn.Module, ABC):
    """A bijection T of vectors (B, d) or features (B, C, H, W), differentiable almost everywhere.

    `forward(x)` is (T(x), log|det T'(x)|), the second of shape (B,).
    """

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """x with T(x) = y, up to rounding or an error that the class states."""

    @abstractmethod
    def check(self) -> Guarantee:
        """What is proven for the weights held now: constants, and what is kept."""

    def settle(self) -> None:
        """After an optimiser's step: puts the weights back where the proof wants them."""


class Chain(Invertible):
    """T_K ∘ … ∘ T_1; log-determinants add."""

    def __init__(self, maps: Sequence[Invertible]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for part in self.maps:
            x, logdet = part(x)
            total = total + logdet
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self._maps()):
            y = part.inverse(y)
        return y

    def settle(self) -> None:
        for part in self._maps():
            part.settle()

    def check(self) -> Guarantee:
        return compose(*(part.check() for part in reversed(self._maps())))

    def _maps(self) -> list[Invertible]:
        return [cast(Invertible, part) for part in self.maps]


def summed(values: Tensor) -> Tensor:
    """The sum over all dimensions but the first: (B, …) to (B,)."""
    return values.flatten(1).sum(1)


def round_trip_error(part: Invertible, x: Tensor) -> float:
    """Largest |T⁻¹(T(x)) − x|."""
    with torch.no_grad():
        return float((part.inverse(part(x)[0]) - x).abs().max())
