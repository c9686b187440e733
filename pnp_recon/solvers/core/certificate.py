"""What was proven before a run, and what the run then showed.

A `Certificate` names the theorem, the guarantee of the iterated map and every constant with how
it was proven. Observations are laws that the theorem implies and the run checked; one broken
observation contradicts the certificate, and then the proof was applied to something else than
what ran.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pnp_recon.guarantees import Guarantee


@dataclass(frozen=True)
class Constant:
    """A number that the theorem rests on, and how it is known to be an upper bound."""

    name: str
    value: float
    how: str


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
    """Theorem, guarantee, constants; and after the run, observations.

    Attributes:
        theorem: what follows, and from which theorem, in words.
        guarantee: of the iterated map T; `guarantee.holds` is False where nothing is proven.
        constants: each with how it was proven.
        observed: filled in by the run.
        covered: does the theorem apply? None: it does where the iterated map is averaged. A
            theorem that needs less, or something else, says so itself.
    """

    theorem: str
    guarantee: Guarantee
    constants: tuple[Constant, ...] = ()
    observed: tuple[Observation, ...] = ()
    covered: bool | None = None

    @property
    def proven(self) -> bool:
        """Does a convergence theorem cover the run?"""
        return self.guarantee.is_averaged if self.covered is None else self.covered

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
            return (
                str(self.guarantee)
                if not self.guarantee.holds
                else (f"no guarantee: the iterated map is only {self.guarantee}")
            )
        return f"certified: {self.theorem}"

    def with_observations(self, observed: tuple[Observation, ...]) -> Certificate:
        return replace(self, observed=observed)

    def lines(self) -> list[str]:
        """The block that commands print: proven, by which theorem, with what, then observed."""
        out = [self.verdict]
        if (self.guarantee.holds or not self.proven) and str(self.guarantee) != self.verdict:
            out.append(f"  iterated map: {self.guarantee}")
        out += [f"  {item.name} = {item.value:.6g}  [{item.how}]" for item in self.constants]
        out += [f"  observed: {item}" for item in self.observed]
        return out
