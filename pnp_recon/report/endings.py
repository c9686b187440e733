"""Can a run with this history, asked to stop so, have ended as it says it did?

What no history shows is let be: an interruption, the depth of a network.
"""

from __future__ import annotations

import math

from pnp_recon.solvers import Solution, Status

# Ends that come after the look at the tolerance, which was not reached then.
UNCONVERGED = (
    Status.EARLY_STOP,
    Status.ITERATION_LIMIT,
    Status.TIME_LIMIT,
    Status.STAGNATED,
    Status.INNER_LIMIT,
)


def ending_denied(solution: Solution, worth: float | None) -> str:
    """What history and stopping say against the status, in words, or empty.

    Args:
        solution: with a stopping.
        worth: steps before the picture, where it is not the last iterate; see `solvers.in_time`.
    """
    asked, steps = solution.stopping, solution.history.iterations
    if asked is None or steps > asked.max_iter:
        most = 0 if asked is None else asked.max_iter
        return f"{steps} iterations of a run that was to make {most} at most"
    if not _looked(solution):
        return "its looks and their times are not those of a run"
    if not any(value > 0 for row in solution.history.residuals for value in row):
        return "no step of it moved anything"
    if not _so(solution, worth):
        return f"no run of it ended '{solution.status.name}'"
    return ""


def _looked(solution: Solution) -> bool:
    """A time for each look, neither going back, and the last look at the last iterate."""
    checked, seconds = solution.history.checked, solution.history.seconds
    if not checked or len(checked) != len(seconds) or checked[-1] != solution.iterations:
        return False
    ordered = all(a < b for a, b in zip([0, *checked], checked, strict=False))
    in_time = all(a <= b for a, b in zip([0.0, *seconds], seconds, strict=False))
    return ordered and in_time and all(map(math.isfinite, seconds))


def _so(solution: Solution, worth: float | None) -> bool:
    """Is the status one that the loop gives for this history?"""
    asked, status, steps = solution.stopping, solution.status, solution.iterations
    assert asked is not None
    left = max(solution.history.relative(-1))
    if status in UNCONVERGED and left <= asked.tol:
        return False
    if status is Status.CONVERGED:
        return left <= asked.tol
    if status is Status.GAP:
        gap = solution.gap
        return gap is not None and asked.gap is not None and gap.relative <= asked.gap
    if status is Status.LEAST_ERROR:
        return asked.least_error and worth is not None and 0 <= worth < steps and worth % 1 == 0
    if status in (Status.EARLY_STOP, Status.ITERATION_LIMIT):
        return steps == asked.max_iter and asked.early == (status is Status.EARLY_STOP)
    if status is Status.TIME_LIMIT:
        return asked.time_limit is not None
    return status not in (Status.DIRECT, Status.NON_FINITE)
