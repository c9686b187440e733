"""What a certificate says besides: error bars, stability in the measurement, inner solves.

Made of theorem and history alone, so that whoever reads a report makes the same sentences of what
it holds: a sentence that does not follow was not written by a run.
"""

from __future__ import annotations

from collections.abc import Sequence

from pnp_recon.solvers.core.data_stability import words as stability_words
from pnp_recon.solvers.core.error_bar import Bar
from pnp_recon.solvers.core.inner_errors import inner_remarks
from pnp_recon.solvers.core.solution import History
from pnp_recon.solvers.core.theorem import Theorem


def error_bars(theorem: Theorem, history: History) -> tuple[Bar, ...]:
    """The bar of each picture after the last step, where the theorem is about a contraction."""
    held = theorem.error_bar
    if held is None or not theorem.holds or not history.residuals:
        return ()
    last = (rows[-1] for rows in (history.residuals, history.norms, history.errors))
    # Without errors of the pictures (a run that diverged) there is no bar.
    rows = zip(*last, history.picture_errors, strict=bool(history.picture_errors))
    pixels, unit = history.pixels, history.unit
    return tuple(
        held.bar(residual, error, pixels, norm=norm, precision=unit, picture_error=off)
        for residual, norm, error, off in rows
    )


def remarks(theorem: Theorem, history: History, reach: Sequence[float] | None) -> tuple[str, ...]:
    """All sentences that a run leaves in its certificate; none where nothing is proven.

    Args:
        reach: proven bounds of ‖z₀ − z*‖, one for each picture, or None.
    """
    if not theorem.holds:
        return ()
    moved = stability_words(theorem, history.iterations)
    found = inner_remarks(history, theorem.laws(), reach) + ((moved,) if moved else ())
    widest = max(error_bars(theorem, history), key=lambda bar: bar.norm, default=None)
    if widest is None or theorem.error_bar is None or not widest.says_something:
        return found
    q = theorem.error_bar.constant
    known = "if what is declared is true" if theorem.conditions else "proven"
    words = (
        f"there is one solution, and a plain step shrinks the distance from it to {q:.4g} "
        f"of what it was; the picture, before rounding to a file, lies {widest} ({known})"
    )
    return (words, *found)
