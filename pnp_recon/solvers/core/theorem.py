"""The theorems that cover a run: what they say, what they rest on, which laws follow.

A solver says before its first step which theorem is about it (`Solver.theorem`). Commands, reports
and tables print what a theorem says of itself and know none by name. A new kind of theorem is one
class here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.error_bar import ErrorBar
from pnp_recon.solvers.core.laws import (
    GRADIENT,
    Laws,
    averaged_laws,
    contracting_laws,
    picard_rate,
)


class Basis(StrEnum):
    """How a premise is known."""

    PROVEN = "proven"
    CHECKED = "checked on this run"
    DECLARED = "declared by the caller"


@dataclass(frozen=True)
class Premise:
    """A fact that a theorem rests on, in words, and how it is known."""

    words: str
    basis: Basis = Basis.PROVEN


@dataclass(frozen=True)
class Constant:
    """A number that a theorem rests on, and how it is known to be an upper bound."""

    name: str
    value: float
    how: str

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.name}: none  [{self.how}]"
        # Next to 1 what counts is how far below.
        near = 0 < 1 - self.value < 1e-3
        value = f"1 − {1 - self.value:.3g}" if near else f"{self.value:.6g}"
        return f"{self.name} = {value}  [{self.how}]"


@dataclass(frozen=True)
class Theorem(ABC):
    """What is proven about an iteration.

    Attributes:
        statement: what follows, and from which theorem, in words; empty where nothing is proven.
        guarantee: what is proven of the iterated map T, where the theorem is about one.
        constants: each with how it is known.
        premises: each with how it is known.
        step_law: what it means that every `Step.ratio` of the run is at most 1; or empty.
        error_bar: the distance from the fixed point that residuals bound; None where T is not
            known to be a contraction.
    """

    # Name in reports.
    kind: ClassVar[str]
    # The iteration is z ← T(z) for one map T, so that accelerations may be wrapped around it.
    iterates_map: ClassVar[bool] = True
    # What a run has to try, as no history shows it: how the words of an observation begin.
    tried: ClassVar[tuple[str, ...]] = ()

    statement: str
    guarantee: Guarantee
    constants: tuple[Constant, ...] = ()
    premises: tuple[Premise, ...] = ()
    step_law: str = ""
    error_bar: ErrorBar | None = None

    @property
    @abstractmethod
    def holds(self) -> bool:
        """Does it cover the run?"""

    def laws(self) -> Laws:
        """What it implies for every run; asked for only where it holds."""
        return Laws(step=self.step_law)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The premises that nobody has proven or checked: the theorem holds if they do."""
        declared = (item.words for item in self.premises if item.basis is Basis.DECLARED)
        return tuple(dict.fromkeys(declared))

    def numbers(self) -> dict[str, float]:
        """Its constants for tables: those of the map, where they are known."""
        known = {
            "averagedness": self.guarantee.averagedness,
            "lipschitz": self.guarantee.lipschitz,
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def why_not(self) -> str:
        """One line for a run that it does not cover."""
        if not self.guarantee.holds:
            return str(self.guarantee)
        return f"no guarantee: the iterated map is only {self.guarantee}"


@dataclass(frozen=True)
class AveragedMap(Theorem):
    """z ← T(z) with an averaged T that has a fixed point: the iterates converge to one."""

    kind = "averaged map"

    @property
    def holds(self) -> bool:
        return self.guarantee.is_averaged

    def laws(self) -> Laws:
        return averaged_laws(self.guarantee.averagedness, self.step_law)


# What a contraction adds to the statement of its map; true around every iteration of T.
CONTRACTS = (
    "T is a contraction with q = 1 − {:.3g}: its fixed point is the only one, plain steps approach "
    "it by the factor q, and ‖z − z*‖ ≤ (‖T z − z‖ + e)/(1 − q) at every z (Banach 1922)"
)


@dataclass(frozen=True)
class Contraction(AveragedMap):
    """z ← T(z) with a constant q < 1: one fixed point, reached linearly (Banach 1922).

    It is T that contracts: around another iteration of T the fixed point is the only one all the
    same, and the error bar holds at any point.
    """

    kind = "contraction"

    def laws(self) -> Laws:
        held = self.guarantee
        return contracting_laws(held.averagedness, held.lipschitz, self.step_law)


# A constant nearer to 1 says nothing that anybody could wait for.
LEAST_GAIN = 1e-6


def map_theorem(
    statement: str,
    guarantee: Guarantee,
    constants: tuple[Constant, ...],
    premises: tuple[Premise, ...] = (),
    step_law: str = "",
    picture: float = 1.0,
) -> AveragedMap:
    """`Contraction` where the map is one, and then its statement says so; else `AveragedMap`.

    Args:
        picture: Lipschitz constant of the picture as a function of z.
    """
    q = guarantee.lipschitz
    if q is None or 1 - q < LEAST_GAIN:
        return AveragedMap(statement, guarantee, constants, premises, step_law)
    constants = (*constants, Constant("q", q, f"Lipschitz constant of T, 1 − {1 - q:.3g}"))
    bar = ErrorBar(q, picture=picture)
    return Contraction(
        f"{statement}; {CONTRACTS.format(1 - q)}", guarantee, constants, premises, step_law, bar
    )


@dataclass(frozen=True)
class RelaxedMap(AveragedMap):
    """z ← z + λ(T z − z), whose residual is ‖T z − z‖; the guarantee is that of the whole map."""

    kind = "averaged map"

    relaxation: float = 1.0

    def numbers(self) -> dict[str, float]:
        return {**super().numbers(), "relaxation": self.relaxation}

    def laws(self) -> Laws:
        alpha = self.guarantee.averagedness
        if alpha is None or alpha >= 1:
            return Laws()
        # ‖T z − z‖ = ‖S z − z‖/λ for S = (1−λ)I + λT.
        weight = self.relaxation
        # Successive residuals of S are λ times those of T.
        factor = 1.0 if self.guarantee.lipschitz is None else min(1.0, self.guarantee.lipschitz)
        return Laws(
            True, lambda k: picard_rate(alpha, k) / weight, "O(1/√k)", self.step_law, factor
        )


@dataclass(frozen=True)
class PerturbedMap(Theorem):
    """z ← T(z) + errors with a finite sum, T averaged: safeguarded accelerations."""

    kind = "averaged map with summable deviations"
    iterates_map = False

    @property
    def holds(self) -> bool:
        return self.guarantee.is_averaged


@dataclass(frozen=True)
class AnchoredMap(Theorem):
    """Halpern's iteration of a nonexpansive map: the fixed point nearest to the start."""

    kind = "anchored nonexpansive map"
    iterates_map = False

    @property
    def holds(self) -> bool:
        return self.guarantee.is_nonexpansive

    def laws(self) -> Laws:
        alpha = self.guarantee.averagedness or 1.0
        return Laws(False, lambda k: 2 * alpha / (k + 1), "O(1/k)", self.step_law)


@dataclass(frozen=True)
class SaddlePoint(AveragedMap):
    """A primal-dual iteration, firmly nonexpansive in the norm of its steps."""

    kind = "saddle point"


@dataclass(frozen=True)
class Accelerated(Theorem):
    """Momentum on an objective: it falls at a proven rate and the iterates converge."""

    kind = "accelerated descent"
    iterates_map = False

    @property
    def holds(self) -> bool:
        return bool(self.step_law)  # without it there is nothing that a run could contradict


@dataclass(frozen=True)
class CriticalPoint(Theorem):
    """Descent on an explicit energy: the iterates converge to a critical point of it.

    Attributes:
        fall: a of E(x⁺) + a‖x⁺ − x‖² ≤ E(x) (H1).
        slope: b of ‖w‖ ≤ b‖x⁺ − x‖ for a w ∈ ∂E(x⁺) (H2).
    """

    kind = "critical point"
    iterates_map = False
    tried = (GRADIENT,)

    fall: float = 0.0
    slope: float = 0.0

    @property
    def holds(self) -> bool:
        return self.fall > 0 and self.slope > 0

    def laws(self) -> Laws:
        return Laws(step=self.step_law, descent=(self.fall, self.slope))

    def numbers(self) -> dict[str, float]:
        return {"fall": self.fall, "slope": self.slope}


@dataclass(frozen=True)
class Krylov(Theorem):
    """Conjugate gradients: errors never grow and end after finitely many steps."""

    kind = "Krylov"
    iterates_map = False

    @property
    def holds(self) -> bool:
        return bool(self.step_law)  # without it there is nothing that a run could contradict


@dataclass(frozen=True)
class Unproven(Theorem):
    """No theorem covers the run; the guarantee says why."""

    kind = "none"

    @property
    def holds(self) -> bool:
        return False


def unproven(reason: str, constants: tuple[Constant, ...] = ()) -> Unproven:
    """No theorem, for this reason."""
    return Unproven("", guarantees.none(reason), constants)
