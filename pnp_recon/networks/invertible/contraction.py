"""x + f(x) on vectors with Lip f ≤ c < 1 proven, and its log-determinant in four ways.

Behrmann et al. (2019, invertible residual networks) and Chen et al. (2019, residual flows) bound f
with power iterations, which are lower bounds of norms; here the largest singular value of each
matrix is computed, and its rounding added. Maps of pictures are elsewhere; this serves densities.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.guarantees import Guarantee
from pnp_recon.networks.flows.matrices import matrix_norm_bound
from pnp_recon.networks.invertible.base import Invertible
from pnp_recon.networks.invertible.logdet import (
    dense_logdet,
    drawn_length,
    hutchinson_logdet,
    random_signs,
    roulette_logdet,
    series_logdet,
)

Way = Literal["dense", "series", "hutchinson", "roulette"]
# What is divided by is more than the norm by this share, far above the rounding of float32.
ALLOWANCE = 1e-5


class Contraction(nn.Module):
    """f(x) = c(W_m sin(… sin(W₁x + b₁) …) + b): smooth, and slopes of a sine lie in [−1, 1].

    `settle` brings the matrices to norms of 1, rounded down; training calls it after every step. What
    is proven is proven of the matrices that are held, settled or not.

    Args:
        dim: numbers of a point.
        hidden, depth: numbers and layers in between.
        constant: c in (0, 1).
    """

    def __init__(self, dim: int, hidden: int = 64, depth: int = 1, constant: float = 0.9) -> None:
        super().__init__()
        if not 0 < constant < 1:
            raise InputError(f"the constant is {constant:g}; expected a number between 0 and 1")
        widths = [dim, *[hidden] * depth, dim]
        pairs = zip(widths, widths[1:], strict=False)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.constant = constant
        self.settle()

    @torch.no_grad()
    def settle(self) -> None:
        """Divides every matrix by its norm and a little more."""
        for layer in self._linear():
            norm = float(torch.linalg.matrix_norm(layer.weight, 2)) * (1 + ALLOWANCE)
            layer.weight.div_(norm)

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self._linear()
        for layer in inner:
            x = torch.sin(layer(x))
        return self.constant * last(x)

    def lipschitz(self) -> float:
        """Proven for the weights held now: c times the norms."""
        found = self.constant
        for layer in self._linear():
            found *= matrix_norm_bound(layer.weight)
        return found * (1 + 1e-12)

    def _linear(self) -> list[nn.Linear]:
        return [cast(nn.Linear, layer) for layer in self.layers]


class ResidualMap(Invertible):
    """g = x + f(x): bi-Lipschitz with 1 − c and 1 + c, its inverse by fixed-point iteration.

    `way` says how the log-determinant is found; "dense" is exact. "hutchinson" and "roulette" draw
    from `generator`, and have the series, or the exact one, as their mean.

    Attributes:
        terms: of "series" and "hutchinson".
        tol: of the inverse: ‖x − g⁻¹(y)‖ ≤ tol is proven, up to rounding.
    """

    def __init__(self, f: Contraction, way: Way = "dense", terms: int = 10) -> None:
        super().__init__()
        self.f, self.way, self.terms, self.tol = f, way, terms, 1e-6
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + self.f(x), self.logdet(x)

    def logdet(self, x: Tensor) -> Tensor:
        """log det g', (B,); see `logdet`."""
        if self.way == "dense":
            return dense_logdet(self.f, x)
        if self.way == "series":
            return series_logdet(self.f, x, self.terms)
        signs = random_signs(x, self.generator)
        if self.way == "hutchinson":
            return hutchinson_logdet(self.f, x, self.terms, signs)
        return roulette_logdet(self.f, x, signs, drawn_length(self.generator))

    @torch.no_grad()
    def inverse(self, y: Tensor) -> Tensor:
        """xⁱ = y − f(xⁱ⁻¹) until c/(1 − c)·‖xⁱ − xⁱ⁻¹‖ ≤ tol, which bounds the error (Banach).

        Raises:
            InputError: it does not get there, as f is no contraction.
        """
        constant, x = self.f.lipschitz(), y
        if not constant < 1:
            raise InputError(f"f is only known to be {constant:g}-Lipschitz; expected below 1")
        for _ in range(10_000):
            new = y - self.f(x)
            moved = float((new - x).flatten(1).norm(dim=1).max())
            x = new
            # A move within the rounding of y tells no more.
            least = 4 * torch.finfo(y.dtype).eps * float(1 + y.abs().max())
            if constant / (1 - constant) * moved <= self.tol or moved <= least:
                return x
        raise InputError("the inverse did not converge; the weights are not those that were proven")

    def check(self) -> Guarantee:
        constant = self.f.lipschitz()
        if not constant < 1:
            return guarantees.none(f"x + f(x) with f only known to be {constant:g}-Lipschitz")
        held = guarantees.lipschitz(1 + constant, f"x + f(x), Lip f ≤ {constant:.6g} (Banach)")
        return guarantees.structured(held, lower=1 - constant)
