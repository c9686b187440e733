"""Splitting methods for min f(x) + g(x): half-quadratic splitting, Douglas–Rachford, ADMM.

They take proximal maps of f and g alone, so that any coupling γ > 0 is covered, whatever ‖A‖ is.

* HQS  v ← prox_{γg}(prox_{γf}(v)): alternating minimisation over x and v of
  f(x) + g(v) + ‖x − v‖²/(2γ). It minimises g + the Moreau envelope of f, not f + g.
* DRS  x = prox_{γf}(z), v = prox_{γg}(2x − z), z ← z + ρ(v − x).
* ADMM  x = prox_{γf}(v − w), x̂ = ρx + (1 − ρ)v, v ← prox_{γg}(x̂ + w), w ← w + x̂ − v: with
  s = v + w this is Douglas–Rachford on s, g before f (Eckstein & Bertsekas 1992, §5).

Where a proximal map is a loop of its own, its tolerance is summable, and the proven error of each
call is handed to the loop (Eckstein & Bertsekas 1992, Thm 8; Combettes 2004, Thm 3.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Regulariser
from pnp_recon.solvers.convex.gradient import contracting_laws
from pnp_recon.solvers.convex.objective import GAP_FLOOR, Objective, inner_tolerance
from pnp_recon.solvers.core.certificate import Certificate, Constant
from pnp_recon.solvers.core.laws import Laws
from pnp_recon.solvers.core.loop import Solver, Step, norms
from pnp_recon.solvers.pnp.iterations import LAST

REFLECTIONS = (
    "2 prox − I is 1-Lipschitz, so is the composition of two, and its relaxation by ρ/2 is "
    "ρ/2-averaged (Lions & Mercier 1979; Bauschke & Combettes 2017, Prop. 4.40)"
)


@dataclass(frozen=True)
class _Splitting(Solver):
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
    # The last results of the proximal maps of f and g, where the next inner loops start.
    _warm: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def objective(self) -> Objective:
        return Objective(self.fidelity, self.regulariser)

    def check(self) -> Certificate:
        missing = self.objective.missing(smooth=False)
        if missing is not None:
            return Certificate("", guarantees.none(missing))
        constants = (
            Constant("coupling γ", self.gamma, f"any γ > 0 is covered; {self._how()}"),
            Constant("relaxation ρ", self.relaxation, "covered range (0, 2)"),
        )
        reason = None
        if not 0 < self.gamma < math.inf:
            reason = f"gamma {self.gamma:.6g} is not a positive number"
        elif not 0 < self.relaxation < 2:
            reason = f"relaxation {self.relaxation:.6g} lies outside the proven range (0, 2)"
        if reason is not None:
            if not (self.allow_uncertified and 0 < self.gamma < math.inf):
                raise StepSizeError(f"{reason}; take one inside it or allow an uncertified run")
            return Certificate("", guarantees.none(reason), constants)
        return self._certificate(constants)

    def _certificate(self, constants: tuple[Constant, ...]) -> Certificate:
        return Certificate(
            f"{self.name}: the iterates converge, and the pictures to a minimiser of f + g"
            f"{self.objective.existence()} (Eckstein & Bertsekas 1992, Thm 8; Bauschke & Combettes "
            "2017, Thm 26.11)",
            guarantees.averaged(self.relaxation / 2, REFLECTIONS),
            constants,
        )

    def _how(self) -> str:
        if self._exact:
            return "proximal maps in closed form"
        return "errors of inner loops are proven, their tolerances fall like 1/k² to a floor"

    @property
    def _exact(self) -> bool:
        return self.fidelity.exact_prox and self.objective.exact

    def laws(self, certificate: Certificate) -> Laws:
        return contracting_laws(certificate.guarantee)

    def init(self) -> Tensor:
        self._warm.clear()
        box = self.objective.box
        return self.start if box is None else box.prox(self.start, 1.0)[0]

    def _data(self, z: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """prox_{γf}(z) and a bound (B,) of its error."""
        start, tol = self._warm.get("f", z), inner_tolerance(z, iteration)
        x, error = self.fidelity.prox(z, self.gamma, start=start, tol=tol)
        self._warm["f"] = x
        return x, error

    def _prior(self, z: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """prox_{γg}(z) and a bound (B,) of its error."""
        start, tol = self._warm.get("g"), inner_tolerance(z, iteration, GAP_FLOOR)
        v, error = self.regulariser.prox(z, self.gamma, tol=tol, start=start)
        self._warm["g"] = v
        return v, error

    def _tolerance(self, z: Tensor, iteration: int) -> float | None:
        """Of the inner solves of one step together; None where both are closed forms."""
        if self._exact:
            return None
        data = 0.0 if self.fidelity.exact_prox else inner_tolerance(z, iteration)
        prior = 0.0 if self.objective.exact else inner_tolerance(z, iteration, GAP_FLOOR)
        return data + prior

    def parameters(self) -> dict[str, float]:
        return {"gamma": self.gamma, "relaxation": self.relaxation}


@dataclass(frozen=True)
class HQS(_Splitting):
    """v ← prox_{γg}(prox_{γf}(v)), relaxed by ρ; the limit minimises envelope(f) + g."""

    name = "hqs"

    def _certificate(self, constants: tuple[Constant, ...]) -> Certificate:
        proximal = guarantees.firm("proximal map of a convex function (Moreau 1965)")
        held = guarantees.compose(self.regulariser.guarantee_of(self.gamma), proximal)
        if self.relaxation != 1:
            held = guarantees.relax(held, self.relaxation)
        return Certificate(
            "hqs: the iterates converge to a minimiser of g + the Moreau envelope of f"
            f"{self.objective.existence()}, not of f + g (proximal gradient on the envelope; "
            "Bauschke & Combettes 2017, Thm 5.15 and Prop. 12.30)",
            held,
            constants,
        )

    def step(self, z: Tensor, iteration: int) -> Step:
        x, first = self._data(z, iteration)
        v, second = self._prior(x, iteration)
        fresh = v if self.relaxation == 1 else torch.lerp(z, v, self.relaxation)
        return Step(fresh, self.relaxation * (first + second))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z, iteration)
        return None if found is None else self.relaxation * found

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.objective.radius(z)

    def image(self, z: Tensor) -> Tensor:
        box = self.objective.box  # which over-relaxation may leave
        return z if box is None else box.prox(z, 1.0)[0]


class _Reflected(_Splitting):
    """What Douglas–Rachford and ADMM share: the distance of the start from a fixed point."""

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """At z* = x* ± γ∇f(x*) with ‖∇f(x*)‖² ≤ 2L f(x*) ≤ 2L F(x₀) (Nesterov 2004, Thm 2.1.5)."""
        start = _Splitting.init(self)
        if self.objective.missing(smooth=True) is not None:
            return None
        radius = self.objective.radius(start)
        if radius is None:
            return None
        slope = (2 * self.fidelity.lipschitz * self.objective.value(start)).sqrt()
        bound = (radius + self.gamma * slope) * (1 + 1e-5) + self.norm(z - self._lift(start))
        return bound if bool(torch.isfinite(bound).all()) else None

    def _lift(self, start: Tensor) -> Tensor:
        return start


@dataclass(frozen=True)
class DouglasRachford(_Reflected):
    """z ← z + ρ(prox_{γg}(2x − z) − x), x = prox_{γf}(z); the picture is prox_{γg}(2x − z)."""

    name = "drs"

    def step(self, z: Tensor, iteration: int) -> Step:
        x, first = self._data(z, iteration)
        v, second = self._prior(2 * x - z, iteration)
        # v − x moves by at most the error of x: prox(w + 2e) − prox(w) − e is half the
        # difference of two values of the 1-Lipschitz 2 prox − I.
        return Step(z + self.relaxation * (v - x), self.relaxation * (first + second))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z, iteration)
        return None if found is None else self.relaxation * found

    def image(self, z: Tensor) -> Tensor:
        x = self._data(z, LAST)[0]
        return self._prior(2 * x - z, LAST)[0]


@dataclass(frozen=True)
class ADMM(_Reflected):
    """The alternating direction method of multipliers, scaled; z = (v, w), (B, 2, C, H, W).

    The norm of the laws is ‖v + w‖. A step moves s = v + w by ρ(x − v), and x − v is the primal
    residual x − v⁺ plus γ times the dual one, (v⁺ − v)/γ (Boyd et al. 2011, §3.3); with ρ = 1 the
    squares of the two add up to at most the square of its norm in the step after.
    """

    # Error bound (B,) of the v that is in the state.
    _owed: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)
    name = "admm"

    def init(self) -> Tensor:
        s = super().init()
        v, self._owed[:] = self._split(s, 0)
        self._warm["state"] = torch.stack((v, s - v), 1)
        return self._warm["state"]

    def step(self, z: Tensor, iteration: int) -> Step:
        v, w = z.unbind(1)
        if self._warm.get("state") is not z:  # changed from outside: T is a function of v + w
            v, self._owed[:] = self._split(v + w, iteration)
            w = z.sum(1) - v
        x, error = self._data(v - w, iteration)
        s = w + v + self.relaxation * (x - v)
        # s⁺ − s = ρ(x − v): with v off by e, x − v moves by at most e, as in `DouglasRachford`.
        error = self.relaxation * (error + self._owed[0])
        v, self._owed[:] = self._split(s, iteration + 1)
        self._warm["state"] = torch.stack((v, s - v), 1)
        return Step(self._warm["state"], error)

    def _split(self, s: Tensor, iteration: int) -> tuple[Tensor, list[Tensor]]:
        v, error = self._prior(s, iteration)
        return v, [error]

    def norm(self, z: Tensor) -> Tensor:
        return norms(z.sum(1))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z[:, 0], iteration)
        return None if found is None else self.relaxation * found

    def image(self, z: Tensor) -> Tensor:
        return z[:, 0]

    def _lift(self, start: Tensor) -> Tensor:
        return torch.stack((start, torch.zeros_like(start)), 1)
