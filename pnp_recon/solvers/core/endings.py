"""What the rows of a run say of its end: rest, a picture that cannot go on, a wrong formula."""

from __future__ import annotations

import math

from torch import Tensor

from pnp_recon.solvers.core.inner_errors import FAR, Tolerance
from pnp_recon.solvers.core.solution import History
from pnp_recon.solvers.core.stopping import Status

# What a step in closed form may be off by, relative: far above rounding, which is 1e-8 in float64
# and couplings of 1e8, far below what another map would give.
EXACT = 1e-2
# Looks in a row at which nothing moves any more, before a run is given up as stagnated.
LOOKS_AT_REST = 3


class Rest:
    """Counts the looks in a row at which no picture of a run moved."""

    def __init__(self) -> None:
        self.looks = 0

    def look(self, history: History, tolerance: Tolerance, k: int) -> Status | None:
        """Whether nothing more can be shown in this precision after step k, and why.

        Args:
            history: the rows of all steps up to k.
            tolerance: least error that a step may have; None where steps are exact.
        """
        least = tolerance(k)
        exact, fallen = least is None, least == tolerance(k + FAR)
        asked = history.tolerances[-1:] or [[math.inf] * len(history.errors[-1])]
        still, hidden = True, False
        last = (history.residuals[-1], history.norms[-1], history.errors[-1], asked[0])
        for residual, norm, error, allowed in zip(*last, strict=True):
            # An inner error that no longer falls, or missed its tolerance, hides the residual.
            seen = exact or fallen or error > allowed
            still &= seen and residual <= max(error, history.unit * norm)
            hidden |= not exact and error > history.unit * norm
        self.looks = self.looks + 1 if still else 0
        if self.looks < LOOKS_AT_REST:
            return None
        return Status.INNER_LIMIT if hidden else Status.STAGNATED


def stands(stalled: Tensor | None, history: History, tol: float) -> bool:
    """Is there a picture that cannot go on, above the tolerance or without a step so far?

    One that stopped below the tolerance, after steps that the theorem allows, is done.

    Args:
        stalled: pictures (B,) without a step that the theorem allows; None: there are none.
    """
    if stalled is None or not history.iterations:
        return False
    went = [any(move > 0 for move in moves) for moves in zip(*history.moves, strict=True)]
    rows = zip(stalled.tolist(), went, history.relative(-1), strict=True)
    return any(s and not (w and left <= tol) for s, w, left in rows)


def wrong_formula(history: History) -> str:
    """That steps which count as exact are not, in words; or empty."""
    off = max(
        (
            error / max(norm, history.least)
            for errors, norms in zip(history.errors, history.norms, strict=True)
            for error, norm in zip(errors, norms, strict=True)
        ),
        default=0.0,
    )
    if off <= EXACT:
        return ""
    return (
        f"a proximal map in closed form is off by {off:.1e} of ‖z‖; is the formula of the "
        "operator the right one?"
    )
