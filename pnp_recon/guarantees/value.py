"""What is proven about a map, as a small frozen value, and how the plainest ones are stated."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

# What a map may keep: it is a bijection; |det T'| = 1; T'ᵀΩT' = Ω; or a function of the state.
INVERTIBLE, VOLUME, SYMPLECTIC, INVARIANT = "invertible", "volume", "symplectic", "invariant: "


@dataclass(frozen=True)
class Guarantee:
    """A proven property of a map.

    Attributes:
        lipschitz: proven Lipschitz constant, or None where nothing is proven.
        averagedness: α in (0, 1] (1: only 1-Lipschitz), or None where the map is not known to
            be nonexpansive.
        source: the theorem and the citation, or the reason why there is none.
        lower: proven m ≥ 0 with ‖T x − T y‖ ≥ m‖x − y‖. A continuous map of ℝⁿ into itself with
            m > 0 is a bijection (Brouwer's invariance of domain), its inverse 1/m-Lipschitz.
        keeps: `INVERTIBLE`, `VOLUME`, `SYMPLECTIC`, and `INVARIANT` + the name of each function
            I with I(T x) = I(x). They stand whether or not a Lipschitz constant is known.
    """

    lipschitz: float | None
    averagedness: float | None
    source: str
    lower: float = 0.0
    keeps: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        keeps = self.keeps | ({INVERTIBLE} if self.lower > 0 else set())
        object.__setattr__(self, "keeps", keeps | ({VOLUME} if SYMPLECTIC in keeps else set()))
        names = keeps - {INVERTIBLE, VOLUME, SYMPLECTIC}
        if not all(name.startswith(INVARIANT) for name in names):
            raise ValueError(f"an invariant is {INVARIANT!r} and its name, found {sorted(names)}")
        if not 0 <= self.lower <= (math.inf if self.lipschitz is None else self.lipschitz):
            raise ValueError(f"a lower constant lies in [0, Lipschitz], found {self.lower}")
        if self.lipschitz is not None and not 0 <= self.lipschitz < float("inf"):
            raise ValueError(f"a Lipschitz constant is finite and ≥ 0, found {self.lipschitz}")
        if self.averagedness is not None and not 0 < self.averagedness <= 1:
            raise ValueError(f"averagedness lies in (0, 1], found {self.averagedness}")
        if self.averagedness is not None and (self.lipschitz is None or self.lipschitz > 1):
            raise ValueError(f"an averaged map is 1-Lipschitz, found constant {self.lipschitz}")

    @property
    def holds(self) -> bool:
        """Is anything proven at all?"""
        return self.lipschitz is not None

    @property
    def is_nonexpansive(self) -> bool:
        return self.averagedness is not None

    @property
    def is_averaged(self) -> bool:
        return self.averagedness is not None and self.averagedness < 1

    @property
    def is_firm(self) -> bool:
        """Firmly nonexpansive: α ≤ ½."""
        return self.averagedness is not None and self.averagedness <= 0.5

    @property
    def is_contraction(self) -> bool:
        return self.lipschitz is not None and self.lipschitz < 1

    def to_dict(self) -> dict[str, Any]:
        """What is proven, as plain values."""
        names = ("holds", "lipschitz", "averagedness", "source")
        return {**{name: getattr(self, name) for name in names}, "words": str(self)}

    def __str__(self) -> str:
        more = [f", lower constant {self.lower:.6g}"] if self.lower > 0 else []
        more += [f", keeps {', '.join(sorted(self.keeps))}"] if self.keeps else []
        if not self.holds:
            return f"no guarantee: {self.source}{''.join(more)}"
        if self.averagedness is None:
            words = "Lipschitz"
        elif self.is_firm:
            words = f"firmly nonexpansive (α = {self.averagedness:.6g})"
        elif self.is_averaged:
            words = f"α-averaged with α = {self.averagedness:.6g}"
        else:
            words = "1-Lipschitz"
        if self.lipschitz is not None and (self.averagedness is None or self.lipschitz < 1):
            words += f", constant {self.lipschitz:.6g}"
        return f"{words}{''.join(more)} ({self.source})"


def averaged(alpha: float, source: str) -> Guarantee:
    """α-averaged, 0 < α ≤ 1."""
    return Guarantee(1.0, alpha, source)


def firm(source: str) -> Guarantee:
    """Firmly nonexpansive, as every proximal map of a convex function is."""
    return averaged(0.5, source)


def lipschitz(constant: float, source: str) -> Guarantee:
    """Lipschitz; a contraction with constant q is also (1+q)/2-averaged.

    Source: Bauschke & Combettes 2017, Prop. 4.38.
    """
    return Guarantee(constant, (1 + constant) / 2 if constant <= 1 else None, source)


def none(reason: str) -> Guarantee:
    """Nothing is proven, and why."""
    return Guarantee(None, None, reason)


def structured(part: Guarantee, *keeps: str, lower: float = 0.0) -> Guarantee:
    """The same map, of which more is proven: what it keeps, and a lower constant."""
    return replace(part, lower=max(part.lower, lower), keeps=part.keeps | set(keeps))


def rounded_up(value: float, size: float | None = None) -> float:
    """`value` plus what rounding can have taken from a formula whose terms are up to `size`."""
    return value + 8 * math.ulp(value if size is None else max(size, value))
