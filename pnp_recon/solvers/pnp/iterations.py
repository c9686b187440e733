"""Plug-and-play iterations: a data step, a denoiser, the box [0, 1].

P is the projection onto the box, N the denoiser at a fixed level, f = φ(A ·) the
data fidelity.

* PnP-PGD  T = P ∘ N_λ ∘ (I − τ∇f), 0 < τ < 2/L, N_λ = (1−λ)I + λN.
* PnP-HQS  T = P ∘ N_λ ∘ prox_{γf}, any γ > 0: the proximal map is firmly nonexpansive, so the
  coupling is free of the operator's norm.
* PnP-DRS  T = (1−λ)I + λ·(P∘N) ∘ (2 prox_{γf} − I), any γ > 0, 0 < λ < 1. With λ = ½ this is
  Douglas–Rachford with the firmly nonexpansive denoiser ½(I + P∘N); N need only be 1-Lipschitz.

Each T maps a compact convex set (the box; for DRS every fixed point is one of the box's
self-map P∘N∘(2 prox_{γf} − I)) continuously into itself, so that a fixed point exists (Brouwer),
and the iterates of an averaged map converge to one (Krasnosel'skii–Mann). Nothing is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.inner import inner_tolerance
from pnp_recon.solvers.core.solver import Step, norms, share
from pnp_recon.solvers.core.theorem import Constant, Theorem, map_theorem, unproven
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.base import CONVERGENCE, Coupled, PnP, Warm
from pnp_recon.solvers.pnp.maps import drs, hqs
from pnp_recon.solvers.tuning import Choice, automatic, coupling


def _gamma(problem: Problem, choice: Choice, knobs: Knobs, level: float) -> float:
    """γ as it is set; otherwise by a factor and the level that runs, or the tuned choice."""
    if knobs.gamma is not None:
        return knobs.gamma
    found = choice.coupling
    if knobs.coupling is not None:
        found = coupling(knobs.coupling, level, problem.noise(), problem.scale, problem.evenness)
    return found / knobs.strength


@dataclass(frozen=True)
class PnPPGD(PnP):
    """x ← P N_λ (x − τ∇f(x)); `step_size` is τ ∈ (0, 2/L)."""

    step_size: float = 1.0
    name = "pnp-pgd"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """The theorem ties coupling to step: `strength` multiplies the denoiser's level, which is
        lower where L lets steps be shorter than the data bend by."""
        choice = automatic(problem.noise(), PnPPGD.name, problem.scale, problem.evenness)
        step = choice.coupling / problem.smoothness if knobs.step is None else knobs.step
        shorter = min(1.0, problem.scale / math.sqrt(problem.smoothness))
        shared = cls._shared(problem, prior, knobs, choice, knobs.strength * shorter)
        return cls(**shared, step_size=step)

    def theorem(self) -> Theorem:
        if (missing := self.missing()) is not None:
            return missing
        limit = 2 / self.fidelity.lipschitz
        constants = (
            Constant("‖A‖", self.fidelity.A.norm_bound, self.fidelity.A.norm_certificate.method),
            Constant(
                "L", self.fidelity.lipschitz, f"gradient of the {self.fidelity.name} fidelity"
            ),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
            *self.moduli(),
            self.denoiser.constant(),
        )
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, 2/L) = "
                f"(0, {limit:.6g}), L = {self.fidelity.lipschitz:.6g}"
            )
            self.refuse(f"{reason}; take a step inside it or allow an uncertified run")
            return unproven(reason, constants)
        gradient = guarantees.gradient_step(self.step_size, self.fidelity.lipschitz, self.convexity)
        held = guarantees.compose(self.projection, self.relaxed_guarantee, gradient)
        constants += self.gain(self.step_size * self.fidelity.data_sensitivity, "τ‖A‖")
        return map_theorem(f"PnP-PGD: {CONVERGENCE}", held, constants, self.premises(norm=True))

    def step(self, state: Warm, iteration: int) -> Step[Warm]:
        z = state.z
        forward = z - self.step_size * self.fidelity.gradient(z)
        return Step(Warm(self.project(self.relaxed(forward))), z.new_zeros(z.shape[0]))

    def parameters(self, state: Warm | None = None) -> dict[str, float]:
        return {"step": self.step_size, **super().parameters(state)}


@dataclass(frozen=True)
class PnPHQS(Coupled):
    """x ← P N_λ prox_{γf}(x): half-quadratic splitting with a denoiser."""

    name = "pnp-hqs"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        choice = automatic(problem.noise(), cls.name, problem.scale, problem.evenness)
        shared = cls._shared(problem, prior, knobs, choice)
        return cls(**shared, gamma=_gamma(problem, choice, knobs, shared["denoiser"].sigma))

    def theorem(self) -> Theorem:
        if (missing := self.missing(gamma=self.gamma)) is not None:
            return missing
        constants = (self.coupling(), *self.moduli(), self.denoiser.constant())
        held = guarantees.compose(self.projection, self.relaxed_guarantee, self.proximal())
        if self.fidelity.exact_prox:
            constants += self.gain(self.fidelity.prox_sensitivity(self.gamma), "of prox_{γf}")
        return map_theorem(f"PnP-HQS: {CONVERGENCE}", held, constants, self.premises(norm=False))

    def step(self, state: Warm, iteration: int) -> Step[Warm]:
        found = self.prox(state, iteration)
        z, error = hqs(lambda _: found, self.relaxed, state.z, self.project)
        asked, moved = self.asked(state, iteration), norms(z - state.z)
        stretch = self._stretch
        return Step(Warm(z, found[0], moved), stretch * error, tolerance=stretch * asked)

    @cached_property
    def _stretch(self) -> float:
        """What N_λ may do to an inner error: above 1 for a denoiser that only f makes contract."""
        return max(1.0, self.relaxed_guarantee.lipschitz or 1.0)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = super().error_tolerance(z, iteration)
        return None if found is None else self._stretch * found


@dataclass(frozen=True)
class PnPDRS(Coupled):
    """z ← (1−λ)z + λ·P N(2 prox_{γf}(z) − z); the picture is prox_{γf}(z)."""

    name = "pnp-drs"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        choice = automatic(problem.noise(), cls.name, problem.scale, problem.evenness)
        shared = cls._shared(problem, prior, knobs, choice)
        return cls(**shared, gamma=_gamma(problem, choice, knobs, shared["denoiser"].sigma))

    def theorem(self) -> Theorem:
        constants = (
            self.coupling(),
            *self.moduli(),
            self.denoiser.constant(),
            Constant("relaxation λ", self.relaxation, "covered range (0, 1)"),
        )
        if not 0 < self.relaxation < 1:
            reason = f"relaxation {self.relaxation:.6g} lies outside the proven range (0, 1)"
            self.refuse(f"{reason} of Douglas–Rachford; take one inside it")
            return unproven(reason, constants)
        if (missing := self.missing(gamma=self.gamma)) is not None:
            return missing
        held = self.denoiser.guarantee
        if not held.is_nonexpansive:
            return unproven(str(held).removeprefix("no guarantee: "), constants)
        source = (
            "Douglas–Rachford splitting: 2 prox − I is 1-Lipschitz, so is P∘N, and the "
            "relaxation by λ of their composition is λ-averaged (Lions & Mercier 1979; "
            "Bauschke & Combettes 2017, Prop. 4.40)"
        )
        smoothness = math.inf if self.smoothness is None else self.smoothness
        reflected = guarantees.reflection(self.gamma, self.convexity, smoothness)
        inner = guarantees.compose(held, reflected)
        relaxed = guarantees.relax(inner, self.relaxation)
        if inner.is_contraction:
            source += f"; {relaxed.source}"
        # The picture is prox_{γf}(z).
        return map_theorem(
            f"PnP-DRS: {CONVERGENCE}",
            replace(relaxed, source=source),
            constants,
            self.premises(norm=relaxed.is_contraction),
            picture=self.proximal().lipschitz or 1.0,
        )

    def step(self, state: Warm, iteration: int) -> Step[Warm]:
        found = self.prox(state, iteration)
        z, error = drs(lambda _: found, self.denoiser, state.z, self.relaxation)
        asked, moved = self.asked(state, iteration), norms(z - state.z)
        return Step(Warm(z, found[0], moved), error, tolerance=2 * self.relaxation * asked)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        exact = self.fidelity.exact_prox
        return None if exact else 2 * self.relaxation * inner_tolerance(z, iteration)

    @property
    def stride(self) -> float:
        """min(1, 2λ), from λ = ½ on, which is Douglas–Rachford.

        γ is no step: it weighs data against denoiser, and moves the fixed point.
        """
        return share(2 * self.relaxation)

    def image(self, state: Warm) -> Tensor:
        return self.prox(state)[0].clamp(0, 1)

    def picture_error(self, state: Warm) -> Tensor:
        if self.fidelity.exact_prox:
            return super().picture_error(state)
        return self.prox(state)[1]
