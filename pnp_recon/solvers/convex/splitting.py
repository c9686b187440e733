"""Splitting methods for min f(x) + g(x): half-quadratic splitting, Douglas–Rachford, ADMM.

They take proximal maps of f and g alone, so that any coupling γ > 0 is covered, whatever ‖A‖ is.

* HQS  v ← prox_{γg}(prox_{γf}(v)): alternating minimisation over x and v of
  f(x) + g(v) + ‖x − v‖²/(2γ). It minimises g + the Moreau envelope of f, not f + g.
* DRS  x = prox_{γf}(z), v = prox_{γg}(2x − z), z ← z + ρ(v − x).
* ADMM, which is Douglas–Rachford in other variables: see `admm`.

Where a proximal map is a loop of its own, its tolerance is summable, and the proven error of each
call is handed to the loop (Eckstein & Bertsekas 1992, Thm 8; Combettes 2004, Thm 3.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from operators.norms import round_up
from pnp_recon import guarantees
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.guarantees import Guarantee
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Regulariser
from pnp_recon.solvers.convex.objective import GAP_FLOOR, Objective, smoothness
from pnp_recon.solvers.core.inner import LAST, inner_tolerance
from pnp_recon.solvers.core.solver import Solver, State, Step, share
from pnp_recon.solvers.core.theorem import Constant, Theorem, map_theorem, unproven
from pnp_recon.solvers.knobs import Knobs

REFLECTIONS = (
    "2 prox − I is 1-Lipschitz, so is the composition of two, and its relaxation by ρ/2 is "
    "ρ/2-averaged (Lions & Mercier 1979; Bauschke & Combettes 2017, Prop. 4.40)"
)


@dataclass(frozen=True)
class Split(State):
    """z, the last result of the proximal map of f, and the memory of that of g."""

    data: Tensor | None = None
    prior: Any = None


T = TypeVar("T", bound=Split)


@dataclass(frozen=True)
class _Splitting(Solver[T]):
    """What the three share.

    Attributes:
        fidelity: f, with a proximal map.
        regulariser: g; where its proximal map is a loop, its errors are counted.
        gamma: coupling γ > 0: how far one step trusts the data.
        start: (B, C, H, W).
        relaxation: ρ in (0, 2).
    """

    fidelity: Fidelity
    regulariser: Regulariser
    gamma: float
    start: Tensor
    relaxation: float = 1.0
    allow_uncertified: bool = False

    # γL where the caller sets no γ: the smaller one suits a proximal map that is a loop.
    _wide: ClassVar[float] = 10.0
    _narrow: ClassVar[float] = 1.0

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        gamma = knobs.gamma
        if gamma is None:
            # Any γ is covered: where no bound is proven, what is attained says of what size.
            gamma = (cls._wide if prior.exact else cls._narrow) / problem.smoothness
        weight = 1.0 if knobs.relaxation is None else knobs.relaxation
        return cls(
            problem.data_term, prior, gamma, problem.first_guess(), weight, knobs.allow_uncertified
        )

    @property
    def objective(self) -> Objective:
        return Objective(self.fidelity, self.regulariser)

    def theorem(self) -> Theorem:
        missing = self.objective.missing(smooth=False)
        if missing is not None:
            return unproven(missing)
        constants = (
            Constant("coupling γ", self.gamma, f"any γ > 0 is covered; {self._how()}"),
            Constant("relaxation ρ", self.relaxation, "covered range (0, 2)"),
            *self.objective.moduli(),
        )
        reason = None
        if not 0 < self.gamma < math.inf:
            reason = f"gamma {self.gamma:.6g} is not a positive number"
        elif not 0 < self.relaxation < 2:
            reason = f"relaxation {self.relaxation:.6g} lies outside the proven range (0, 2)"
        if reason is not None:
            if not (self.allow_uncertified and 0 < self.gamma < math.inf):
                raise StepSizeError(f"{reason}; take one inside it or allow an uncertified run")
            return unproven(reason, constants)
        return self._covered(constants)

    def _covered(self, constants: tuple[Constant, ...]) -> Theorem:
        return map_theorem(
            f"{self.name}: the iterates converge, and the pictures to a minimiser of f + g"
            f"{self.objective.existence()} (Eckstein & Bertsekas 1992, Thm 8; Bauschke & Combettes "
            "2017, Thm 26.11)",
            self._guarantee(),
            constants,
            self.objective.premises(smooth=self._guarantee().is_contraction),
            picture=self._picture_constant(),
        )

    def _guarantee(self) -> Guarantee:
        """(1 − ρ/2)I + ρ/2·R, R the reflections of f and g composed: that of g is 1-Lipschitz, that
        of f a contraction where f is smooth and strongly convex (Giselsson & Boyd 2017, Thm 2)."""
        held = guarantees.relax(self._reflection(), self.relaxation / 2)
        return held if held.is_contraction else replace(held, source=REFLECTIONS)

    def _reflection(self) -> Guarantee:
        """2 prox_{γf} − I, before or after another reflection."""
        found = smoothness(self.fidelity)
        return guarantees.reflection(
            self.gamma,
            self.objective.data_convexity,
            math.inf if found is None else found,
            REFLECTIONS,
        )

    def _picture_constant(self) -> float:
        """Lipschitz constant of the picture as a function of z."""
        return 1.0

    @property
    def stride(self) -> float:
        """min(1, ρ)·min(1, γL): v − x is γ times a subgradient of the objective."""
        found = smoothness(self.fidelity)
        return share(self.relaxation, 1.0 if found is None else self.gamma * found)

    def _how(self) -> str:
        if self._exact:
            return "proximal maps in closed form"
        return "errors of inner loops are proven, their tolerances fall like 1/k² to a floor"

    @property
    def _exact(self) -> bool:
        return self.fidelity.exact_prox and self.objective.exact

    def first(self) -> Tensor:
        """The start, inside the box that g confines pictures to."""
        box = self.objective.box
        return self.start if box is None else box.prox(self.start, 1.0)[0]

    def _data(self, z: Tensor, iteration: int, warm: Tensor | None) -> tuple[Tensor, Tensor]:
        """prox_{γf}(z) and a bound (B,) of its error; `warm` is where a loop starts."""
        start, tol = z if warm is None else warm, inner_tolerance(z, iteration)
        return self.fidelity.prox(z, self.gamma, start=start, tol=tol)

    def _prior(self, z: Tensor, iteration: int, memory: Any) -> tuple[Tensor, Tensor, Any]:
        """prox_{γg}(z), a bound (B,) of its error, and where its loop ended."""
        tol = inner_tolerance(z, iteration, GAP_FLOOR)
        return self.regulariser.prox_from(z, self.gamma, tol=tol, memory=memory)

    def _tolerance(self, z: Tensor, iteration: int) -> float | None:
        """The tolerance of the inner solves of one step; None where both are closed forms."""
        if self._exact:
            return None
        data = 0.0 if self.fidelity.exact_prox else inner_tolerance(z, iteration)
        prior = 0.0 if self.objective.exact else inner_tolerance(z, iteration, GAP_FLOOR)
        return data + prior

    def parameters(self, state: T | None = None) -> dict[str, float]:
        return {"gamma": self.gamma, "relaxation": self.relaxation}


@dataclass(frozen=True)
class HQS(_Splitting[Split]):
    """v ← prox_{γg}(prox_{γf}(v)), relaxed by ρ; the limit minimises envelope(f) + g."""

    name = "hqs"
    # HQS replaces f by its Moreau envelope, which is near f for small γL.
    _wide: ClassVar[float] = 1.0

    def _covered(self, constants: tuple[Constant, ...]) -> Theorem:
        words = "proximal map of a convex function (Moreau 1965)"
        proximal = guarantees.proximal(self.gamma, self.objective.data_convexity, words)
        held = guarantees.compose(self.regulariser.guarantee_of(self.gamma), proximal)
        if self.relaxation != 1:
            held = guarantees.relax(held, self.relaxation)
        return map_theorem(
            "hqs: the iterates converge to a minimiser of g + the Moreau envelope of f"
            f"{self.objective.existence()}, not of f + g (proximal gradient on the envelope; "
            "Bauschke & Combettes 2017, Thm 5.15 and Prop. 12.30)",
            held,
            constants,
            self.objective.premises(smooth=False),
        )

    def init(self) -> Split:
        return Split(self.first())

    def step(self, state: Split, iteration: int) -> Step[Split]:
        z = state.z
        x, first = self._data(z, iteration, state.data)
        v, second, memory = self._prior(x, iteration, state.prior)
        fresh = v if self.relaxation == 1 else torch.lerp(z, v, self.relaxation)
        return Step(Split(fresh, x, memory), self.relaxation * (first + second))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z, iteration)
        return None if found is None else self.relaxation * found

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.objective.radius(z, envelope=True)

    def image(self, state: Split) -> Tensor:
        box = self.objective.box  # which over-relaxation may leave
        return state.z if box is None else box.prox(state.z, 1.0)[0]


class Reflected(_Splitting[T]):
    """What Douglas–Rachford and ADMM share: the distance of the start from a fixed point."""

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """See `Solver`; z* = x* ± γ∇f(x*).

        ‖∇f(x*)‖² ≤ 2L (f(x*) − inf f) ≤ 2L (F(x₀) − inf f) (Nesterov 2004, Thm 2.1.5).
        """
        start = self.first()
        if self.objective.missing(smooth=True) is not None:
            return None
        radius = self.objective.radius(start)
        if radius is None:
            return None
        slope = (2 * self.fidelity.lipschitz * self.objective.excess(start)).sqrt()
        bound = (radius + self.gamma * slope) * (1 + 1e-5) + self.norm(z - self._lift(start))
        return bound if bool(torch.isfinite(bound).all()) else None

    def _lift(self, start: Tensor) -> Tensor:
        return start


@dataclass(frozen=True)
class DouglasRachford(Reflected[Split]):
    """z ← z + ρ(prox_{γg}(2x − z) − x), x = prox_{γf}(z); the picture is prox_{γg}(2x − z)."""

    name = "drs"

    def init(self) -> Split:
        return Split(self.first())

    def step(self, state: Split, iteration: int) -> Step[Split]:
        z = state.z
        x, first = self._data(z, iteration, state.data)
        v, second, memory = self._prior(2 * x - z, iteration, state.prior)
        # v − x moves by at most the error of x: prox(w + 2e) − prox(w) − e is half the
        # difference of two values of the 1-Lipschitz 2 prox − I.
        moved = Split(z + self.relaxation * (v - x), x, memory)
        return Step(moved, self.relaxation * (first + second))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z, iteration)
        return None if found is None else self.relaxation * found

    def image(self, state: Split) -> Tensor:
        return self._picture(state)[0]

    def picture_error(self, state: Split) -> Tensor:
        return super().picture_error(state) if self._exact else self._picture(state)[1]

    def _picture(self, state: Split) -> tuple[Tensor, Tensor]:
        """prox_{γg}(2x − z), and a bound (B,) of its error: twice that of x, and its own."""
        x, first = self._data(state.z, LAST, state.data)
        found, second, _ = self._prior(2 * x - state.z, LAST, state.prior)
        return found, 2 * first + second

    def _picture_constant(self) -> float:
        prior = self.regulariser.guarantee_of(self.gamma).lipschitz or 1.0
        return round_up((self._reflection().lipschitz or 1.0) * prior)
