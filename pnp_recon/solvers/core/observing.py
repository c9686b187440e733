"""The check that a run obeyed the laws of its theorem.

A step with ‖z_{k+1} − T z_k‖ ≤ e_k can raise ‖z_{k+1}−z_k‖ by at most e_k + e_{k+1}, over
q‖z_k−z_{k−1}‖ where T is a contraction. With
E = Σe, c = (1−α)/α and ρ_k = ‖T z_k − z_k‖, summing ‖z_{k+1}−z*‖² ≤ (‖T z_k − z*‖ + e_k)² gives
c·Σρ² ≤ (‖z₀−z*‖ + 2E)²; as ρ_k ≤ ρ_j + 2E for j ≤ k, the rate of an averaged map becomes
‖z_{k+1}−z_k‖ ≤ (‖z₀−z*‖ + 2E)/(c(k+1))^½ + 3E.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import (
    ENERGY_ROUNDING,
    H1,
    H2,
    ROUNDING_UNITS,
    UNCOMPARED,
    Laws,
)
from pnp_recon.solvers.core.solution import History


def worst(values: Iterable[float]) -> float:
    """The largest value, NaN where one is: `max` would pass over it."""
    largest = 0.0
    for value in values:
        if math.isnan(value):
            return math.nan
        largest = max(largest, value)
    return largest


def observe(history: History, laws: Laws, reach: Sequence[float] | None) -> tuple[Observation, ...]:
    """The laws on the worst picture of the batch; fills `history.bounds`.

    Limits are ratios: 1 plus what rounding and the proven inner errors allow.

    Args:
        reach: proven bounds on ‖z₀−z*‖, one for each picture, or None.
    """
    if not history.residuals:
        return ()
    growths, rates = [], []
    bounded = laws.rate is not None and reach is not None
    pictures = len(history.residuals[0])
    before, total = [0.0] * pictures, [0.0] * pictures
    for k, residual in enumerate(history.residuals):
        slack = [
            error + ROUNDING_UNITS * history.unit * norm
            for error, norm in zip(history.errors[k], history.norms[k], strict=True)
        ]
        for i, value in enumerate(residual):
            if k:
                allowed = laws.factor * history.residuals[k - 1][i] + slack[i] + before[i]
                growths.append(value / max(allowed, 1e-300))
            total[i] += slack[i]
        before = slack
        if bounded:
            assert laws.rate is not None
            assert reach is not None
            factor = laws.rate(k)
            history.bounds.append([factor * distance for distance in reach])
            for i, value in enumerate(residual):
                allowed = history.bounds[k][i] + (3 + 2 * factor) * total[i]
                rates.append(value / max(allowed, 1e-300))
    found = []
    if laws.monotone and growths:  # a single step has nothing to be compared with
        found.append(Observation(laws.monotone_words, worst(growths), 1.0))
    if bounded:
        words = f"residual below its {laws.rate_words} bound (ratio)"
        found.append(Observation(words, worst(rates), 1.0))
    if laws.descent is not None:
        found += _descent(history, *laws.descent)
    ratios = [ratio for ratio in chain(*history.ratios) if ratio != UNCOMPARED]
    if laws.step and ratios:
        found.append(Observation(laws.step, worst(ratios), 1.0))
    return tuple(found)


def _descent(history: History, fall: float, slope: float) -> list[Observation]:
    """H1 and H2 for every picture and step; a picture that stood still took none.

    Each fall is also what two successive energies say: E is what descends, and nothing else.
    """
    falls, slopes, before = [], [], [math.nan] * len(history.energies[0])
    rows = (history.energies, history.falls, history.gradients, history.moves)
    for energies, fell, gradients, moves in zip(*rows, strict=True):
        for i, (energy, less, gradient, move) in enumerate(
            zip(energies, fell, gradients, moves, strict=True)
        ):
            rounding = ENERGY_ROUNDING * abs(energy)
            if not math.isnan(before[i]):
                less = min(less, before[i] - energy + rounding)
            before[i] = energy
            if move == 0:
                continue
            have = less + rounding
            falls.append(fall * move * move / have if have > 0 else math.inf)
            slopes.append(gradient / (slope * move))
            if math.isnan(less):
                falls.append(math.nan)
    if not falls:
        return []
    return [Observation(H1, worst(falls), 1.0), Observation(H2, worst(slopes), 1.0)]
