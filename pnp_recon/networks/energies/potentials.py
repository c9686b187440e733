"""Potentials ψ whose second derivative is piecewise constant, and what is computed from them.

ψ′(r) = φ′(a r)/a with φ′(t) = Σⱼ kⱼ min(t, τⱼ) for t ≥ 0, continued as an odd function: linear at 0
with slope Σ kⱼ, constant beyond the last knot. It knows radii and numbers, no filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# (radii (B, G, h, w), scale, jumps, knots) -> one number for each radius.
Pointwise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Potentials:
    """The potentials of a batch: B pictures, G groups of channels, J knots.

    Attributes:
        scale: a, (B, G, 1, 1).
        jumps: k, (B, G, J); the slope of φ′ falls by kⱼ at τⱼ.
        knots: τ, (J,), increasing.
        steepest: a bound of the second derivatives of each picture's potentials, (B,).
    """

    scale: Tensor
    jumps: Tensor
    knots: Tensor
    steepest: Tensor

    def of(self, function: Pointwise, radius: Tensor) -> Tensor:
        return function(radius, self.scale, self.jumps, self.knots)

    def detach(self) -> Potentials:
        return Potentials(
            self.scale.detach(), self.jumps.detach(), self.knots, self.steepest.detach()
        )

    def slopes(self) -> Tensor:
        """ψ″ between the knots, (B, G, J + 1): from 0 to τ₁, ..., beyond τ_J, where it is 0."""
        tails = self.jumps.flip(-1).cumsum(-1).flip(-1)
        return torch.cat((tails, torch.zeros_like(tails[..., :1])), -1)


def secant(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """ψ′(r)/r for r ≥ 0."""
    inverse = 1 / (a * r).clamp_min(1e-12)
    found = torch.zeros_like(r)
    for j in range(k.shape[-1]):
        found = found + k[:, :, j, None, None] * (tau[j] * inverse).clamp_max(1.0)
    return found


def slope(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """ψ″(r) for r ≥ 0, from the right at a knot."""
    t = a * r
    found = torch.zeros_like(r)
    for j in range(k.shape[-1]):
        found = found + k[:, :, j, None, None] * (t < tau[j]).to(r.dtype)
    return found


def potential(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """ψ(r) for r ≥ 0, ψ(0) = 0."""
    t = a * r
    found = torch.zeros_like(r)
    for j in range(k.shape[-1]):
        below = t.clamp_max(tau[j])
        found = found + k[:, :, j, None, None] * below * (t - 0.5 * below)
    return found / (a * a)
