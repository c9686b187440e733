"""Itoh–Abe descent: it takes no gradient, and the loss falls for every step size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pnp_recon.training.structured.closures import Closure, needed, positive

# Least step along an entry, relative to 1 + |entry|, and inner bisections.
LEAST, BISECTIONS, DOUBLINGS = 1e-14, 60, 200


def itoh_abe(value: Callable[[float], float], h: float, start: float) -> float:
    """s with value(s) + s²/h ≤ value(0), s = 0 where none was found: one entry moved by s.

    The exact step is s ≠ 0 with equality, −h times the discrete gradient. It is enclosed, and the
    end where the inequality holds is taken: so the function falls whatever h is, and however
    coarse the enclosure.

    Args:
        value: the function along the entry.
        h: the step size, > 0.
        start: the first length that is tried, on both sides, > 0; halved where it is too long.
    """
    base = value(0.0)

    def gain(s: float) -> float:
        return value(s) - base + s * s / h

    low, length = 0.0, start
    for _ in range(DOUBLINGS):
        low = next((s for s in (length, -length) if gain(s) < 0), 0.0)
        if low or length < LEAST:
            break
        length /= 4
    if not low:
        return 0.0
    high = 2 * low
    for _ in range(DOUBLINGS):
        if not gain(high) < 0:
            break
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if gain(middle) < 0 else (low, middle)
    return low


class ItohAbe(torch.optim.Optimizer):
    """Discrete gradient descent, entry by entry: the loss falls for every step size.

    Each entry moves by s with J(u + seᵢ) + s²/h ≤ J(u), and by no gradient; a step evaluates the
    closure, which must not call `backward`, about a hundred times for each entry. For few
    parameters, and losses without noise.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0, as large as one likes.

    Source: Itoh & Abe 1988; Grimm, McLachlan, McLaren, Quispel & Schönlieb 2017.
    """

    def __init__(self, params: Any, lr: float) -> None:
        positive(lr=lr)
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One sweep over all entries; the result is the loss before it.

        Raises:
            InputError: no closure.
        """
        evaluate = needed(closure)
        loss = evaluate()
        for group in self.param_groups:
            for u in group["params"]:
                entries = u.view(-1)
                for i in range(len(entries)):
                    self._move(entries, i, group["lr"], evaluate)
        return loss

    def _move(self, entries: Tensor, i: int, h: float, evaluate: Closure) -> None:
        before = float(entries[i])

        def value(s: float) -> float:
            entries[i] = before + s
            return float(evaluate())

        entries[i] = before + itoh_abe(value, h, 1e-3 * (1 + abs(before)))
