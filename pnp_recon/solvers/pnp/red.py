"""Regularisation by denoising as projected gradient descent (Romano, Elad & Milanfar 2017).

    T = P ∘ (I − τG),        G = ∇f + w(I − N_λ),        N_λ = (1−λ)I + λN,

P the projection onto the box [0, 1]. If N_λ is α-averaged, α = 1 for one that is only nonexpansive,
N_λ = (1−α)I + αR, then I − N_λ = α(I − R) is 1/(2α)-cocoercive, ∇f is 1/L-cocoercive, and the sum G
is 1/(L + 2αw)-cocoercive (Bauschke & Combettes 2017, Prop. 4.12). I − τG is then averaged with
τ(L + 2αw)/2 for 0 < τ < 2/(L + 2αw) (Prop. 4.39). Cohen, Elad & Milanfar 2021 argue in the same way
with fixed-point sets.

G is a monotone operator; in general it is *not* the gradient of a function, because the Jacobian
of a denoiser is not symmetric (Reehorst & Schniter 2019). The limit solves 0 ∈ G(x) + N_box(x)
and need not minimise anything.

Where f is strongly convex or N contracts, T does: `guarantees.field_step`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from pnp_recon import guarantees
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.solver import Step, share
from pnp_recon.solvers.core.theorem import Constant, Theorem, map_theorem, unproven
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.base import CONVERGENCE, PnP, Warm
from pnp_recon.solvers.pnp.iterations import PnPHQS
from pnp_recon.solvers.tuning import automatic

# A step in units of 1/(L + 2w), whose range is (0, 2) for a denoiser that is only nonexpansive.
STEP = 1.9


@dataclass(frozen=True)
class RED(PnP):
    """x ← P(x − τ(∇f(x) + w(x − N_λ(x)))); `weight` is w > 0, `step_size` τ ∈ (0, 2/(L + 2αw)).

    Raises:
        StepSizeError: from `theorem`, where a parameter lies outside its range, unless allowed.
    """

    step_size: float = 1.0
    weight: float = 1.0
    name = "red"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """w(I − D_s) is about w s² times the gradient of the log-density: w = 1/γ as in HQS."""
        choice = automatic(problem.noise(), PnPHQS.name, problem.scale, problem.evenness)
        coupling = choice.coupling / knobs.strength
        step = STEP / (problem.scale**2 + 2 / coupling) if knobs.step is None else knobs.step
        shared = cls._shared(problem, prior, knobs, choice)
        return cls(**shared, step_size=step, weight=1 / coupling)

    def theorem(self) -> Theorem:
        if (missing := self.missing()) is not None:
            return missing
        if not 0 < self.weight < float("inf"):
            reason = f"weight {self.weight:.6g} is not a positive number"
            self.refuse(f"{reason}; take a positive one")
            return unproven(reason, (self.denoiser.constant(),))
        denoiser = self.relaxed_guarantee
        if denoiser.averagedness is None:
            if not 0 < self.step_size < float("inf"):
                self.refuse(f"step size {self.step_size:.6g} is no positive number; take one")
            reason = str(denoiser).removeprefix("no guarantee: ")
            return unproven(reason, (self.denoiser.constant(),))
        lipschitz = self.fidelity.lipschitz
        smoothness = self._field
        limit = 2 / smoothness
        constants = (
            Constant("L", lipschitz, f"gradient of the {self.fidelity.name} fidelity"),
            Constant("L + 2αw", smoothness, "inverse of the proven cocoercivity of the field"),
            *self.moduli(),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
            self.denoiser.constant(),
        )
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, 2/(L + 2αw)) = "
                f"(0, {limit:.6g})"
            )
            self.refuse(f"{reason}; take a step inside it or allow an uncertified run")
            return unproven(reason, constants)
        source = (
            "regularisation by denoising, τ(L + 2αw)/2 with a (L + 2αw)⁻¹-cocoercive field, in "
            "general no gradient (Reehorst & Schniter 2019; Bauschke & Combettes 2017, Prop. 4.39)"
        )
        descent = guarantees.averaged(self.step_size * smoothness / 2, source)
        constant = guarantees.field_step(
            self.step_size, self.weight, denoiser, lipschitz, self.convexity
        )
        words = "; I − τG = ((1 − ταw)I − τ∇f) + ταwR has its constant by the moduli of f and N"
        descent = guarantees.contracting(descent, constant, words)
        held = guarantees.compose(self.projection, descent)
        return map_theorem(f"RED: {CONVERGENCE}", held, constants, self.premises(norm=True))

    @property
    def _field(self) -> float:
        """L + 2αw, the inverse cocoercivity of G; α = 1 for a denoiser of which less is known."""
        alpha = self.relaxed_guarantee.averagedness or 1.0
        return self.fidelity.lipschitz + 2 * alpha * self.weight

    @property
    def stride(self) -> float:
        return 1.0 if self.smoothness is None else share(self.step_size * self._field)

    def step(self, state: Warm, iteration: int) -> Step[Warm]:
        z = state.z
        field = self.fidelity.gradient(z) + self.weight * (z - self.relaxed(z))
        return Step(Warm(self.project(z - self.step_size * field)), z.new_zeros(z.shape[0]))

    def parameters(self, state: Warm | None = None) -> dict[str, float]:
        found = super().parameters(state)
        return {"step": self.step_size, "weight": self.weight, **found}
