"""Did a run of which nothing is proven come to rest? A rule of thumb, and no theorem.

The map of an expansive denoiser need not have a fixed point near the data. Its picture is then best
after some iterations, and drifts away for as long as it is iterated, while it explains the data all
the same: no look at the data tells.
"""

from __future__ import annotations

from pnp_recon.solvers.core.solution import Solution
from pnp_recon.solvers.core.stopping import Status

# Of a run at least this long, the path of its second half relative to the picture. On a blurred
# picture non-local means went 0.17 between iterations 100 and 200 (and lost 2 dB), the median 0.06
# (and lost nothing), a certified denoiser rested before.
LONG, PATH = 100, 0.05


class UnsettledWarning(RuntimeWarning):
    """A run without a theorem ended before it came to rest."""


def unsettled(solution: Solution) -> str:
    """Why the picture may be bad, and what to do; empty where it came to rest, or will by proof."""
    history = solution.history
    ended = solution.status in (Status.ITERATION_LIMIT, Status.TIME_LIMIT)
    if solution.certificate.proven or not ended or history.iterations < LONG:
        return ""
    half = range(history.iterations // 2, history.iterations)
    path = sum(max(history.relative(k)) for k in half)
    if not path > PATH:
        return ""
    return (
        "the result may be worse than the input: nothing is proven of this iteration, and it does "
        f"not come to rest (its last {len(half)} steps add up to {path:.0%} of the picture), so "
        "that more of them can make it worse; stop after about ten (max_iter, --max-iter 10), or "
        "take a certified denoiser or an energy"
    )
