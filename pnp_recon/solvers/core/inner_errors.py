"""What a run says of its inner solves: how far their errors add up, and what that leaves proven.

The theorems of inexact iterations want errors with a finite sum. Tolerances fall like 1/k², but not
below what the arithmetic can reach: from there on the sum grows with every step. Then the theorem
is one about exact arithmetic, and what is true of the run is a bound for its finite horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pnp_recon.solvers.core.solution import History

# Tolerance of step k.
Tolerance = Callable[[int], float | None]

# Iterations after which a tolerance that still falls must have fallen.
FAR = 1000


def inner_remarks(
    history: History, tolerance: Tolerance, alpha: float | None, reach: Sequence[float] | None
) -> tuple[str, ...]:
    """Sentences about the inner solves of a run, for the picture where they were least exact.

    Args:
        tolerance: what step k = 0, 1, … may be off by; None where steps are exact.
        alpha: averagedness of the map, or None.
        reach: proven bounds of ‖z₀ − z*‖, one for each picture, or None.
    """
    steps = history.iterations
    if not steps or tolerance(0) is None:
        return ()
    sums = [math.fsum(row[i] for row in history.errors) for i in range(len(history.errors[0]))]
    worst = max(range(len(sums)), key=sums.__getitem__)
    total, size = sums[worst], max(history.norms[-1][worst], 1e-30)
    words = f"inner solves: their proven errors sum to {total:.2e}, {total / size:.1e} of ‖z‖"
    floor = first_at_floor(tolerance, steps)
    if floor is None:
        words += "; their tolerances still fall like 1/k²"
    else:
        words += (
            f"; from iteration {floor + 1} on they are as exact as the arithmetic allows, so that "
            "convergence is that of exact arithmetic, and this run is followed down to a residual "
            f"of {max(history.relative(-1)):.1e}"
        )
    missed = sum(
        max(row) > allowed * (1 + 1e-6)
        for k, row in enumerate(history.errors)
        if (allowed := tolerance(k)) is not None
    )
    if missed:
        words += f"; {missed} of {steps} ended before their tolerance"
    found = [words]
    if reach is not None and alpha is not None and 0 < alpha < 1:
        bound = horizon_bound(alpha, steps, reach[worst], total)
        found.append(
            f"finite horizon: with these errors some residual ‖T z − z‖ of the {steps} is proven "
            f"to be at most {bound:.2e}, {bound / size:.1e} of ‖z‖"
        )
    return tuple(found)


def first_at_floor(tolerance: Tolerance, steps: int) -> int | None:
    """The first k < steps at which the tolerance has stopped falling, or None."""
    for k in range(steps):
        now, later = tolerance(k), tolerance(k + FAR)
        if now is not None and later is not None and later >= now:
            return k
    return None


def horizon_bound(alpha: float, steps: int, reach: float, total: float) -> float:
    """Bound of min_k ‖T z_k − z_k‖ over `steps` steps of z ← T(z) + e_k, Σ‖e_k‖ ≤ total.

    With c = (1−α)/α the sum of the squares is at most (reach + 2·total)²/c: see `observing`.
    """
    return (reach + 2 * total) / math.sqrt((1 - alpha) / alpha * steps)
