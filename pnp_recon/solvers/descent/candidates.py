"""Where to go next: a quasi-Newton method in the precision of the pictures.

Nothing here is proven, and nothing needs to be: a candidate counts only where the energy fell
enough (`solver`). Limited-memory BFGS (Nocedal 1980) begins from the inverse of AᵀA + λ, which the
proximal map of the data gives: a first step is then one of half-quadratic splitting, and what is
left to learn is how the energy bends. Armijo's rule shortens steps; each picture of a batch is by
itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.descent.objective import Objective, merged

# Pairs that are remembered.
LENGTH = 8
# Armijo's constant, the factor by which steps shrink, and how often.
ENOUGH, SHRINK, TRIES = 1e-4, 0.4, 6
# What rounding may feign of a fall, relative to the energy, in float32.
ROUNDING = 4.0
# A pair counts where the curvature along it is at least this share of λ.
CURVED = 1e-4
# Error of the inner solves of the metric, relative.
INEXACT = 1e-1

Pair = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Search:
    """Where the search is, and what it remembers.

    Attributes:
        x: (B, C, H, W); `energy` (B,) and `gradient` of E there.
        pairs: moves s, changes y of the gradient, and 1/⟨s, y⟩ (B,), zero where a pair is none.
        calls: how often E was evaluated.
    """

    x: Tensor
    energy: Tensor
    gradient: Tensor
    pairs: tuple[Pair, ...] = ()
    calls: int = 0

    @classmethod
    def begin(cls, objective: Objective, x: Tensor) -> Search:
        return cls(x, *objective.value_and_gradient(x), calls=1)


def advance(objective: Objective, search: Search, count: int) -> Search:
    """About `count` evaluations of E further."""
    end = search.calls + count
    while search.calls < end:
        search = _step(objective, search)
    return search


def _step(objective: Objective, held: Search) -> Search:
    x, energy, gradient = held.x, held.energy, held.gradient
    direction = _direction(objective, held)
    slope = _dot(gradient, direction)
    # Where rounding has spoiled the memory, straight down in the metric.
    bad = ~(slope < 0)
    pairs = held.pairs
    if bool(bad.any()):
        pairs = tuple((s, y, torch.where(bad, 0.0, rho)) for s, y, rho in pairs)
        direction = merged(bad, -objective.metric_solve(gradient, INEXACT), direction)
        slope = _dot(gradient, direction)
    feigned = ROUNDING * torch.finfo(x.dtype).eps * energy.abs()
    length, calls = torch.ones_like(energy), 0
    open_ = torch.ones_like(energy, dtype=torch.bool)
    new, new_energy, new_gradient = x, energy, gradient
    for _ in range(TRIES):
        tried = x + length.view(-1, 1, 1, 1) * direction
        value, grown = objective.value_and_gradient(tried)
        calls += 1
        enough = open_ & (value <= energy + ENOUGH * length * slope + feigned)
        new, new_gradient = merged(enough, tried, new), merged(enough, grown, new_gradient)
        new_energy = torch.where(enough, value, new_energy)
        open_ = open_ & ~enough
        if not bool(open_.any()):
            break
        length = torch.where(open_, SHRINK * length, length)
    s, y = new - x, new_gradient - gradient
    curved = _dot(s, y)
    counts = curved > CURVED * objective.weight * _dot(s, s)
    rho = torch.where(counts, 1 / curved.clamp_min(1e-30), torch.zeros_like(curved))
    # What led nowhere is forgotten.
    stuck = open_
    pairs = tuple((a, b, torch.where(stuck, 0.0, c)) for a, b, c in pairs)
    return Search(
        new, new_energy, new_gradient, (*pairs, (s, y, rho))[-LENGTH:], held.calls + calls
    )


def _direction(objective: Objective, held: Search) -> Tensor:
    """The two loops of limited-memory BFGS."""
    q = held.gradient
    kept = []
    for s, y, rho in reversed(held.pairs):
        a = rho * _dot(s, q)
        q = q - _times(a, y)
        kept.append(a)
    d = objective.metric_solve(q, INEXACT)
    for (s, y, rho), a in zip(held.pairs, reversed(kept), strict=True):
        b = rho * _dot(y, d)
        d = d + _times(a - b, s)
    return -d


def continuation(
    objective: Objective, start: Tensor, levels: list[float], weights: list[float], step: float
) -> Tensor:
    """A start: one forward-backward step for each of falling levels σ_k with their weights λ_k.

    Half-quadratic splitting with a falling level, as Zhang et al. (2021) run it, seen as steps on
    an energy. It decides in which valley a descent begins; nothing is claimed of it.

    Args:
        step: τ_k λ_k, the same at every level.
    """
    x = start
    for level, weight in zip(levels, weights, strict=True):
        forward = x - step * objective.prior.gradient(x, level)
        x = objective.backward(forward, step / weight, x, 1e-3 * norms(x))
    return x.clamp(-0.5, 1.5)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _times(factor: Tensor, picture: Tensor) -> Tensor:
    return factor.view(-1, 1, 1, 1) * picture
