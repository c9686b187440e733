"""A search of few parameters by Itoh–Abe descent: the score rises with every step, of any size.

Parameters are factors, so that steps are taken in their logarithms, one after the other. A step s
is taken where the score rises by s²/h dB or more; no derivative of a solver is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pnp_recon.training.structured.discrete import frugal

Point = dict[str, float]

# h in log units squared per dB: a factor of two has to bring 0.005 dB.
STEP = 100.0
# The first step of every parameter is this factor.
FACTOR = 1.5
# It ends with a sweep that brings less than this, in dB, and after so many sweeps.
SETTLED, SWEEPS = 0.01, 6


def ascend(score: Callable[[Point], float | None], start: Mapping[str, float]) -> None:
    """Calls `score` with points that get better, from `start` on.

    Args:
        score: mean PSNR in dB of a point, None where it has none, which counts as the worst.
        start: values > 0.
    """
    values: dict[tuple[tuple[str, float], ...], float] = {}

    def loss(logs: Mapping[str, float]) -> float:
        # Three digits: what is recorded is what is run.
        point = {name: float(f"{math.exp(value):.3g}") for name, value in logs.items()}
        key = tuple(point.items())
        if key not in values:
            found = score(point)
            values[key] = math.inf if found is None else -found
        return values[key]

    logs = {name: math.log(value) for name, value in start.items()}
    lengths = dict.fromkeys(logs, math.log(FACTOR))
    current = loss(logs)
    for _ in range(SWEEPS):
        before = current
        for name in logs:
            place = dict(logs)

            def value(s: float, name: str = name, place: Mapping[str, float] = place) -> float:
                return loss({**place, name: place[name] + s})

            s, current = frugal(value, STEP, lengths[name], current)
            logs[name] += s
            lengths[name] = s or lengths[name] / 2
        if not before - current >= SETTLED:
            return
