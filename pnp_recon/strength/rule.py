"""From trials to a strength: which are made, and which one is taken. Pure functions of numbers.

Generalised cross-validation, (‖r‖²/n)/(1 − df)², estimates up to a constant how far A x̂ lies from
the data without noise, for white noise of any level (Golub, Heath & Wahba 1979). Its minimum is
found with a few trials and a parabola through their logarithms. Where the noise is not white it
fits the noise; then the residual is held against the noise level (Morozov 1966).

Knows no solver: a trial is a function of a strength.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from pnp_recon.contracts import PriorKind
from pnp_recon.solvers.core.strength import STANDARD, Rule, Strength, Trial, Weighing

# The search, in octaves: strengths from 1/16 to 16.
REACH, STRIDE = 4.0, 4 / 3
# A last trial is made at the vertex of the parabola, if none is as near.
NEAR = 0.3
# By the kind of the prior. Plain cross-validation prefers too weak a denoiser, as it does too rough
# a spline (Kim & Gu 2004, who count df 1.4 times). For some blurs the curve is flat; there strength
# 1, the tuned choice, decides. A learned energy hardly needs another one and is 2 to 8 dB worse at
# half of it (13 in a grey crop), which a flat curve does not show; its `least` lost at most 0.2 dB
# where a weaker one was best. All numbers are from val without BSD68.
WEIGHING: dict[PriorKind, Weighing] = {
    "denoiser": Weighing(inflation=1.1),
    "energy": Weighing(pull=0.03, least=0.85),
}
# Of log GCV over all trials: below it the data do not tell.
FLAT = 2e-3
# What is left of a residual's deviation beside the noise (measured on val pictures).
DISCREPANCY = 0.98
# Noise is taken for white unless the level that a trial implies is below this share of what is
# known of it, or below all of it with neighbours in the residual as correlated as this. White noise
# gave 0.93 and 0.12 at worst; noise under a 3 × 3 mean, and JPEG, less than 0.85 and 0.2 to 0.5.
SHARE, CORRELATED = 0.5, 0.2
# A residual above so many times the noise holds more than noise.
MORE_THAN_NOISE = 1.1
# How far of the way from strength 1 to the discrepancy is gone then, in octaves: coloured noise is
# partly kept by every prior, so that a residual as strong as all of it is smoothed too much.
HALFWAY = 0.5
# Trials for the discrepancy, once cross-validation is given up.
MORE = 4

Measure = Callable[[float], Trial]


def weighing_of(kind: PriorKind) -> Weighing:
    """How cross-validation is read for priors of a kind."""
    return WEIGHING.get(kind, STANDARD)


def explore(
    measure: Measure,
    noise: float,
    stop: Callable[[], bool],
    weighing: Weighing = STANDARD,
) -> list[Trial]:
    """Trials that bracket the minimum of GCV, or else the discrepancy, until `stop` says so."""

    def score(trial: Trial) -> float:
        return criterion(trial, weighing)

    trials = [measure(1.0)]
    if stop():
        return trials
    trials.append(measure(2**STRIDE))
    direction = 1 if score(trials[1]) < score(trials[0]) else -1
    place = STRIDE if direction > 0 else 0.0
    while not stop() and abs(place + direction * STRIDE) < REACH + 1e-9:
        place += direction * STRIDE
        trials.append(measure(2**place))
        if score(trials[-1]) > min(score(trial) for trial in trials[:-1]):
            break
    vertex = _vertex(trials, score)
    if not stop() and vertex is not None and _distance(vertex, trials) > NEAR:
        trials.append(measure(2**vertex))
    if noise > 0 and suspicion(min(trials, key=score), noise):
        for _ in range(MORE):
            found = _crossing(trials, DISCREPANCY * noise)
            if stop() or _distance(found, trials) < NEAR:
                break
            trials.append(measure(2**found))
    return trials


def settle(trials: Sequence[Trial], noise: float, weighing: Weighing = STANDARD) -> Strength:
    """The strength that trials speak for.

    Args:
        noise: the level in the units of their deviation.
        weighing: how they are read, see `weighing_of`.
    """

    def score(trial: Trial) -> float:
        return criterion(trial, weighing)

    def taken(value: float, rule: Rule, reason: str = "") -> Strength:
        if value < weighing.least:
            weak = f"{value:.3g} was found, but below {weighing.least:g} the prior can draw stripes"
            value, reason = weighing.least, f"{reason}; {weak}" if reason else weak
        # Three digits, so that it can be typed in again.
        return Strength(float(f"{value:.3g}"), rule, reason, tuple(trials), noise, weighing)

    usable = [trial for trial in trials if math.isfinite(score(trial))]
    if len(usable) < 3:
        filled = len(trials) - len(usable) >= 2
        words = "every trial fits the data exactly, so that cross-validation has nothing to compare"
        return taken(1.0, Rule.FIXED, words if filled else "there was no time for enough trials")
    least = min(usable, key=score)
    if noise > 0 and (why := suspicion(least, noise)):
        found = HALFWAY * _crossing(usable, DISCREPANCY * noise)
        words = (
            f"{why}, so that cross-validation is not trusted; half-way from 1 to the strength at "
            "which the residual is as strong as the noise"
        )
        return taken(2**found, Rule.DISCREPANCY, words)
    scores = [score(trial) for trial in usable]
    if max(scores) - min(scores) < FLAT:
        return taken(1.0, Rule.FIXED, "the curve of cross-validation is flat")
    vertex = _vertex(usable, score)
    if vertex is not None:
        return taken(2**vertex, Rule.CROSS_VALIDATION)
    if least.strength > 1 and noise == 0:
        return taken(1.0, Rule.FIXED, "no noise is known, and the data do not tell it")
    if least.strength > 1:
        # Too smooth a picture does less harm than noise that is taken for a picture.
        words = "the picture is as smooth as the strongest prior that was tried"
        if least.deviation > MORE_THAN_NOISE * noise:
            words = (
                f"the residual stays at {least.deviation / noise:.2g} times the noise level that "
                "is known, even with the strongest prior that was tried, which is taken: the noise "
                "may be stronger (--sigma), or the operator another"
            )
        return taken(least.strength, Rule.CROSS_VALIDATION, words)
    return taken(1.0, Rule.FIXED, "cross-validation has its minimum at the weak end of the trials")


def criterion(trial: Trial, weighing: Weighing) -> float:
    """What is minimised: log GCV with an inflated df and a pull; inf where a trial says nothing."""
    left = 1 - weighing.inflation * trial.df
    if not (left > 0 and 0 < trial.deviation < math.inf):
        return math.inf
    octaves = math.log2(trial.strength)
    return 2 * math.log(trial.deviation / left) + weighing.pull * octaves**2


def suspicion(trial: Trial, noise: float) -> str:
    """Why the noise is not white of the level that is known, at the best trial; empty where it
    may be."""
    if not 0 < trial.deviation < math.inf:
        return ""  # it says nothing of noise
    share = trial.implied_noise / noise
    if share < SHARE:
        return (
            f"only {share:.0%} of the noise that is known can be told from a picture: it is not "
            "white, or is weaker (--sigma)"
        )
    if share < 1 and trial.correlation > CORRELATED:
        return (
            "the noise is not white: neighbours in the residual have the correlation "
            f"{trial.correlation:.2f}"
        )
    return ""


def _sorted(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.strength)


def _distance(place: float, trials: Sequence[Trial]) -> float:
    return min(abs(place - math.log2(trial.strength)) for trial in trials)


def _vertex(trials: Sequence[Trial], score: Callable[[Trial], float]) -> float | None:
    """Octaves of the minimum, between the neighbours of the best trial; None: there is none."""
    known = _sorted([trial for trial in trials if math.isfinite(score(trial))])
    values = [score(trial) for trial in known]
    best = values.index(min(values)) if values else 0
    if not 0 < best < len(known) - 1:
        return None
    (a, b, c) = (math.log2(trial.strength) for trial in known[best - 1 : best + 2])
    (u, v, w) = values[best - 1 : best + 2]
    left, right = (v - u) / (b - a), (w - v) / (c - b)
    bend = right - left
    # The slope of the parabola at b, weighted by the distances.
    slope = (left * (c - b) + right * (b - a)) / (c - a)
    return b if bend <= 0 else min(max(b - slope * (c - a) / (2 * bend), a), c)


def _crossing(trials: Sequence[Trial], wanted: float) -> float:
    """Octaves at which the residual's deviation has the wanted value.

    By interpolation in the logarithms, or a step beyond what was tried, within reach.
    """
    known = _sorted([trial for trial in trials if trial.deviation > 0])
    for one, other in itertools.pairwise(known):
        if one.deviation <= wanted <= other.deviation:
            share = math.log(wanted / one.deviation) / max(
                math.log(other.deviation / one.deviation), 1e-12
            )
            low, high = math.log2(one.strength), math.log2(other.strength)
            return low + share * (high - low)
    edge, way = (known[-1], 1) if known[-1].deviation < wanted else (known[0], -1)
    return min(max(math.log2(edge.strength) + way * STRIDE, -REACH), REACH)
