"""Normalising flows: the density that an invertible map makes of a Gaussian, and laws for any.

For y = T(x) Gaussian, log p(x) = log N(T(x)) + log|det T'(x)| (Tabak & Vanden-Eijnden 2010; Rezende
& Mohamed 2015). What T is made of is not known here: couplings, residual maps or an ODE.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.networks.invertible.base import Invertible

LogDensity = Callable[[Tensor], Tensor]


class NormalisingFlow(nn.Module):
    """The density of x with T(x) standard Gaussian, on vectors (B, d)."""

    def __init__(self, transform: Invertible) -> None:
        super().__init__()
        self.transform = transform

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (B,)."""
        z, logdet = self.transform(x)
        return gaussian_log_prob(z) + logdet

    def forward(self, x: Tensor) -> Tensor:
        return self.log_prob(x)

    @torch.no_grad()
    def sample(self, count: int, dim: int, generator: torch.Generator) -> Tensor:
        """Points (count, dim) of p: T⁻¹ of Gaussian noise."""
        like = next(self.parameters())
        z = torch.randn(count, dim, generator=generator, dtype=like.dtype)
        return self.transform.inverse(z)


def gaussian_log_prob(z: Tensor) -> Tensor:
    """The logarithm of the standard Gaussian density of (B, …), (B,)."""
    square = z.flatten(1).square().sum(1)
    return -0.5 * square - 0.5 * z[0].numel() * math.log(2 * math.pi)


def gaussian_nll(train: Tensor, test: Tensor) -> float:
    """Mean −log N of the test points (m, d) for the Gaussian fitted to those of training (n, d)."""
    held = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.T))
    return -float(held.log_prob(test).mean())


@torch.no_grad()
def mass_on_grid(
    log_density: LogDensity, limit: float = 5.0, side: int = 400, batch: int = 20_000
) -> float:
    """∫ p over [−limit, limit]², by midpoints: 1 up to what lies outside and the grid's error.

    Args:
        log_density: the logarithm of a density at points (B, 2), (B,).
        limit: half the side of the square.
        side: points along it.

    Raises:
        InputError: fewer than two points.
    """
    if side < 2 or not limit > 0:
        raise InputError(
            f"found {side} points up to {limit}; expected two or more, and a limit > 0"
        )
    step = 2 * limit / side
    along = torch.arange(side, dtype=torch.float64) * step - limit + step / 2
    points = torch.cartesian_prod(along, along)
    total = sum(float(log_density(part).double().exp().sum()) for part in points.split(batch))
    return total * step**2
