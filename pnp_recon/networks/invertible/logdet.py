"""log det(I + J) of a residual map x + f(x) with Lip f ≤ c < 1: exact, by series, by chance.

    log det(I + J) = Σ_{k ≥ 1} (−1)^{k+1} tr(Jᵏ)/k,   |tr(Jᵏ)| ≤ d cᵏ.

The series is cut after n terms with an error of at most d Σ_{k > n} cᵏ/k, a trace is estimated by
vᵀJᵏv with random signs v (Hutchinson 1989), and the cut is made random with weights that leave the
mean as it is (Russian roulette: Chen et al. 2019). Only products with Jᵀ are needed. It knows no
network: f is any map of (B, …) to the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pnp_recon.errors import InputError

Map = Callable[[Tensor], Tensor]
# Terms of the tail that are added one by one; the rest is bounded by a geometric series.
TAIL = 64


def truncation_bound(dim: int, constant: float, terms: int) -> float:
    """d Σ_{k > n} cᵏ/k, rounded up: what the first n terms can be wrong by.

    It holds for exact traces, and for each estimate with random signs, as ‖v‖² = d.

    Args:
        dim: d, the numbers of a point.
        constant: c, a proven Lipschitz constant of f.
        terms: n.

    Raises:
        InputError: c is not in [0, 1), where the series converges for every f.
    """
    if not 0 <= constant < 1:
        raise InputError(f"the constant of f is {constant:g}; expected at least 0 and below 1")
    if dim < 1 or terms < 0:
        raise InputError(f"found {dim} dimensions and {terms} terms; expected at least 1 and 0")
    last = terms + TAIL
    tail = math.fsum(constant**k / k for k in range(terms + 1, last + 1))
    rest = constant ** (last + 1) / ((last + 1) * (1 - constant))
    return dim * (tail + rest) * (1 + 1e-12)


def dense_logdet(f: Map, x: Tensor) -> Tensor:
    """log|det(I + J)| from the whole Jacobian, (B,): for points of few numbers, O(d³)."""
    found = torch.linalg.slogdet(_identity(x) + jacobian(f, x))
    return found.logabsdet


def series_logdet(f: Map, x: Tensor, terms: int) -> Tensor:
    """The first n terms with exact traces, (B,); wrong by at most `truncation_bound`."""
    rows, total = jacobian(f, x), x.new_zeros(len(x))
    power = rows
    for k in range(1, terms + 1):
        total = total + _signed(k) * power.diagonal(dim1=1, dim2=2).sum(1)
        power = power @ rows
    return total


def hutchinson_logdet(f: Map, x: Tensor, terms: int, signs: Tensor) -> Tensor:
    """The first n terms, each trace estimated by vᵀJᵏv: their mean is `series_logdet`.

    Args:
        f: the residual.
        x: points (B, …).
        terms: n.
        signs: v, independent entries ±1, of the shape of x (`random_signs`).
    """
    return _weighted(f, x, signs, [_signed(k) for k in range(1, terms + 1)])


def roulette_logdet(
    f: Map, x: Tensor, signs: Tensor, length: int, always: int = 2, survival: float = 0.5
) -> Tensor:
    """The terms up to a drawn `length`, each divided by its probability to be reached, (B,).

    Over lengths from `drawn_length` and random signs the mean is log det(I + J), without a
    truncation: Σ_n P(n) Σ_{k ≤ n} a_k/P(≥ k) = Σ a_k, which converges absolutely for c < 1.

    Raises:
        InputError: see `reach`.
    """
    weights = [_signed(k) / reach(k, always, survival) for k in range(1, length + 1)]
    return _weighted(f, x, signs, weights)


def reach(k: int, always: int, survival: float) -> float:
    """The probability that term k is reached: 1 up to `always`, then times `survival` each.

    Raises:
        InputError: no first term, or a survival that is not in (0, 1).
    """
    if always < 1 or not 0 < survival < 1:
        raise InputError(
            f"found {always} sure terms and survival {survival:g}; expected at least 1, and a "
            "number between 0 and 1"
        )
    return float(survival ** max(0, k - always))


def drawn_length(generator: torch.Generator, always: int = 2, survival: float = 0.5) -> int:
    """A length with P(length ≥ k) = `reach`(k)."""
    u = float(torch.rand((), generator=generator, dtype=torch.float64))
    length = always
    while reach(length + 1, always, survival) > u:
        length += 1
    return length


def roulette_spread(constant: float, dim: int, always: int = 2, survival: float = 0.5) -> float:
    """A bound of the root of the second moment of `roulette_logdet`; infinite if c² ≥ survival.

    By Minkowski's inequality it is at most Σ_k d cᵏ/(k √P(≥ k)), which is finite for c² < survival:
    with a shorter-lived roulette the mean is right and means over samples need not settle.

    Raises:
        InputError: see `truncation_bound` and `reach`.
    """
    truncation_bound(dim, constant, 0)
    ratio = constant / math.sqrt(survival)
    if ratio >= 1:
        return math.inf
    sure = math.fsum(constant**k / k for k in range(1, always + 1))
    start = constant**always / (always + 1)
    return dim * (sure + start * ratio / (1 - ratio)) * (1 + 1e-12)


def random_signs(x: Tensor, generator: torch.Generator) -> Tensor:
    """Independent entries ±1 of the shape of x."""
    drawn = torch.randint(0, 2, x.shape, generator=generator)
    return (2 * drawn - 1).to(x)


def jacobian(f: Map, x: Tensor) -> Tensor:
    """J of every point, (B, d, d), differentiable; f acts on each point by itself."""

    def single(point: Tensor) -> Tensor:
        return f(point[None])[0]

    return torch.func.vmap(torch.func.jacrev(single))(x).reshape(len(x), x[0].numel(), -1)


def _weighted(f: Map, x: Tensor, signs: Tensor, weights: list[float]) -> Tensor:
    """Σ_k w_k vᵀJᵏv, by products with Jᵀ; differentiable."""
    with torch.enable_grad():
        leaf = x if x.requires_grad else x.detach().requires_grad_()
        image = f(leaf)
        v, total = signs, x.new_zeros(len(x))
        for weight in weights:
            (v,) = torch.autograd.grad(image, leaf, v, create_graph=True)
            total = total + weight * (v * signs).flatten(1).sum(1)
    return total


def _signed(k: int) -> float:
    return (1.0 if k % 2 else -1.0) / k


def _identity(x: Tensor) -> Tensor:
    return torch.eye(x[0].numel(), dtype=x.dtype, device=x.device)
