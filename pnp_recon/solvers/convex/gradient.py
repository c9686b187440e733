"""Gradient methods for min F(x) = f(x) + g(x): gradient descent, proximal gradient, ISTA.

L is the proven Lipschitz constant of ∇f, m the strong convexity of g, m_f that of f.

* gradient descent  x − τ∇F(x), g a ridge or nothing, 0 < τ < 2/(L + m): averaged, and with
  m + m_f > 0 a contraction with max(|1 − τ(m + m_f)|, |1 − τ(L + m)|);
* proximal gradient  T x = prox_{τg}(x − τ∇f(x)), 0 < τ < 2/L: averaged, and with m or m_f > 0 a
  contraction with max(|1 − τm_f|, |1 − τL|)/(1 + τm); ISTA is its name for sparse g.

Each step applies A once and Aᵀ once, since A x is kept for the next gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.guarantees import Guarantee
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Regulariser, Ridge
from pnp_recon.solvers.convex.objective import GAP_FLOOR, Objective, at_most, smoothness
from pnp_recon.solvers.core.inner import inner_tolerance
from pnp_recon.solvers.core.solver import Solver, State, Step, norms, share
from pnp_recon.solvers.core.theorem import Constant, Theorem, map_theorem, unproven
from pnp_recon.solvers.knobs import Knobs

# Names of the regularisers that make pictures, or their coefficients, sparse.
SPARSE = ("l1", "elastic-net", "wavelet-l1")
DESCENT = "F(x⁺) + (1/τ − L/2)‖x⁺ − x‖² ≤ F(x) (ratio)"


@dataclass(frozen=True)
class Descent(State):
    """x, and what the next step can use again.

    Attributes:
        image: A x; None: it has to be computed.
        memory: where the loop of the proximal map of g ended.
    """

    image: Tensor | None = None
    memory: Any = None


@dataclass(frozen=True)
class ProximalGradient(Solver[Descent]):
    """x ← prox_{τg}(x − τ∇f(x)).

    Attributes:
        fidelity: f, with a Lipschitz gradient.
        regulariser: g; its proximal map may be a loop of its own; None: zero.
        step_size: τ in (0, 2/L).
        start: x₀ (B, C, H, W).
    """

    fidelity: Fidelity
    regulariser: Regulariser | None
    step_size: float
    start: Tensor
    allow_uncertified: bool = False

    name = "proximal-gradient"
    _reach: ClassVar[float] = 2.0  # the step's range is (0, _reach/L)
    _share: ClassVar[float] = 0.9  # of that range, where the caller sets no step

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        step = knobs.step
        if step is None:
            total = smoothness(problem.data_term)
            # Without a bound `theorem` says what is missing.
            step = 1.0 if total is None else cls._reach * cls._share / cls._total(total, prior)
        return cls(problem.data_term, prior, step, problem.first_guess(), knobs.allow_uncertified)

    @classmethod
    def _total(cls, lipschitz: float, regulariser: Regulariser) -> float:
        """The constant of the part that the gradient step is about."""
        return lipschitz

    @property
    def objective(self) -> Objective:
        return Objective(self.fidelity, self.regulariser)

    @property
    def smoothness(self) -> float:
        """L of the part that the gradient step is about."""
        return self.fidelity.lipschitz

    def theorem(self) -> Theorem:
        missing = self.objective.missing(smooth=True)
        if missing is not None:
            return unproven(missing)
        limit = self._reach / self.smoothness if self.smoothness > 0 else math.inf
        constants = (
            Constant("L", self.smoothness, self.fidelity.A.norm_certificate.method),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
            *self.objective.moduli(),
        )
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, "
                f"{self._reach:g}/L) = (0, {limit:.6g}), L = {self.smoothness:.6g}"
            )
            if not (self.allow_uncertified and 0 < self.step_size < math.inf):
                raise StepSizeError(f"{reason}; take a step inside it or allow an uncertified run")
            return unproven(reason, constants)
        return self._covered(constants)

    def _covered(self, constants: tuple[Constant, ...]) -> Theorem:
        held = self._guarantee()
        words = "the iterates converge to a minimiser of f + g"
        if held.is_contraction:
            words = f"the iterates converge linearly, factor {held.lipschitz:.6g}, to the minimiser"
        return map_theorem(
            f"{self.name}: {words}{self.objective.existence()} (Krasnosel'skii–Mann; Bauschke & "
            "Combettes 2017, Cor. 28.9)",
            held,
            constants,
            self.objective.premises(smooth=True),
            DESCENT if self.objective.exact else "",
        )

    def _guarantee(self) -> Guarantee:
        descent = guarantees.gradient_step(
            self.step_size, self.smoothness, self.objective.data_convexity
        )
        if self.regulariser is None:
            return descent
        return guarantees.compose(self.regulariser.guarantee_of(self.step_size), descent)

    def first(self) -> Tensor:
        """The start, inside the box that g confines pictures to."""
        box = self.objective.box
        return self.start if box is None else box.prox(self.start, 1.0)[0]

    def init(self) -> Descent:
        return Descent(self.first())

    def at(self, state: Descent, z: Tensor) -> Descent:
        return state if z is state.z else replace(state, z=z, image=None)

    def step(self, state: Descent, iteration: int) -> Step[Descent]:
        z = state.z
        image = self.fidelity.A.A(z) if state.image is None else state.image
        gradient = self.fidelity.gradient_at(z, image)
        x, error, memory = self._advance(z, gradient, iteration, state.memory)
        after = self.fidelity.A.A(x)
        ratio = self._descent(z, image, x, after)
        return Step(Descent(x, after, memory), error, ratio=ratio)

    def _advance(
        self, x: Tensor, gradient: Tensor, iteration: int, memory: Any
    ) -> tuple[Tensor, Tensor, Any]:
        """The next point, a bound (B,) of its error, and where the loop of g ended."""
        forward = x - self.step_size * gradient
        if self.regulariser is None:
            return forward, torch.zeros(x.shape[0], dtype=x.dtype, device=x.device), None
        tol = inner_tolerance(x, iteration, GAP_FLOOR)
        return self.regulariser.prox_from(forward, self.step_size, tol=tol, memory=memory)

    def _descent(self, x: Tensor, image: Tensor, after: Tensor, moved: Tensor) -> Tensor | None:
        """Both sides of `DESCENT`; None where the proximal map is inexact."""
        objective = self.objective
        if not objective.exact or objective.missing(smooth=True) is not None:
            return None
        old = self.fidelity.value_at(x, image) + objective.penalty(x)
        new = self.fidelity.value_at(after, moved) + objective.penalty(after)
        gain = (1 / self.step_size - self.smoothness / 2) * norms(after - x).square()
        return at_most(new + gain, old + objective.rounding(x, image, old + new))

    def image(self, state: Descent) -> Tensor:
        return state.z

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.objective.radius(z)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return None if self.objective.exact else inner_tolerance(z, iteration, GAP_FLOOR)

    @property
    def stride(self) -> float:
        """min(1, τL).

        ‖x − T x‖/τ never grows with τ (Beck 2017, Thm 10.9): over τL the residual of a short step
        bounds that of the step 1/L.
        """
        if self.objective.missing(smooth=True) is not None or not self.smoothness > 0:
            return 1.0
        return share(self.step_size * self.smoothness)

    def parameters(self, state: Descent | None = None) -> dict[str, float]:
        return {"step": self.step_size}


@dataclass(frozen=True)
class GradientDescent(ProximalGradient):
    """x ← x − τ∇(f + g)(x), g = m/2 ‖·‖² or nothing; τ in (0, 2/(L + m))."""

    name = "gradient-descent"

    @classmethod
    def _total(cls, lipschitz: float, regulariser: Regulariser) -> float:
        return lipschitz + regulariser.strong_convexity

    def __post_init__(self) -> None:
        if not (self.regulariser is None or isinstance(self.regulariser, Ridge)):
            raise InputError(
                f"gradient-descent takes a smooth regulariser (ridge) or none, found "
                f"'{self.regulariser.name}'; use proximal-gradient or fista"
            )

    @property
    def smoothness(self) -> float:
        return self.fidelity.lipschitz + self.objective.prior_convexity

    def _guarantee(self) -> Guarantee:
        """What is proven of I − τ∇F, F being (L + m)-smooth and (m + m_f)-strongly convex."""
        return guarantees.gradient_step(
            self.step_size, self.smoothness, self.objective.strong_convexity
        )

    def _advance(
        self, x: Tensor, gradient: Tensor, iteration: int, memory: Any
    ) -> tuple[Tensor, Tensor, Any]:
        m = self.objective.prior_convexity
        error = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
        return x - self.step_size * (gradient + m * x), error, None


@dataclass(frozen=True)
class ISTA(ProximalGradient):
    """Iterative soft thresholding: proximal gradient with a sparse regulariser."""

    name = "ista"

    def __post_init__(self) -> None:
        found = None if self.regulariser is None else self.regulariser.name
        if found not in SPARSE:
            raise InputError(
                f"ista takes a regulariser that makes sparse ({', '.join(SPARSE)}), found "
                f"{found!r}; use proximal-gradient, which takes any"
            )
