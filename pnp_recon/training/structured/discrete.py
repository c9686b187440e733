"""Itoh–Abe descent: it takes no gradient, and the loss falls for every step size.

One coordinate after the other moves by an s with J(s) + s²/h ≤ J(0). Equality is the discrete
gradient of Itoh & Abe (1988), for which J falls by exactly what it moves. Falling needs the
inequality alone: `frugal` takes the lowest of at most three values that obey it. Coordinates are
the entries, or the angles by which a matrix with orthonormal columns is turned, which are geodesics
(Celledoni, Eidnes, Owren & Ringholm 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.closures import Closure, Stepping, needed, value_of
from pnp_recon.training.structured.orthogonal import Orthonormal, tall

Value = Callable[[float], float]
# A coordinate moves by s from where it is, and the loss there follows.
Solve = Callable[[Value, float, float, float], tuple[float, float]]

# Least step along a coordinate, and inner bisections.
LEAST, BISECTIONS, DOUBLINGS = 1e-14, 60, 200

# ---- one coordinate -----------------------------------------------------------------------------


def itoh_abe(value: Value, h: float, start: float, base: float) -> tuple[float, float]:
    """s with value(s) + s²/h ≤ value(0), and value(s); s = 0 where none was found.

    The exact step is s ≠ 0 with equality, −h times the discrete gradient. It is enclosed to
    rounding in about a hundred values, and the end where the inequality holds is taken: so the
    function falls whatever h is, and however coarse the enclosure.

    Args:
        value: the function along the coordinate.
        h: the step size, > 0.
        start: the first length that is tried, on both sides, not 0; shortened where it is too long.
        base: value(0).
    """
    known = {0.0: base}

    def falls(s: float) -> bool:
        known[s] = value(s)
        return known[s] - base + s * s / h < 0

    low, length = 0.0, start
    for _ in range(DOUBLINGS):
        low = next((s for s in (length, -length) if falls(s)), 0.0)
        if low or abs(length) < LEAST:
            break
        length /= 4
    if not low:
        return 0.0, base
    high = 2 * low
    for _ in range(DOUBLINGS):
        if not falls(high):
            break
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if falls(middle) else (low, middle)
    return low, known[low]


def frugal(
    value: Value, h: float, start: float, base: float, error: float = 0.0
) -> tuple[float, float]:
    """s with value(s) + s²/h ≤ value(0), and value(s): the lowest of at most three values.

    `start`, then twice of it or the other side, then the vertex of the parabola through them.

    Args:
        value, h, start, base: as for `itoh_abe`.
        error: a bound of how far values may be off. Steps with s²/h < 2·error are not taken, so
            that what the values stand for falls as well.
    """
    known = {0.0: base, start: value(start)}
    second = 2 * start if known[start] < base else -start
    known[second] = value(second)
    vertex = _vertex(start, known[start] - base, second, known[second] - base)
    if vertex is not None and vertex not in known:
        known[vertex] = value(vertex)
    allowed = (
        s for s in known if s and known[s] - base + s * s / h <= 0 and s * s / h >= 2 * error
    )
    best = min(allowed, key=lambda s: known[s], default=0.0)
    return best, known[best]


def _vertex(a: float, up: float, b: float, other: float) -> float | None:
    """Where the parabola through (0, 0), (a, up), (b, other) is least, at most 3·max(|a|, |b|)."""
    curvature = (up / a - other / b) / (a - b)
    if not 0 < curvature < math.inf:
        return None
    slope = up / a - curvature * a
    reach = 3 * max(abs(a), abs(b))
    return min(max(-slope / (2 * curvature), -reach), reach)


SOLVES: dict[str, Solve] = {"exact": itoh_abe, "frugal": frugal}

# ---- optimisers ---------------------------------------------------------------------------------


class _Sweeps(Stepping):
    """Coordinates one after the other; the last step of each is where its next search begins."""

    first = 1e-3

    def __init__(self, params: Any, lr: float, solve: str) -> None:
        super().__init__(params, {"lr": lr, "solve": solve})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if group["solve"] not in SOLVES:
            raise InputError(f"unknown solve {group['solve']!r}; known: {', '.join(SOLVES)}")

    def _coordinates(self, parameter: Tensor) -> Iterator[tuple[float, Callable[[float], None]]]:
        """(first length, s -> the parameter moved by s from where it was) of each coordinate."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One sweep over the coordinates that are not frozen; the result is the loss before it.

        Raises:
            InputError: no closure, or one that gives no number.
        """
        evaluate = needed(closure)
        loss = evaluate()
        current = value_of(loss)
        for group in self.param_groups:
            solve = SOLVES[group["solve"]]
            for parameter in filter(lambda p: p.requires_grad, group["params"]):
                lengths = self.state[parameter].setdefault("lengths", {})
                for i, (first, move) in enumerate(self._coordinates(parameter)):

                    def value(s: float, move: Callable[[float], None] = move) -> float:
                        move(s)
                        return value_of(evaluate())

                    length = lengths.get(i, first)
                    s, current = solve(value, group["lr"], length, current)
                    move(s)
                    lengths[i] = s or max(abs(length) / 4, LEAST)
        return loss


class ItohAbe(_Sweeps):
    """Discrete gradient descent, entry by entry: the loss falls for every step size.

    Each entry moves by s with J(u + seᵢ) + s²/h ≤ J(u), and by no gradient. A step evaluates the
    closure, which must not call `backward`, for each entry about a hundred times, or at most three
    times where `solve` is frugal. For few parameters, and losses without noise.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0, as large as one likes.
        solve: "exact" to rounding, or "frugal".

    Source: Itoh & Abe 1988; Grimm, McLachlan, McLaren, Quispel & Schönlieb 2017.
    """

    def __init__(self, params: Any, lr: float, solve: str = "exact") -> None:
        super().__init__(params, lr, solve)

    def _coordinates(self, parameter: Tensor) -> Iterator[tuple[float, Callable[[float], None]]]:
        for place in product(*map(range, parameter.shape)):
            before = float(parameter[place])

            def move(s: float, place: tuple[int, ...] = place, before: float = before) -> None:
                parameter[place] = before + s

            yield self.first * (1 + abs(before)), move


class ItohAbeStiefel(_Sweeps, Orthonormal):
    """The same on matrices with orthonormal columns: rows i and j are turned by an angle s.

    J(G(s)U) + s²/h ≤ J(U) for each of the n(n − 1)/2 turns G of two axes. The sphere is the case of
    one column. For small matrices, and losses without noise.

    Args:
        params: matrices or filters with orthonormal columns, or rows where they are wide.
        lr: h > 0, as large as one likes.
        solve: "exact" to rounding, or "frugal".

    Raises:
        InputError: a parameter that is not orthonormal.

    Source: Celledoni, Eidnes, Owren & Ringholm 2018, with turns for coordinates.
    """

    first = 1e-2

    def __init__(self, params: Any, lr: float, solve: str = "exact") -> None:
        super().__init__(params, lr, solve)

    def _coordinates(self, parameter: Tensor) -> Iterator[tuple[float, Callable[[float], None]]]:
        u = tall(parameter)
        for pair in combinations(range(len(u)), 2):
            rows, before = list(pair), u[list(pair)].clone()

            def move(s: float, rows: list[int] = rows, before: Tensor = before) -> None:
                cosine, sine = math.cos(s), math.sin(s)
                turn = before.new_tensor([[cosine, -sine], [sine, cosine]])
                u[rows] = turn @ before

            yield self.first, move
