"""Integrators: one step of a field, and what the step keeps of what is true of the field.

An integrator knows no field by name. `check` turns proven facts and a step size into a guarantee
or says why there is none; `limit` is the largest step that keeps the map nonexpansive.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from pnp_recon.guarantees import (
    INVERTIBLE,
    SYMPLECTIC,
    VOLUME,
    Guarantee,
    contracting,
    lipschitz,
    none,
    structured,
)
from pnp_recon.networks.flows.facts import ENERGY, Facts
from pnp_recon.networks.flows.tableaux import Tableau

VectorField = Callable[[Tensor], Tensor]
Step = float | Tensor

# α of a map that is a translation, for which any α > 0 holds.
LEAST_ALPHA = 1e-12
# What a step of size zero is.
IDENTITY = "the identity"
DAHLQUIST_JELTSCH = "Dahlquist & Jeltsch 1979"


class Integrator(ABC):
    """x ↦ x⁺, one step of size h of ẋ = f(x)."""

    name: str

    @abstractmethod
    def step(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        """One step; differentiable in everything."""

    @abstractmethod
    def limit(self, facts: Facts) -> float:
        """The step size below which the step is proven averaged; 0 where nothing is proven."""

    @abstractmethod
    def check(self, facts: Facts, h: float) -> Guarantee:
        """What is proven of the exact map of one step."""


def resting(facts: Facts) -> Guarantee:
    """A step of size zero."""
    kept = facts.linear | facts.quadratic | facts.casimirs | ({ENERGY} if facts.energy else set())
    kept = kept | ({SYMPLECTIC} if facts.hamiltonian else set())
    return structured(lipschitz(1.0, IDENTITY), VOLUME, *kept, lower=1.0)


class StructuredIntegrator(Integrator):
    """A step that keeps something else than distances, of which little or nothing is proven."""

    def limit(self, facts: Facts) -> float:
        """0: a symplectic map is averaged only where it is an isometry, and of the rest nothing is
        proven."""
        return 0.0

    def check(self, facts: Facts, h: float) -> Guarantee:
        if h == 0:
            return resting(facts)
        if not math.isfinite(h):
            return none(f"a step of {h}; expected a finite number")
        return self.moving(facts, h)

    @abstractmethod
    def moving(self, facts: Facts, h: float) -> Guarantee:
        """`check` for a finite step other than 0."""


class RungeKutta(Integrator):
    """Any tableau; explicit ones run here, implicit ones in `implicit`.

    For a field with ⟨Δf, Δx⟩ ≤ −(1/L)‖Δf‖² a step h < 2r/L of a tableau with positive weights is
    α-averaged with α = 1/(1 + 2/(hL) − 1/r): docs/theory.md, "Runge–Kutta steps".
    """

    def __init__(self, tableau: Tableau) -> None:
        self.tableau, self.name = tableau, tableau.name

    def step(self, field: VectorField, x: Tensor, h: Step) -> Tensor:
        a, b = self.tableau.a, self.tableau.b
        slopes: list[Tensor] = []
        for row in a:
            inner = x
            for weight, slope in zip(row, slopes, strict=False):
                if weight:
                    inner = inner + (h * weight) * slope
            slopes.append(field(inner))
        for weight, slope in zip(b, slopes, strict=True):
            if weight:
                x = x + (h * weight) * slope
        return x

    def stages(self, field: VectorField, x: Tensor, h: float) -> list[Tensor]:
        """The points y₁ … y_s at which a step looks at the field, as numbers, without a graph."""
        points: list[Tensor] = []
        slopes: list[Tensor] = []
        with torch.no_grad():
            for row in self.tableau.a:
                moved = [w * slope for w, slope in zip(row, slopes, strict=False) if w]
                points.append(x + h * sum(moved) if moved else x)
                slopes.append(field(points[-1]))
        return points

    def limit(self, facts: Facts) -> float:
        if facts.smoothness is None or min(self.tableau.b) <= 0:
            return 0.0
        if facts.smoothness == 0:
            return math.inf
        return 2 * self.tableau.radius / facts.smoothness

    def check(self, facts: Facts, h: float) -> Guarantee:
        if h == 0:
            return lipschitz(1.0, IDENTITY)
        if not math.isfinite(h):
            return none(f"a step of {h}; expected a finite number")
        if h < 0:
            return none(f"a step of {h:.6g} goes backwards; expected a step of at least 0")
        held = [*self._averaged(facts, h), *self._lipschitz(facts, h)]
        if not held:
            held = [none(f"no constant of the step follows from the field: {facts.source}")]
        first, *rest = held
        for other in rest:
            assert other.lipschitz is not None
            first = contracting(first, other.lipschitz) if first.is_nonexpansive else other
        return structured(first, *self._kept(facts, h))

    def _kept(self, facts: Facts, h: float) -> Iterator[str]:
        """What a step keeps: linear functions always, more where M = BA + AᵀB − bbᵀ = 0.

        Such methods keep quadratic functions and the symplectic form (Cooper 1987; Sanz-Serna
        1988). They are implicit; below hℓ‖A‖_∞ = 1 their stages are unique, and so is the way
        back, which is the method with A replaced by 1bᵀ − A.
        """
        yield from facts.linear
        if not self.tableau.is_conservative:
            return
        yield from facts.quadratic
        a, b = self.tableau.a, self.tableau.b
        rows = [sum(map(abs, row)) for row in a]
        rows += [sum(abs(w - v) for w, v in zip(b, row, strict=True)) for row in a]
        if facts.lipschitz is not None and h * facts.lipschitz * max(rows) < 1 - 1e-12:
            yield INVERTIBLE
            if facts.hamiltonian:
                yield SYMPLECTIC

    def _averaged(self, facts: Facts, h: float) -> Iterator[Guarantee]:
        if facts.smoothness is None or min(self.tableau.b) <= 0:
            return
        inverse = float(self.tableau.inverse_radius)
        alpha = averagedness(h * facts.smoothness, inverse)
        if alpha < 1:
            source = (
                f"{self.name} step, h = {h:.6g}, L ≤ {facts.smoothness:.6g}, 1/r ≤ {inverse:.6g} "
                f"({DAHLQUIST_JELTSCH})"
            )
            # A field without slope moves no two points apart: α is as small as one likes.
            yield Guarantee(1.0, max(alpha, LEAST_ALPHA), source)

    def _lipschitz(self, facts: Facts, h: float) -> Iterator[Guarantee]:
        """Plain Lipschitz bounds, nonexpansive or not, from ℓ and for Euler from ν and m too."""
        ell = facts.lipschitz
        if ell is None or not self.tableau.is_explicit:
            return
        kappa: list[float] = []
        for row in self.tableau.a:
            kappa.append(1 + h * ell * sum(abs(w) * k for w, k in zip(row, kappa, strict=False)))
        bound = 1 + h * ell * sum(abs(w) * k for w, k in zip(self.tableau.b, kappa, strict=True))
        if self.tableau.stages == 1:
            if facts.one_sided is not None:
                square = 1 + 2 * h * facts.one_sided + (h * ell) ** 2
                bound = min(bound, math.sqrt(max(square, 0.0)))
            if facts.smoothness is not None:
                ends = abs(1 - h * facts.convexity), abs(1 - h * facts.smoothness)
                bound = min(bound, max(ends))
        yield lipschitz(bound * (1 + 1e-12), f"{self.name} step of a {ell:.6g}-Lipschitz field")


def averagedness(reach: float, inverse_radius: float) -> float:
    """α = 1/(1 + 2/(hL) − 1/r) for hL = `reach`, rounded up; 1 or more: nothing is proven.

    Written as s/(1 + (1 − 1/r)s) with s = hL/2, which is s itself, to the last bit, for r = 1.
    """
    s = reach / 2
    if inverse_radius == 1:
        return s
    if s * inverse_radius >= 1:
        return math.inf
    return s / (1 + (1 - inverse_radius) * s) * (1 + 1e-14)
