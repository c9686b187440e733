"""A theorem, and what the run then showed.

Observations are laws that the theorem implies and the run checked; one broken observation
contradicts the certificate, and then the proof was applied to something else than what ran.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.laws import TOTAL
from pnp_recon.solvers.core.theorem import Constant, Theorem


@dataclass(frozen=True)
class Observation:
    """A consequence of the theorem, checked on the run: `worst` must not exceed `limit`."""

    law: str
    worst: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.worst <= self.limit

    def __str__(self) -> str:
        verdict = "holds" if self.passed else "BROKEN"
        return f"{self.law}: {verdict} (worst {self.worst:.3g}, limit {self.limit:.3g})"


@dataclass(frozen=True)
class Certificate:
    """What is known of a run: its theorem, and after the run, observations.

    Attributes:
        theorem: that the solver named before its first step.
        observed: laws that the run checked. Without one nothing is certified: a proof that no
            iteration was compared with might be about something else than what ran.
        void: why the run shows nothing, whatever was observed (it ended in non-finite values, or
            what ran changed under way); or empty.
        remarks: what a reader should know besides, in sentences: how exact inner solves were, the
            rate of a contraction.
    """

    theorem: Theorem
    observed: tuple[Observation, ...] = ()
    void: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def guarantee(self) -> Guarantee:
        """What is proven of the iterated map."""
        return self.theorem.guarantee

    @property
    def constants(self) -> tuple[Constant, ...]:
        return self.theorem.constants

    @property
    def proven(self) -> bool:
        """Does a convergence theorem cover the run, if what the caller declares is true?"""
        return self.theorem.holds

    @property
    def conditions(self) -> tuple[str, ...]:
        """The premises that are only declared, and what the run should have tried and did not:
        "certified if …"."""
        if not self.proven:
            return ()
        return (*self.theorem.conditions, *(f"{words} (not tried)" for words in self.untried))

    @property
    def untried(self) -> tuple[str, ...]:
        """What no history shows and nothing that was observed is about; () before the run."""
        if not self.observed:
            return ()
        laws = [item.law for item in self.observed]
        asked = self.theorem.tried
        if any(TOTAL in item.words for item in self.theorem.premises):
            asked = (*asked, TOTAL)
        return tuple(words for words in asked if not any(law.startswith(words) for law in laws))

    @property
    def contradicted(self) -> bool:
        """Did the run break a law that the theorem implies?"""
        return self.proven and any(not item.passed for item in self.observed)

    @property
    def unchecked(self) -> str:
        """Why the run says nothing of its theorem, or empty."""
        if not self.proven or self.contradicted:
            return ""
        return self.void or ("" if self.observed else "no iteration was checked")

    @property
    def holds(self) -> bool:
        """Certified, perhaps under `conditions`."""
        return self.proven and not self.contradicted and not self.unchecked

    @property
    def verdict(self) -> str:
        """One line: certified, certified if, contradicted, or no guarantee and why."""
        if self.contradicted:
            broken = "; ".join(str(item) for item in self.observed if not item.passed)
            return f"CERTIFICATE FAILED: {broken}" + (f"; {self.void}" if self.void else "")
        if not self.proven:
            return self.theorem.why_not
        if self.unchecked:
            return f"not certified: {self.unchecked}"
        if self.conditions:
            return f"certified if {' and '.join(self.conditions)}: {self.theorem.statement}"
        return f"certified: {self.theorem.statement}"

    @property
    def label(self) -> str:
        """The verdict in a word or two, for tables: "certified", "certified if", "FAILED", ..."""
        if self.contradicted:
            return "FAILED"
        if not self.proven:
            return "no guarantee"
        if self.unchecked:
            return "not certified"
        return "certified if" if self.conditions else "certified"

    def lines(self) -> list[str]:
        """The block that commands print: proven, by which theorem, with what, then observed."""
        out = [self.verdict]
        held = self.guarantee
        if (held.holds or not self.proven) and str(held) != self.verdict:
            out.append(f"  iterated map: {held}")
        out += [f"  {item}" for item in self.constants]
        out += [f"  observed: {item}" for item in self.observed]
        out += [f"  {remark}" for remark in self.remarks]
        return out

    def to_dict(self) -> dict[str, Any]:
        """What was proven, by which theorem, with which numbers, and what was then observed.

        Numbers may be infinite or NaN, which the JSON of reports writes as null.
        """
        theorem = self.theorem
        return {
            "verdict": self.verdict,
            "proven": self.proven,
            "contradicted": self.contradicted,
            "holds": self.holds,
            "unchecked": self.unchecked,
            "conditions": self.conditions,
            "remarks": self.remarks,
            "theorem": theorem.statement,
            "kind": theorem.kind,
            "numbers": theorem.numbers(),
            "step_law": theorem.step_law,
            "error_bar": None if theorem.error_bar is None else asdict(theorem.error_bar),
            "premises": [{"words": p.words, "basis": p.basis.value} for p in theorem.premises],
            "guarantee": self.guarantee.to_dict(),
            "constants": [asdict(item) for item in self.constants],
            "observations": [{**asdict(item), "passed": item.passed} for item in self.observed],
        }
