"""Potentials ψ whose second derivative is piecewise constant, and what is computed from them.

ψ′(r) = φ′(a r)/a with φ′(t) = Σⱼ kⱼ min(t, τⱼ) for t ≥ 0, continued as an odd function: linear at 0
with slope Σ kⱼ, constant beyond the last knot. It knows radii and numbers, no filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# (radii (B, G, h, w), scale, jumps, knots) -> one number for each radius, or two.
Pointwise = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Pair = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
# Below this, a radius counts as this: ψ′(r)/r is constant there.
SMALLEST = 1e-12
# So many radii are worked on at a time on a CPU: what lies between fits into its cache.
PIECE = 1 << 15


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
        """The function of every radius (B, G, h, w)."""
        if not self._in_pieces(radius):
            return function(radius, self.scale, self.jumps, self.knots)
        found = torch.empty_like(radius)
        for out, r, a, k in self._pieces(found, radius):
            out.copy_(function(r, a, k, self.knots))
        return found

    def pair_of(self, function: Pair, radius: Tensor) -> tuple[Tensor, Tensor]:
        """Both functions of every radius."""
        if not self._in_pieces(radius):
            return function(radius, self.scale, self.jumps, self.knots)
        first, second = torch.empty_like(radius), torch.empty_like(radius)
        for one, other, r, a, k in self._pieces(first, second, radius):
            for out, found in zip((one, other), function(r, a, k, self.knots), strict=True):
                out.copy_(found)
        return first, second

    def _in_pieces(self, radius: Tensor) -> bool:
        """Whether it pays: not where each piece would become a node of the graph."""
        asked = (radius, self.scale, self.jumps)
        if torch.is_grad_enabled() and any(x.requires_grad for x in asked):
            return False
        return radius.device.type == "cpu" and radius.numel() > PIECE

    def _pieces(self, *images: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Images (B, G, h, w) piece by piece, each with scale and jumps of its groups."""
        batch, groups, height, width = images[0].shape
        count, rows = max(1, PIECE // (height * width)), max(1, PIECE // width)
        for b in range(batch):
            for g in range(0, groups, count):
                for top in range(0, height, height if count > 1 else rows):
                    below = height if count > 1 else top + rows
                    parts = [x[b : b + 1, g : g + count, top:below] for x in images]
                    here = (slice(b, b + 1), slice(g, g + count))
                    yield (*parts, self.scale[here], self.jumps[here])

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
    t = (a * r).clamp_min(SMALLEST)
    return _sum_of_minima(t, k, tau) / t


def slope(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """ψ″(r) for r ≥ 0, from the right at a knot."""
    t = a * r
    found = torch.zeros_like(t)
    for j in range(k.shape[-1]):
        found.addcmul_((t < tau[j]).to(r.dtype), k[:, :, j, None, None])
    return found


def potential(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """ψ(r) for r ≥ 0, ψ(0) = 0."""
    return potential_and_secant(r, a, k, tau)[0]


def potential_and_secant(r: Tensor, a: Tensor, k: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """ψ(r) and ψ′(r)/r for r ≥ 0."""
    t = (a * r).clamp_min(SMALLEST)
    minima, squares = torch.zeros_like(t), torch.zeros_like(t)
    for j in range(k.shape[-1]):
        below, weight = t.clamp_max(tau[j]), k[:, :, j, None, None]
        minima.addcmul_(below, weight)
        squares.addcmul_(below.square(), weight)
    # Σ kⱼ mⱼ (t − mⱼ/2) with mⱼ = min(t, τⱼ).
    return (t * minima - 0.5 * squares) / (a * a), minima / t


def _sum_of_minima(t: Tensor, k: Tensor, tau: Tensor) -> Tensor:
    """φ′(t) = Σ kⱼ min(t, τⱼ)."""
    found = torch.zeros_like(t)
    for j in range(k.shape[-1]):
        found.addcmul_(t.clamp_max(tau[j]), k[:, :, j, None, None])
    return found
