"""Does a report agree with itself? What follows from its premises and history, computed again.

A verdict, an observation or a status that was edited no longer follows from what stands beside it.
Whether premises and history are those of the run, only the run can say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pnp_recon.report.claims import Claim, claim, same, same_words, skeleton, told, unchecked
from pnp_recon.report.reading import (
    certificate_of,
    columns,
    guarantee_of,
    history_of,
    theorem_of,
)
from pnp_recon.report.strength import strength_claims
from pnp_recon.solvers import Certificate, History, Observation, Status, Stopping
from pnp_recon.solvers.core.laws import Laws, limit_of
from pnp_recon.solvers.core.observing import observe, worst
from pnp_recon.solvers.core.remarks import remarks
from pnp_recon.solvers.core.theorem import Theorem

DEFAULT_TOLERANCE = Stopping().tol
ROWS, THEOREM = "rows of the history", "theorem"
# Where one of these fails, nothing more can be said of a report.
UNREADABLE = (ROWS, THEOREM)


def consistency(report: Mapping[str, Any]) -> list[Claim]:
    """The claims of a report about itself.

    Args:
        report: it follows the schema.
    """
    found = [*_guarantee("certificate", report["certificate"]["guarantee"])]
    found += _guarantee("denoiser", report["denoiser"]["guarantee"])
    found += strength_claims(report["strength"])
    found += evidence(report)
    readable = found[-1].what not in UNREADABLE or found[-1].holds is not False
    return [*found, *_status(report)] if readable else found


def evidence(report: Mapping[str, Any]) -> list[Claim]:
    """What certificate and history say of each other.

    Args:
        report: at least the blocks "certificate" and "history", and "status" with its iterations.

    Returns:
        claims; where one of `UNREADABLE` fails, it is the last and nothing more can be said.
    """
    block = report["certificate"]
    found = _history(report)
    if found[-1].what == ROWS and not found[-1].holds:
        return found
    try:
        certificate = certificate_of(block)
        found += _certificate(block, certificate)
        found += _observations(report, certificate)
        found += _remarks(report, certificate)
    except (ArithmeticError, ValueError) as error:  # of numbers that no theorem has
        return [*found, Claim(THEOREM, block["kind"], "none such", False, str(error))]
    return found


def observable(theorem: Theorem, history: History) -> bool:
    """Does the history hold anything that a law of the theorem can be held against?"""
    return theorem.holds and bool(_observed(history, theorem.laws())[0])


def _guarantee(of: str, block: Mapping[str, Any]) -> list[Claim]:
    """The words of a guarantee hold its numbers."""
    what = f"guarantee of the {of}"
    try:
        made = guarantee_of(block)
    except ValueError as error:
        return [Claim(what, block["words"], "impossible numbers", False, str(error))]
    return [claim(what, [block["words"], block["holds"]], [str(made), made.holds])]


def _certificate(block: Mapping[str, Any], made: Certificate) -> list[Claim]:
    """All that follows from theorem, premises and observations."""
    sides = {
        "conditions": (block["conditions"], list(made.conditions)),
        "numbers of the theorem": (block["numbers"], made.theorem.numbers()),
        "proven": (block["proven"], made.proven),
        "contradicted": (block["contradicted"], made.contradicted),
        "unchecked": (block["unchecked"], made.unchecked),
        "certificate holds": (block["holds"], made.holds),
        # A ratio that is not finite has no value in the file: it may have been either.
        "verdict": (block["verdict"].replace("worst inf,", "worst nan,"), made.verdict),
    }
    return [claim(what, stated, found) for what, (stated, found) in sides.items()]


def _history(report: Mapping[str, Any]) -> list[Claim]:
    block, status = report["history"], report["status"]
    steps = len(block["residuals"])
    found = [claim("iterations", status["iterations"], steps)]
    always = ("residuals", "norms", "inner_errors")
    descent = ("energies", "falls", "gradients", "moves")
    sometimes = ("bounds", "ratios", "tolerances", *descent)
    sound = all(len(block[name]) == steps for name in always)
    sound &= all(len(block[name]) in (0, steps) for name in ("bounds", "tolerances"))
    sound &= len({len(block[name]) for name in descent}) == 1
    sound &= len(block["energies"]) in (0, steps)
    sound &= len(block["ratios"]) <= steps
    sound &= len({len(row) for name in (*always, *sometimes) for row in block[name]} or {1}) == 1
    if not sound or (steps and not block["residuals"][0]):
        return [*found, Claim(ROWS, "of one length", "of several", False)]
    if len(block["picture_errors"]) not in (0, len((block["residuals"] or [[]])[0])):
        return [*found, Claim(ROWS, "an error for each picture", "for others", False)]
    history = history_of(block)
    relative = [history.relative(k) for k in range(history.iterations)]
    words = "(residual + inner error)/(stride·norm)"
    stated = block["relative_residuals"]
    off = _first_difference(stated, relative)
    if off is None:
        return [*found, Claim("relative residuals", words, "so in every row")]
    place = f"row {off + 1} of the history"
    return [
        *found,
        Claim("relative residuals", told(_at(stated, off)), told(_at(relative, off)), False, place),
    ]


def _first_difference(stated: list[Any], found: list[Any]) -> int | None:
    for k in range(max(len(stated), len(found))):
        if not same(_at(stated, k), _at(found, k)):
            return k
    return None


def _at(rows: list[Any], k: int) -> Any:
    return rows[k] if k < len(rows) else None


def _observations(report: Mapping[str, Any], certificate: Certificate) -> list[Claim]:
    block = report["certificate"]
    found = [
        claim(f"passed: {item['law']}", item["passed"], made.passed)
        for item, made in zip(block["observations"], certificate.observed, strict=True)
    ]
    theorem = theorem_of(block)
    history = history_of(report["history"])
    if not theorem.holds or not history.residuals:
        return found
    laws = theorem.laws()
    seen, bounds = _observed(history, laws)
    found.append(_bounds(history, bounds, laws))
    stated = {item.law: item for item in certificate.observed}
    for law, made in seen.items():
        what = f"observed: {law}"
        if law not in stated:
            found.append(Claim(what, "nothing", told(made.worst), False, "the theorem implies it"))
        elif len(history.residuals[0]) > 1 and bounds is None:
            reason = "the pictures were solved in parts, each with constants of its own"
            found.append(unchecked(what, stated[law].worst, reason))
        else:
            given = stated[law]
            found.append(claim(what, [given.worst, given.limit], [made.worst, made.limit]))
    for law in tried(certificate, history):
        found.append(_tried(stated[law]))
    return found


def tried(certificate: Certificate, history: History) -> tuple[str, ...]:
    """The laws that were observed and that no history shows."""
    theorem = certificate.theorem
    if not theorem.holds:
        return ()
    seen = _observed(history, theorem.laws())[0]
    return tuple(dict.fromkeys(i.law for i in certificate.observed if i.law not in seen))


def _tried(given: Observation) -> Claim:
    """An observation that no history shows: its limit at least is known."""
    what, limit = f"observed: {given.law}", limit_of(given.law)
    if given.limit != limit:
        return Claim(what, f"limit {told(given.limit)}", f"limit {told(limit)}", False)
    reason = "the history does not hold what was tried; the run tries again"
    return unchecked(what, given.worst, reason)


def _remarks(report: Mapping[str, Any], certificate: Certificate) -> list[Claim]:
    """That each remark is what a run says of such a history, and none is missing."""
    theorem, history = certificate.theorem, history_of(report["history"])
    found = []
    if theorem.error_bar is not None:
        known = [item.value for item in theorem.constants if item.name == "q"]
        what = "constant of the error bar"
        found.append(claim(what, theorem.error_bar.constant, min(known, default=None)))
    made, stated = said(theorem, history), certificate.remarks
    made = made if certificate.holds else ()
    if len(made) == len(stated) and all(map(same_words, stated, made)):
        return [*found, Claim("remarks", told(stated), told(made))]
    # Pictures that were solved in parts, each with constants of its own, say as much each.
    parts = columns(history)
    kinds = {skeleton(words) for part in parts for words in said(theorem, part)}
    if len(parts) > 1 and all(skeleton(words) in kinds for words in stated):
        reason = "the pictures were solved in parts, each with constants of its own"
        return [*found, unchecked("remarks", stated, reason)]
    return [*found, Claim("remarks", told(stated), told(made), False)]


def said(theorem: Theorem, history: History) -> tuple[str, ...]:
    """The remarks of a run with this history."""
    rate = theorem.laws().rate if theorem.holds else None
    reach = None
    if history.bounds and rate is not None:
        reach = [bound / rate(0) for bound in history.bounds[0]]
    return remarks(theorem, history, reach)


def _observed(
    history: History, laws: Laws
) -> tuple[dict[str, Observation], list[list[float]] | None]:
    """The laws on all pictures, and the bounds; None where one rate does not give them all."""
    parts = columns(history)
    per_law: dict[str, list[Observation]] = {}
    bounds: list[list[float]] | None = [[] for _ in history.bounds]
    for part in parts:
        reach = None
        if part.bounds and laws.rate is not None:
            reach = [part.bounds[0][0] / laws.rate(0)]
        own = [row[0] for row in part.bounds]
        part.bounds.clear()
        for item in observe(part, laws, reach):
            per_law.setdefault(item.law, []).append(item)
        again = [row[0] for row in part.bounds]
        if len(parts) > 1 and not same(own, again):
            bounds = None
        elif bounds is not None:
            for k in range(len(bounds)):
                bounds[k].append(again[min(k, len(again) - 1)] if again else math.nan)
    joined = {
        law: Observation(law, worst(item.worst for item in items), items[0].limit)
        for law, items in per_law.items()
    }
    return joined, bounds


def _bounds(history: History, made: list[list[float]] | None, laws: Laws) -> Claim:
    what, words = "bounds of the history", f"those of the rate {laws.rate_words}".rstrip()
    if made is None:
        reason = "the pictures were solved in parts, each with constants of its own"
        return unchecked(what, words, reason)
    if not history.bounds:
        return Claim(what, "none", "none")
    if laws.rate is None:
        return Claim(what, "a rate", "none", False, "the theorem has no rate")
    off = _first_difference(history.bounds, made)
    if off is None and len(made) == history.iterations:
        return Claim(what, words, "so in every row")
    place = 0 if off is None else off
    return Claim(
        what, told(_at(history.bounds, place)), told(_at(made, place)), False,
        f"row {place + 1} of the history; the theorem's constants give another one",
    )  # fmt: skip


def _status(report: Mapping[str, Any]) -> list[Claim]:
    block = report["status"]
    status = Status[block["name"].upper()]
    words = [status.value, status.succeeded]
    found = [claim("words of the status", [block["message"], block["succeeded"]], words)]
    rows = report["history"]["relative_residuals"]
    if status is Status.NON_FINITE:
        held = report["certificate"]["holds"]
        found.append(claim("a run that diverged is not certified", held, False))
    if status is not Status.CONVERGED:
        return found
    what = "residual below the tolerance"
    if "tol" not in report["options"]:
        return [*found, unchecked(what, status.value, "the options hold no tolerance")]
    given = report["options"]["tol"]
    tol = DEFAULT_TOLERANCE if given is None else given
    last = max(rows[-1]) if rows and rows[-1] and None not in rows[-1] else math.inf
    return [*found, Claim(what, f"at most {told(tol)}", told(last), last <= tol)]
