"""Invertible residual blocks x + f(x), Lip f ≤ c < 1 proven for pictures of every size.

The constant of f is the product of proven bounds of its layers' norms (`conv_norm_bound`, which
holds whatever the size of the picture), not of estimates by a power iteration, which bound a norm
from below. The inverse is a fixed point, with a proven error.

Source: Behrmann et al. 2019 (invertible residual networks).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.finite import NOT_FINITE, all_finite
from pnp_recon.networks.invertible.base import Invertible
from pnp_recon.networks.invertible.conditioners import Conditioner, Convolutional, Dense
from pnp_recon.networks.invertible.coupling import Kind
from pnp_recon.networks.invertible.logdet import dense_logdet

LogDet = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """The i-th iterate xⁱ = y − f(xⁱ⁻¹), x⁰ = y, and how far it is from the inverse at most.

    Attributes:
        x: xⁱ.
        iterations: i.
        a_priori: cⁱ/(1−c)·‖x¹ − x⁰‖ for each sample, (B,), known after one iteration.
        error: c/(1−c)·‖xⁱ − xⁱ⁻¹‖, (B,), never above it. Both are of exact arithmetic.
    """

    x: Tensor
    iterations: int
    a_priori: Tensor
    error: Tensor


class ResidualBlock(Invertible):
    """x ↦ x + f(x): (1 + c)-Lipschitz, its inverse 1/(1 − c)-Lipschitz.

    Args:
        channels: in dimension 1.
        kind: "vectors" (B, d) or "features" (B, C, H, W) of any size.
        bound: c, in (0, 1), to which `settle` scales the weights down.
        hidden, depth: width of the network f, and its hidden layers.
        activation: a name of `flows.fields.SLOPES`.
        logdet: (x ↦ f(x), x) to log|det(I + f'(x))|, (B,); the default is exact and makes the
            whole matrix, which is for vectors of a few numbers. `logdet` has others.
        tolerance: to which `inverse` goes, as a proven error in the norm of a sample.
    """

    def __init__(
        self,
        channels: int,
        kind: Kind = "vectors",
        bound: float = 0.9,
        hidden: int = 64,
        depth: int = 2,
        activation: str = "tanh",
        logdet: LogDet | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__()
        if not 0 < bound < 1:
            raise ValueError(f"bound is {bound}; expected between 0 and 1")
        make: type[Dense] | type[Convolutional] = Dense if kind == "vectors" else Convolutional
        self.inner: Conditioner = make(
            channels, channels, hidden, depth, activation=activation, zero=False
        )
        self.bound, self.tolerance = bound, tolerance
        self.logdet: LogDet = logdet or dense_logdet
        self.settle()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.map(x), self.logdet(self.inner, x)

    def map(self, x: Tensor) -> Tensor:
        """The map alone, without its determinant."""
        return cast(Tensor, x + self.inner(x))

    @torch.no_grad()
    def settle(self) -> None:
        """Scales all layers evenly so that their proven constants multiply to `bound` at most."""
        constant = self.inner.lipschitz()
        if constant > self.bound:
            layers = self.inner.layers
            share = (self.bound / constant * (1 - 1e-6)) ** (1 / len(layers))
            for layer in layers:
                cast(nn.Parameter, layer.weight).mul_(share)

    def inverse(self, y: Tensor) -> Tensor:
        """To `tolerance`, without gradients; see `fixed_point`.

        Rounding comes on top: where ε‖y‖/(1 − c) is above the tolerance, so is the error.
        """
        return self.fixed_point(y).x

    @torch.no_grad()
    def fixed_point(self, y: Tensor, iterations: int | None = None) -> FixedPoint:
        """Iterates until the error is proven to be within `tolerance`, or a number of times.

        Raises:
            InputError: Lip f < 1 is not proven for these weights (`settle` makes it so), or y or
                f(y) is not finite.
        """
        c = self.inner.lipschitz()
        if c >= 1:
            raise InputError(
                f"the residual is only known to be {c:.6g}-Lipschitz, so that the block need have "
                "no inverse; call settle() after each step of training"
            )
        before, x, count = y, cast(Tensor, y - self.inner(y)), 1
        first = _norms(x - before)
        if not bool(torch.isfinite(first).all()):
            raise InputError(
                "y or the residual f(y) is not finite, or too large for its precision; expected "
                "finite numbers"
            )
        while True:
            error = c / (1 - c) * _norms(x - before)
            a_priori = c**count / (1 - c) * first
            # A proof gives the second bound where rounding stops the first.
            enough = float(torch.minimum(error, a_priori).max()) <= self.tolerance
            if count == iterations or (iterations is None and enough):
                return FixedPoint(x, count, a_priori, error)
            before, x, count = x, cast(Tensor, y - self.inner(x)), count + 1

    def check(self) -> Guarantee:
        if not all_finite(self):
            return guarantees.none(NOT_FINITE)
        c = self.inner.lipschitz()
        source = f"x + f(x), Lip f ≤ {c:.6g} for every size (Behrmann et al. 2019)"
        held = guarantees.lipschitz((1 + c) * (1 + 1e-15), source)
        return guarantees.structured(held, lower=max((1 - c) * (1 - 1e-15), 0.0))


def _norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)
