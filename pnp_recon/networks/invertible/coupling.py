"""Coupling: one part of the channels stays, and says how the other part is changed.

The Jacobian is triangular, so that its determinant is a product of slopes, and the inverse needs no
inverse of the network inside (Dinh et al. 2015, 2017). Splits along dimension 1, of vectors
(B, d) and of features (B, C, H, W); `squeeze` makes channels out of pixels where there are few.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import INVERTIBLE, VOLUME, Guarantee
from pnp_recon.networks.finite import NOT_FINITE, all_finite
from pnp_recon.networks.invertible.base import Invertible, summed
from pnp_recon.networks.invertible.conditioners import (
    Conditioner,
    Convolutional,
    Dense,
    smooth_clamp,
)
from pnp_recon.networks.invertible.splines import Spline

Kind = Literal["vectors", "features"]


class Coupling(Invertible):
    """(a, b) ↦ (a, γ(b; t(a))), γ increasing in each entry of b.

    Args:
        channels: in dimension 1, at least 2.
        kind: "vectors" (B, d) or "features" (B, C, H, W); a `Dense` or `Convolutional` network.
        flip: the last part stays instead of the first; alternate it, or little is mixed.
        hidden, depth: width of the network inside, and its hidden layers.
        activation: a name of `flows.fields.SLOPES`.
        zero: the network starts at zero, where the coupling is the identity.
    """

    def __init__(
        self,
        channels: int,
        kind: Kind = "vectors",
        flip: bool = False,
        hidden: int = 64,
        depth: int = 2,
        activation: str = "relu",
        zero: bool = True,
    ) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"channels is {channels}; expected at least 2, to split them")
        self.flip = flip
        first = channels // 2
        self.sizes = (channels - first, first) if flip else (first, channels - first)
        stays, moves = reversed(self.sizes) if flip else self.sizes
        make: type[Dense] | type[Convolutional] = Dense if kind == "vectors" else Convolutional
        self.inner: Conditioner = make(
            stays, moves * self.numbers(), hidden, depth, activation=activation, zero=zero
        )

    def numbers(self) -> int:
        """How many numbers of the network change one entry."""
        return 1

    @abstractmethod
    def change(self, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """γ(b; t) and the logarithms of its slopes in b, both of the shape of b."""

    @abstractmethod
    def change_back(self, b: Tensor, t: Tensor) -> Tensor: ...

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.split(x)
        b, slopes = self.change(b, self.inner(a))
        return self.join(a, b), summed(slopes)

    def inverse(self, y: Tensor) -> Tensor:
        a, b = self.split(y)
        return self.join(a, self.change_back(b, self.inner(a)))

    def check(self) -> Guarantee:
        reason = (
            f"{type(self).__name__}: slopes in the part that stays grow with the part that moves"
        )
        if not all_finite(self):
            return guarantees.none(NOT_FINITE)
        return guarantees.structured(guarantees.none(reason), INVERTIBLE)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(what stays, what moves)."""
        first, last = x.split(self.sizes, 1)
        return (last, first) if self.flip else (first, last)

    def join(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([b, a] if self.flip else [a, b], 1)


class AdditiveCoupling(Coupling):
    """b ↦ b + t(a): a shear. It keeps the volume, and is bi-Lipschitz as t is Lipschitz."""

    def change(self, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return b + t, torch.zeros_like(b)

    def change_back(self, b: Tensor, t: Tensor) -> Tensor:
        return b - t

    def check(self) -> Guarantee:
        if not all_finite(self):
            return guarantees.none(NOT_FINITE)
        return shear(self.inner.lipschitz())


class AffineCoupling(Coupling):
    """b ↦ b·exp(s) + t with (s, t) from a, |s| < `limit` (Dinh et al. 2017).

    There is no Lipschitz constant for all x: b·exp(s(a)) has slopes in a as large as b is (Behrmann
    et al. 2021).
    """

    limit = 3.0

    def numbers(self) -> int:
        return 2

    def change(self, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        s, shift = self.parts(t)
        return b * s.exp() + shift, s

    def change_back(self, b: Tensor, t: Tensor) -> Tensor:
        s, shift = self.parts(t)
        return (b - shift) * (-s).exp()

    def parts(self, t: Tensor) -> tuple[Tensor, Tensor]:
        s, shift = t.chunk(2, 1)
        return smooth_clamp(s, self.limit), shift


class SplineCoupling(Coupling):
    """b ↦ a monotone rational-quadratic spline on [−limit, limit], the identity outside.

    Source: Durkan et al. 2019.
    """

    bins, limit = 8, 5.0

    def numbers(self) -> int:
        return 3 * self.bins - 1

    def change(self, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.spline(b, t)(b)

    def change_back(self, b: Tensor, t: Tensor) -> Tensor:
        return self.spline(b, t).inverse(b)

    def spline(self, b: Tensor, t: Tensor) -> Spline:
        """With numbers (B, moves·n, …) from the network, those of an entry in the last place."""
        free = t.unflatten(1, (b.shape[1], self.numbers())).movedim(2, -1)
        return Spline.of(free, self.limit)


def shear(constant: float) -> Guarantee:
    """(a, b) ↦ (a, b + t(a)) with a c-Lipschitz t: bi-Lipschitz with (c + √(c² + 4))/2 and inverse.

    ‖Δa‖ and ‖Δ(b + t)‖ are at most what [[1, 0], [c, 1]] makes of (‖Δa‖, ‖Δb‖), whose largest
    singular value that is; the inverse is the shear with −t.
    """
    upper = (constant + math.sqrt(constant**2 + 4)) / 2 * (1 + 1e-15)
    source = f"shear by a {constant:.6g}-Lipschitz map"
    if not math.isfinite(upper):
        held = guarantees.none(f"{source}: the constant exceeds float64")
        return guarantees.structured(held, INVERTIBLE, VOLUME)
    held = guarantees.lipschitz(upper, source)
    return guarantees.structured(held, VOLUME, lower=(1 - 1e-15) / upper)


def squeeze(x: Tensor) -> Tensor:
    """Features (B, C, 2h, 2w) to (B, 4C, h, w): an isometry; `unsqueeze` undoes it."""
    return F.pixel_unshuffle(x, 2)


def unsqueeze(x: Tensor) -> Tensor:
    return F.pixel_shuffle(x, 2)
