"""Two histories of the same run: how both ended, and their residuals row by row.

Where nothing but rounding can differ, every row is compared; on another machine or with other
libraries the start, the end and a few rows between. Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pnp_recon.report.claims import Claim, claim, same, told, unchecked
from pnp_recon.report.reading import columns, epsilon, history_of
from pnp_recon.solvers import Status

Report = Mapping[str, Any]

# Of constants on another machine or with other libraries: they depend on estimates of noise and
# motion, which are rounded otherwise there.
ELSEWHERE = 1e-4
# Of iterations there; more is said, not held against it.
COUNT = 0.1
# Of residuals on the same machine: rounding depends on how memory lies, and runs amplify it.
RESIDUAL = 1e-2
# Of residuals, inner errors and norms on another: a factor between two runs of the same length,
FACTOR = 2.0
# and how far below the end of the other a run of another length may have got.
BELOW = 10.0
# Shares of a run at which its rows are compared there, the last row besides.
PLACES = (0.0, 0.25, 0.5, 0.75)
# Rounding of a residual, in machine epsilons of the norm.
UNITS = 32
SOMETIMES = ("tolerances", "bounds", "picture_errors")
SCALE = ("least", "stride", "unit")
ROWS = ("residuals", "inner_errors", "norms", "tolerances", "energies", "gradients", "moves")
# How a run ends that the clock or a hand has ended: repeated, it ends after as many iterations.
TIME_LIMIT, INTERRUPTED = Status.TIME_LIMIT.name.lower(), Status.INTERRUPTED.name.lower()
# How the repetition of such a run ends, if the run had not ended by itself.
STOPPED = (Status.ITERATION_LIMIT.name.lower(), Status.EARLY_STOP.name.lower())


def by_clock(report: Report) -> bool:
    """Did the clock or a hand end the run, as it says?"""
    return report["status"]["name"] in (TIME_LIMIT, INTERRUPTED)


def same_length(stated: Report, found: Report) -> bool:
    """The same number of iterations of every picture."""
    one, other = (
        [len(part.residuals) for part in columns(history_of(side["history"]))]
        for side in (stated, found)
    )
    return one == other


def endings(stated: Report, found: Report, *, alike: bool) -> list[Claim]:
    """Status and number of iterations.

    Args:
        alike: the repetition ran on the same machine with the same libraries.
    """
    one, other = stated["status"], found["status"]
    what, counts = "run: iterations", (one["iterations"], other["iterations"])
    if by_clock(stated):
        return [_clock(stated, found, alike=alike)]
    claims = [claim("run: status", one["name"], other["name"])]
    if alike or counts[0] == counts[1]:
        return [*claims, claim(what, *counts)]
    near = abs(counts[1] - counts[0]) <= COUNT * max(counts[0], 1)
    words = "another machine or other libraries" + ("" if near else ", and more than 10 % apart")
    return [*claims, unchecked(what, counts[0], f"stated {counts[0]}, found {counts[1]}: {words}")]


def _clock(stated: Report, found: Report, *, alike: bool) -> Claim:
    """That the clock ended a run: it had a limit and reached it, and nothing else ended it."""
    what, name, again = "run: status", stated["status"]["name"], found["status"]["name"]
    steps, made = (side["status"]["iterations"] for side in (stated, found))
    pictures = len((stated["history"]["residuals"] or [[]])[0])
    if name == TIME_LIMIT:
        limit = stated["options"].get("time_limit")
        if limit is None:
            return Claim(what, name, "no time limit among the options", False)
        spent = max(stated["history"]["seconds"], default=0.0)
        if pictures == 1 and spent < limit:
            return Claim(what, name, f"{spent:.3g} s of the {limit:.3g} s allowed", False)
    if made < steps and pictures == 1:  # parts end each after its own number of steps
        early = f"{again} after {made} of {steps} iterations"
        if alike or steps - made > COUNT * steps:
            return Claim(what, name, early, False, "the repetition ended by itself")
        return unchecked(what, name, f"found {early} on another machine or with other libraries")
    if name == INTERRUPTED:
        return unchecked(what, name, "nobody can repeat a hand that ended the run")
    # The loop looks at the tolerance before it looks at the clock.
    if pictures == 1 and again not in STOPPED:
        if alike:
            return Claim(what, name, again, False, "the repetition ended by itself")
        return unchecked(what, name, f"found {again} on another machine or with other libraries")
    return Claim(what, name, f"{told(made)} iterations, then stopped")


def curves(stated: Report, found: Report, *, alike: bool) -> Claim:
    """Residuals and inner errors, for as many pictures.

    Args:
        alike: the repetition ran on the same machine with the same libraries.
    """
    what, one, other = "run: residuals", stated["history"], found["history"]
    scale, again = ([side[key] for key in SCALE] for side in (one, other))
    if not same(scale, again, ELSEWHERE):
        return Claim(what, told(scale), told(again), False, "least norm, stride and unit")
    width, now = (len(row) for side in (one, other) for row in (side["residuals"] or [[]])[:1])
    if width != now:
        return Claim(what, told(width), told(now), False, "pictures in the history")
    for name in ("pixels", "floor") if same_length(stated, found) else ("pixels",):
        if one[name] != other[name]:
            return Claim(what, told(one[name]), told(other[name]), False, name)
    filled = [[bool(side[name]) for name in SOMETIMES] for side in (one, other)]
    if filled[0] != filled[1]:
        return Claim(what, told(filled[0]), told(filled[1]), False, " and ".join(SOMETIMES))
    for off, least in zip(one["picture_errors"], other["picture_errors"], strict=False):
        if not _bounds_too(off, least, RESIDUAL if alike else BELOW - 1):
            return Claim(what, told(off), told(least), False, "error of the picture")
    unit = UNITS * epsilon(found["environment"]["dtype"])
    if alike:
        return _rows(what, one, other, range(len(one["residuals"])), unit, RESIDUAL)
    steps, made = len(one["residuals"]), len(other["residuals"])
    if not same_length(stated, found):
        # Nothing depends on rounding at the first step; then the end alone is comparable.
        first = _rows(what, one, other, range(min(1, steps, made)), unit, FACTOR - 1)
        return first if first.holds is False else _last(what, one, other)
    places = sorted({int(share * steps) for share in PLACES if steps} | set(range(steps)[-1:]))
    return _rows(what, one, other, places, unit, FACTOR - 1)


def _rows(
    what: str, stated: Report, found: Report, places: Any, unit: float, relative: float
) -> Claim:
    """Values within 1 + `relative` of each other, rounding aside."""
    for name in ROWS:
        for k in places:
            rows = (stated[name][k : k + 1], found[name][k : k + 1], found["norms"][k : k + 1])
            for value, now, norm in zip(*(row[0] if row else [] for row in rows), strict=False):
                # An energy is computed in float64, whatever the precision of the picture.
                slack = 0.0 if name == "energies" else unit * norm
                if value is None or now is None or not _near(value, now, slack, relative):
                    place = f"{name.replace('_', ' ')}, iteration {k + 1}"
                    return Claim(what, told(value), told(now), False, place)
    return Claim(what, "those of the history", "so")


def _near(value: float, now: float, slack: float, relative: float) -> bool:
    low, high = sorted((value, now))
    return high <= (1 + relative) * low + slack


def _bounds_too(stated: float | None, found: float | None, relative: float) -> bool:
    """Proven bounds of an error, which is nothing for closed forms."""
    if stated is None or found is None or not found:
        return stated == found
    return found / (1 + relative) <= stated <= found * (1 + relative)


def _last(what: str, stated: Report, found: Report) -> Claim:
    """That a run of another length got no further than the repetition can have got."""
    last, again = (
        max((math.inf if value is None else value for row in rows[-1:] for value in row), default=0)
        for rows in (stated["relative_residuals"], found["relative_residuals"])
    )
    words = "last relative residual"
    holds = last >= again / BELOW
    return Claim(what, told(last), told(again), holds, words)
