"""A theorem, and what the run then showed.

Observations are laws that the theorem implies and the run checked; one broken observation
contradicts the certificate, and then the proof was applied to something else than what ran.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pnp_recon.guarantees import Guarantee
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
        observed: filled in by the run.
    """

    theorem: Theorem
    observed: tuple[Observation, ...] = ()

    @property
    def guarantee(self) -> Guarantee:
        """What is proven of the iterated map."""
        return self.theorem.guarantee

    @property
    def constants(self) -> tuple[Constant, ...]:
        return self.theorem.constants

    @property
    def proven(self) -> bool:
        """Does a convergence theorem cover the run?"""
        return self.theorem.holds

    @property
    def contradicted(self) -> bool:
        """Did the run break a law that the theorem implies?"""
        return self.proven and any(not item.passed for item in self.observed)

    @property
    def holds(self) -> bool:
        return self.proven and not self.contradicted

    @property
    def verdict(self) -> str:
        """One line: certified, contradicted, or no guarantee and why."""
        if self.contradicted:
            broken = "; ".join(str(item) for item in self.observed if not item.passed)
            return f"CERTIFICATE FAILED: {broken}"
        if not self.proven:
            return self.theorem.why_not
        return f"certified: {self.theorem.statement}"

    def with_observations(self, observed: tuple[Observation, ...]) -> Certificate:
        return replace(self, observed=observed)

    def lines(self) -> list[str]:
        """The block that commands print: proven, by which theorem, with what, then observed."""
        out = [self.verdict]
        held = self.guarantee
        if (held.holds or not self.proven) and str(held) != self.verdict:
            out.append(f"  iterated map: {held}")
        out += [f"  {item.name} = {item.value:.6g}  [{item.how}]" for item in self.constants]
        out += [f"  observed: {item}" for item in self.observed]
        return out
