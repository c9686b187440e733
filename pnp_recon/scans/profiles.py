"""Profiles along a detector between its pixels, and the least value of a function, by NumPy alone.

SciPy has all of it; loading it takes longer than the whole search for an axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# The pole of cubic splines (Unser, Aldroubi & Eden 1993, IEEE Trans. Signal Process. 41, 821), and
# after so many pixels nothing is left of it.
POLE, FORGOTTEN = math.sqrt(3) - 2, 40
GOLDEN = (math.sqrt(5) - 1) / 2


def smoothed(values: Floats, sigma: float) -> Floats:
    """With a Gaussian of `sigma` pixels along the last axis, whose ends are continued."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    ends = [(0, 0)] * (values.ndim - 1) + [(reach, reach)]
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, ends, mode="edge"), 2 * reach + 1, axis=-1
    )
    return np.asarray(around @ (weights / weights.sum()))


class Spline:
    """The cubic spline through values along the last axis, mirrored at both ends.

    Args:
        values: (..., N), N ≥ 2, at 0, 1, …, N − 1.
    """

    def __init__(self, values: Floats) -> None:
        c = np.moveaxis(6 * values, -1, 0).copy()
        some = min(FORGOTTEN, len(c))
        c[0] = np.tensordot(POLE ** np.arange(some), c[:some], 1)
        for k in range(1, len(c)):
            c[k] += POLE * c[k - 1]
        c[-1] = POLE / (POLE**2 - 1) * (c[-1] + POLE * c[-2])
        for k in range(len(c) - 2, -1, -1):
            c[k] = POLE * (c[k + 1] - c[k])
        self._weights = np.moveaxis(c, 0, -1)

    def __call__(self, place: Floats) -> Floats:
        """The values (..., P) at places (P,) in [0, N − 1]."""
        last = self._weights.shape[-1] - 1
        left = np.floor(place).astype(int).clip(0, last - 1)
        t = place - left
        shares = (
            (1 - t) ** 3,
            4 - 6 * t**2 + 3 * t**3,
            1 + 3 * t + 3 * t**2 - 3 * t**3,
            t**3,
        )
        found = 0.0
        for k, share in enumerate(shares):
            index = last - np.abs(last - np.abs(left + k - 1))
            found = found + self._weights[..., index] * share / 6
        return np.asarray(found)


def least_between(
    function: Callable[[float], float], low: float, high: float, exact: float
) -> tuple[float, float]:
    """Where a function with one minimum in [low, high] is least, to within `exact`, and its value.

    Golden sections (Kiefer 1953).
    """
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(place) for place in inner]
    while high - low > exact:
        if values[0] < values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - GOLDEN * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + GOLDEN * (high - low)
            values[1] = function(inner[1])
    best = int(values[1] < values[0])
    return inner[best], values[best]
