"""What a large picture will take, said before it is begun: memory by a count, time by its crops.

The strength of the prior is one number, and a few crops tell it as well as all pixels do; what
they took also says how long the whole will take. Both are estimates, and called so.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from operators._memory import available_bytes, resident_bytes
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.live import LiveLine
from pnp_recon.cli.run.options import Options, RunOptions
from pnp_recon.cli.run.region import centre
from pnp_recon.cli.run.solve import ENERGY_PIXELS, Prior, solve
from pnp_recon.errors import InputError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.solvers import Solution, Status
from pnp_recon.solvers.core.strength import Strength

# From so many pixels on, crops say the strength and the time.
LARGE = ENERGY_PIXELS
# Side of the crops, and where their centres lie on the diagonal.
CROP, PLACES = 320, (0.5, 0.25, 0.75)
# Bytes that a run works with for each value of the picture (pixels times channels), above measured
# peaks: 158 for a mask, 316 for a blur with unknown border, 166 for total variation; the gradient
# of an energy alone takes 830. Float64 is counted as half as much again, which is not measured.
DIRECT_BYTES, INNER_BYTES, ENERGY_BYTES, TERM_BYTES = 190, 390, 1000, 220
# A guess, of what a crop takes for a value: transforms grow with the logarithm, caches do not.
SLOWER = 1.35
# A crop that only has to say its strength ends at its first look.
LOOSE = 0.5
# Of a time limit, what all crops may take.
SHARE = 0.3
GIB = 2**30


@dataclass(frozen=True)
class Outlook:
    """What the crops say of the whole picture.

    Attributes:
        options: those of the whole run, with the strength and what is left of the time.
        strength: how it was found; None: it was not asked for.
        notes: the same in words.
        iterations, seconds: what the whole run takes, about; None: nothing ran.
    """

    options: RunOptions
    strength: Strength | None = None
    notes: tuple[str, ...] = ()
    iterations: int | None = None
    seconds: float | None = None

    def of(self, solution: Solution) -> Solution:
        """The whole run's solution with what is known of its strength."""
        return solution if self.strength is None else replace(solution, strength=self.strength)


def is_large(case: Case) -> bool:
    return pixels(case) > LARGE and case.solve is None and not case.parts


def pixels(case: Case) -> int:
    return case.A.image_shape[1] * case.A.image_shape[2]


def needed_bytes(case: Case, prior: Prior, options: RunOptions) -> float:
    """What the process will hold at most, about: what it holds now, and what the run works with."""
    values = math.prod(case.A.image_shape) * len(case.y)
    if isinstance(prior, LearnedEnergy):
        each = ENERGY_BYTES
    elif isinstance(prior, Denoiser):
        exact = case.A.prox_closed_form and "fidelity" not in case.arguments
        each = DIRECT_BYTES if exact else INNER_BYTES
    else:
        each = TERM_BYTES
    wide = 1.5 if options.dtype.value == "float64" else 1.0
    twice = case.excerpt is None and _searched(case, options)
    return resident_bytes() + (2 if twice else 1) * wide * each * values


def memory_lines(case: Case, prior: Prior, options: RunOptions) -> tuple[str, str]:
    """How much memory the run will take, about, and a warning where there is less; or empty."""
    channels, height, width = case.degraded.shape[1:]
    need = needed_bytes(case, prior, options)
    words = f"{width}×{height}, {channels} channel{'s' if channels > 1 else ''}"
    line = f"size: {words}: about {need / GIB:.1f} GiB of memory"
    free = available_bytes(case.y.device.type)
    free += resident_bytes() if case.y.device.type == "cpu" else 0
    if need <= free:
        return line, ""
    out = "restore a part with --crop X,Y,W,H, or a smaller copy of the picture"
    if isinstance(prior, LearnedEnergy):
        out += ", or take a denoiser that works in tiles (--denoiser euler_colour or euler_grey)"
    return line, f"{words}: about {need / GIB:.1f} GiB of memory are needed and {free / GIB:.1f} " \
        f"GiB are free, so that the run may be ended by the system; {out}"  # fmt: skip


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
    searched = _searched(case, options)
    if not searched and (options.quiet or options.as_json):
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
    for place in PLACES[1:] if searched else ():
        live.stage(f"trying a crop, {len(found) + 1} of {len(PLACES)}")
        try:
            crop = case.excerpt(centre(size, CROP, place))
        except InputError:  # nothing is known there
            continue
        found.append(_tried(crop, prior, replace(asked, tol=LOOSE), live))
    strength = _middle(found) if searched else None
    notes = () if strength is None else _words(found, strength)
    given = options
    if strength is not None:
        given = replace(given, strength=repr(strength.value))
    if options.time_limit is not None:
        left = options.time_limit - (time.perf_counter() - begin)
        given = replace(given, time_limit=max(left, 0.1 * options.time_limit))
    if part.boundary != case.boundary or not first.history.seconds:
        return Outlook(
            given, strength, notes
        )  # another inner solve, which says nothing of the time
    share = math.prod(case.A.image_shape) / math.prod(part.A.image_shape)
    seconds = SLOWER * share * first.history.seconds[-1]
    return Outlook(given, strength, notes, first.iterations, seconds)


def _searched(case: Case, options: RunOptions) -> bool:
    """Does the strength come from trials? A case may have its own."""
    own = "strength" in case.arguments or options.model is not None
    return options.asked_strength == "auto" and not own


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
