"""What crops of a large picture say of the whole: the strength of the prior, and the time.

The strength is one number, and a few crops tell it as well as all pixels do; what they took also
says how long the whole will take (`effort`). Both are estimates, and called so.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.effort import Span, by_a_crop
from pnp_recon.cli.run.live import LiveLine
from pnp_recon.cli.run.options import Options, RunOptions
from pnp_recon.cli.run.region import centre
from pnp_recon.cli.run.solve import ENERGY_PIXELS, Prior, searched, solve
from pnp_recon.errors import InputError
from pnp_recon.solvers import Solution, Status
from pnp_recon.solvers.core.strength import Strength

# From so many pixels on, crops say the strength and the time.
LARGE = ENERGY_PIXELS
# Side of the crops, and where their centres lie on the diagonal.
CROP, PLACES = 320, (0.5, 0.25, 0.75)
# A crop that only has to say its strength ends at its first look.
LOOSE = 0.5
# Of a time limit, what all crops may take.
SHARE = 0.3


@dataclass(frozen=True)
class Outlook:
    """What the crops say of the whole picture.

    Attributes:
        options: those of the whole run, with the strength and what is left of the time.
        strength: how it was found; None: it was not asked for.
        notes: the same in words.
        iterations, span: what the whole run takes, about; None: nothing ran.
    """

    options: RunOptions
    strength: Strength | None = None
    notes: tuple[str, ...] = ()
    iterations: int | None = None
    span: Span | None = None

    def of(self, solution: Solution) -> Solution:
        """The whole run's solution with what is known of its strength."""
        return solution if self.strength is None else replace(solution, strength=self.strength)


def is_large(case: Case) -> bool:
    return case.pixels > LARGE and case.solve is None and not case.parts


def outlook(
    case: Case,
    prior: Prior,
    options: Options,
    live: LiveLine,
    known: tuple[Case, Solution] | None = None,
) -> Outlook:
    """Solves crops of a large picture for the strength and the time; one alone for the time.

    Args:
        known: the central part and its solution, where it was solved already.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    assert case.excerpt is not None
    begin = time.perf_counter()
    trials = searched(case, options)
    if not trials and (options.quiet or options.as_json):
        return Outlook(options)
    limit = None if options.time_limit is None else SHARE / len(PLACES) * options.time_limit
    asked = replace(options, time_limit=limit)
    size = (case.degraded.shape[-2], case.degraded.shape[-1])
    found: list[Solution] = []
    if known is None:
        live.stage("trying the middle of the picture")
        part = case.excerpt(centre(size, CROP))
        known = part, _tried(part, prior, asked, live)
    part, first = known
    found.append(first)
    for place in PLACES[1:] if trials else ():
        live.stage(f"trying a crop, {len(found) + 1} of {len(PLACES)}")
        try:
            crop = case.excerpt(centre(size, CROP, place))
        except InputError:  # nothing is known there
            continue
        found.append(_tried(crop, prior, replace(asked, tol=LOOSE), live))
    strength = _middle(found) if trials else None
    notes = () if strength is None else _words(found, strength)
    given = options
    if strength is not None:
        given = replace(given, strength=repr(strength.value))
    if options.time_limit is not None:
        left = options.time_limit - (time.perf_counter() - begin)
        given = replace(given, time_limit=max(left, 0.1 * options.time_limit))
    if part.boundary != case.boundary or not first.history.seconds:
        # Another inner solve, which says nothing of the time.
        return Outlook(given, strength, notes)
    share = math.prod(case.A.image_shape) / math.prod(part.A.image_shape)
    span = by_a_crop(first.history.seconds[-1], share)
    return Outlook(given, strength, notes, first.iterations, span)


def _tried(part: Case, prior: Prior, options: Options, live: LiveLine) -> Solution:
    solution = solve(part, prior, options, lambda _: None, live.tried)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution


def _middle(found: list[Solution]) -> Strength | None:
    """The median of the strengths; None: none was chosen."""
    known = [one.strength for one in found if one.strength is not None]
    known.sort(key=lambda one: one.value)
    return known[len(known) // 2] if known else None


def _words(found: list[Solution], strength: Strength) -> tuple[str, ...]:
    values = ", ".join(f"{one.strength.value:.3g}" for one in found if one.strength is not None)
    return (
        f"the strength {strength.value:.3g} is the median of what crops of at most {CROP} pixels a "
        f"side speak for: {values}",
    )
