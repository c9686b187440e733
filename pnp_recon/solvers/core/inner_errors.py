"""What a run says of its inner solves: how far their errors add up, and what that leaves proven.

The theorems of inexact iterations want errors with a finite sum. Tolerances fall so, but not
below what the arithmetic can reach: from there on the sum grows with every step. Then the theorem
is one about exact arithmetic, and what is true of the run is a bound for its finite horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pnp_recon.solvers.core.laws import Laws
from pnp_recon.solvers.core.solution import History

# The least tolerance that step k is given.
Tolerance = Callable[[int], float | None]

# Iterations after which a tolerance that still falls must have fallen.
FAR = 1000


def inner_remarks(history: History, laws: Laws, reach: Sequence[float] | None) -> tuple[str, ...]:
    """Sentences about the inner solves of a run, for the picture where they were least exact.

    Args:
        history: the rows of the run, with the `floor` that `first_at_floor` finds; without
            tolerances all steps are exact.
        laws: what the run's theorem implies.
        reach: proven bounds of ‖z₀ − z*‖, one for each picture, or None.
    """
    steps = history.iterations
    if not steps or not history.tolerances:
        return ()
    sums = [math.fsum(row[i] for row in history.errors) for i in range(len(history.errors[0]))]
    worst = max(range(len(sums)), key=sums.__getitem__)
    total, size = sums[worst], max(history.norms[-1][worst], 1e-30)
    words = (
        "inner solves: each step solves a linear system up to a proven error; over the run these "
        f"errors add up to at most {total:.2e}, {total / size:.1e} of ‖z‖"
    )
    floor = history.floor
    if floor is None or floor >= steps:
        words += ", and still fall from step to step, as the theorem wants"
    else:
        words += (
            f"; from iteration {floor + 1} on they are as exact as the arithmetic allows and fall "
            "no more: the theorem is about exact arithmetic, and what this run shows of it is a "
            f"residual of {max(history.relative(-1)):.1e}, the error of the last step included"
        )
    missed = sum(
        any(error > asked * (1 + 1e-6) for error, asked in zip(errors, row, strict=True))
        for errors, row in zip(history.errors, history.tolerances, strict=True)
    )
    if missed:
        words += f"; {missed} of {steps} ended before their tolerance"
    found = [words]
    if reach is not None and laws.rate is not None:
        bound = horizon_bound(laws.rate(steps - 1), reach[worst], total)
        if bound < size:  # for few steps, or a weak constant, it says nothing
            found.append(
                f"finite horizon: with these errors residual {steps} is proven to be at "
                f"most {bound:.2e}, {bound / size:.1e} of ‖z‖"
            )
    return tuple(found)


def first_at_floor(tolerance: Tolerance, steps: int) -> int | None:
    """The first k < steps at which the tolerance has stopped falling, or None.

    Args:
        tolerance: least error that step k = 0, 1, … may have; None where steps are exact.
    """
    for k in range(steps):
        now, later = tolerance(k), tolerance(k + FAR)
        if now is not None and later is not None and later >= now:
            return k
    return None


def horizon_bound(rate: float, reach: float, total: float) -> float:
    """Bound of the k-th residual of an inexact run: (‖z₀ − z*‖ + 2E)·rate(k) + 3E, E = Σ e_j.

    See `observing`, which holds every run against it.

    Args:
        rate: what exact steps keep to, relative to ‖z₀ − z*‖ ≤ `reach`.
        total: E.
    """
    return (reach + 2 * total) * rate + 3 * total
