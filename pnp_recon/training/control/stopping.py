"""A learned stopping time: T with dJ/dT = ⟨p(T), f(z(T))⟩ = 0 on training pairs.

J(T) is the mean of ½‖z(T) − z*‖² over pairs, so that p(T) = z(T) − z* (Effland, Kobler, Kunisch &
Pock 2020). Between the points of an iteration z(T) goes straight, and J is a parabola.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.errors import InputError


@dataclass(frozen=True)
class StoppingTime:
    """Where to end an iteration.

    Attributes:
        time: T in steps, as 12.3.
        value: J(T).
        slope: dJ/dT there: 0 to rounding at a minimum between the ends; at an end what it is.
    """

    time: float
    value: float
    slope: float


def learned_time(points: Sequence[Tensor], truth: Tensor) -> StoppingTime:
    """The stopping time of least error for the pairs.

    Args:
        points: z⁰ … z^K, each (B, …), the iterates of all pairs.
        truth: (B, …).

    Raises:
        InputError: fewer than two points.
    """
    if len(points) < 2:
        raise InputError(f"a stopping time lies between points; found {len(points)}")
    best: StoppingTime | None = None
    for k, (before, after) in enumerate(itertools.pairwise(points)):
        left, move = (before - truth).flatten().double(), (after - before).flatten().double()
        start, slope, bend = (float(a @ b) / len(truth) for a, b in _products(left, move))
        share = min(max(-slope / bend, 0.0), 1.0) if bend > 0 else 0.0
        value = start / 2 + slope * share + bend * share**2 / 2
        if best is None or value < best.value:
            best = StoppingTime(k + share, value, slope + bend * share)
    assert best is not None
    return best


def stopped(points: Sequence[Tensor], time: float) -> Tensor:
    """z(T) (B, …); the last point where the time lies beyond it."""
    k = min(int(time), len(points) - 1)
    if k == len(points) - 1:
        return points[-1]
    return torch.lerp(points[k], points[k + 1], time - k)


def _products(left: Tensor, move: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (left, left), (left, move), (move, move)
