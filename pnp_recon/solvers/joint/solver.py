"""Descent on picture and kernel together: alternating steps that are checked pair by pair.

A step (x, k) → (x⁺, k⁺) is a candidate: accelerated projected gradients in k, then quasi-Newton
steps in x (`descent.candidates`). It is taken where, in float64 and for z = (x, s·k),

    H1  E(z⁺) + a‖z⁺ − z‖² ≤ E(z),
    H2  some w ∈ ∂E(z⁺) has ‖w‖ ≤ b‖z⁺ − z‖,

with an a and a b that are set before the run; w is the shortest subgradient. Else plain steps are
tried, each half as long as the one before: forward-backward in x, then in k, which is proximal
alternating linearised minimisation (Bolte, Sabach & Teboulle 2014). Whichever was taken, the pairs
converge to a critical point by Attouch, Bolte & Svaiter (2013, Thm 2.9).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from operators import Convolution
from operators.deadlines import expired
from pnp_recon.errors import InputError
from pnp_recon.fidelity import LeastSquares, WeightedLeastSquares
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.simplex import project_simplex
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.solver import Solver, State, Step, norms
from pnp_recon.solvers.core.theorem import Theorem
from pnp_recon.solvers.descent.candidates import Search, advance
from pnp_recon.solvers.descent.differences import GradientOfEnergy
from pnp_recon.solvers.descent.solver import CANDIDATE, FALL, HALVINGS, REST, SLOPE, Descent
from pnp_recon.solvers.descent.trial import Trying
from pnp_recon.solvers.joint.differences import JointGradients
from pnp_recon.solvers.joint.kernel import minimised, projected_step
from pnp_recon.solvers.joint.objective import Facts, JointObjective
from pnp_recon.solvers.joint.premises import joint_theorem
from pnp_recon.solvers.knobs import Knobs

# Projected gradients in k for a candidate.
KERNEL_STEPS = 40
# Steps of the descent in x alone that is the start.
ALONE = 6


@dataclass(frozen=True)
class Pair(State):
    """z = (x, s·k), what is known of it, and the search in x.

    Attributes:
        facts: in float64; None before the first step.
        search: its memory goes on from step to step.
        halvings: how many plain steps were tried.
        stalled: (1,), no step was found that the theorem allows; None: not yet asked.
    """

    facts: Facts | None = None
    search: Search | None = None
    halvings: int = 0
    stalled: Tensor | None = None


@dataclass(frozen=True)
class JointDescent(Solver[Pair]):
    """Alternating descent in a picture and its blur kernel.

    Attributes:
        joint: E.
        alone: descent in x with k₀, a few steps of which are the start.
    """

    joint: JointObjective
    alone: Descent
    name = "joint-descent"

    @classmethod
    def configure(cls, problem: Problem, prior: LearnedEnergy, knobs: Knobs) -> Self:
        """As `Descent`; the kernel of the operator is where k starts.

        Raises:
            InputError: the operator is no convolution with a non-negative kernel, the fidelity no
                least squares, or there are several pictures.
        """
        alone = Descent.configure(problem, prior, knobs)
        objective, A = alone.objective, problem.A
        if not (isinstance(A, Convolution) and A.nonnegative):
            raise InputError(
                f"{cls.name} restores a blur kernel without negative weights with the picture; "
                f"the operator is '{A.name}'; take the solver descent"
            )
        if not isinstance(objective.fidelity, LeastSquares | WeightedLeastSquares):
            raise InputError(
                f"{cls.name} measures misfit by least squares, found {objective.fidelity.name}; "
                "take the solver descent"
            )
        if len(problem.y) != 1:
            raise InputError(
                f"{cls.name} takes one picture with its kernel, found {len(problem.y)}; give one "
                "at a time"
            )
        kernel = project_simplex(A.kernel.to(problem.y.device, torch.float64))
        joint = JointObjective(objective, kernel, 1.0)
        curvature = joint.of(alone.start).lipschitz / objective.weight
        return cls(replace(joint, unit=2.0 ** round(math.log2(curvature) / 2)), alone)

    @property
    def look_every(self) -> int:
        return 1

    @property
    def fall(self) -> float:
        """a of H1."""
        return FALL * self.joint.objective.weight

    @property
    def slope(self) -> float:
        """b of H2: a step in one part changes the gradient in the other by ‖A‖√λ at most, about."""
        held = self.joint.objective
        return SLOPE * math.sqrt(held.weight * (held.weight + held.fidelity.loss_lipschitz))

    def theorem(self) -> Theorem:
        return joint_theorem(self.joint, self.alone.step_size, self.fall, self.slope)

    def examination(self) -> Examination | None:
        return JointGradients(self.joint, GradientOfEnergy(self.joint.objective))

    def init(self) -> Pair:
        state = self.alone.init()
        for step in range(ALONE):
            if expired():
                break
            state = self.alone.step(state, step).state
        return Pair(self.joint.joined(state.z, self.joint.kernel))

    def image(self, state: Pair) -> Tensor:
        x, k = self.joint.parted(state.z)
        objective = self.joint.at(k)
        return objective.picture(x) if objective.split else x

    def found(self, state: Pair) -> dict[str, Tensor]:
        """The kernel (kh, kw), float64."""
        return {"kernel": self.joint.parted(state.z)[1]}

    def step(self, state: Pair, iteration: int) -> Step[Pair]:
        z, joint = state.z, self.joint
        x, k = joint.parted(z)
        facts = joint.facts(x, k) if state.facts is None else state.facts
        new_k = minimised(joint.of(x), k.to(x), KERNEL_STEPS).double()
        new_k = new_k / new_k.sum()
        objective = joint.at(new_k)
        search = Search.begin(objective, x)
        if state.search is not None:
            search = replace(search, pairs=state.search.pairs, calls=state.search.calls + 1)
        search = advance(objective, search, CANDIDATE)
        new, halvings = joint.joined(search.x, new_k), 0
        seen = joint.facts(search.x, new_k)
        good = self._allowed(z, facts, new, seen)
        if not good:
            new, seen, good, halvings = self._plain(z, facts)
            search = replace(search, pairs=())
        weight = joint.objective.weight
        size = torch.hypot(seen.for_picture, seen.for_kernel / joint.unit)
        least = REST * torch.finfo(x.dtype).eps * weight * norms(z)
        unseen = REST * torch.finfo(torch.float64).eps * weight * seen.energy.abs()
        stalled = torch.tensor([not good]).to(z.device) & (
            size > torch.maximum(least, unseen.sqrt())
        )
        rows = [seen.energy, facts.energy - seen.energy, size, norms(new - z)]
        return Step(
            Pair(new, seen, search, state.halvings + halvings, stalled),
            z.new_zeros(1),
            residual=self._residual(new, seen),
            descent=torch.stack(rows),
        )

    def trial(self) -> Trying:
        """Descent in x alone: a strength is chosen for k₀."""
        return self.alone.trial()

    def stalled(self, state: Pair) -> Tensor | None:
        return state.stalled

    def parameters(self, state: Pair | None = None) -> dict[str, float]:
        held = self.joint.objective
        found = {
            "denoiser_level": held.level,
            "lambda": held.weight,
            "step": self.alone.step_size,
            "penalty": held.penalty,
            "unit": self.joint.unit,
        }
        if state is not None:
            calls = 0 if state.search is None else state.search.calls
            found |= {"evaluations": float(calls), "halvings": float(state.halvings)}
            moved = self.joint.parted(state.z)[1] - self.joint.kernel
            found["kernel_change"] = float(moved.norm() / self.joint.kernel.norm())
        return found

    # ---- inside ----------------------------------------------------------------------------------

    @cached_property
    def _curvature(self) -> float:
        return self.joint.unit**2 * self.joint.objective.weight

    def _residual(self, z: Tensor, facts: Facts) -> Tensor:
        """Relative to ‖z‖ it is the larger of both parts: each gradient by its curvature, relative
        to the part, so that neither hides behind the other."""
        x, k = self.joint.parted(z)
        weight = self.joint.objective.weight
        of_picture = facts.for_picture / (weight * norms(x).double().clamp_min(1e-30))
        of_kernel = facts.for_kernel / (self._curvature * k.norm())
        return norms(z) * torch.maximum(of_picture, of_kernel)

    def _allowed(self, z: Tensor, facts: Facts, new: Tensor, seen: Facts) -> bool:
        """Do H1 and H2 hold for the step from z to new?"""
        moved = norms(new - z)
        falls = seen.energy + self.fall * moved.square() <= facts.energy
        size = torch.hypot(seen.for_picture, seen.for_kernel / self.joint.unit)
        return bool(falls & (size <= self.slope * moved))

    def _plain(self, z: Tensor, facts: Facts) -> tuple[Tensor, Facts, bool, int]:
        """Steps of PALM, shorter and shorter; z itself if none down to the floor is allowed."""
        joint, share = self.joint, 1.0
        x, k = joint.parted(z)
        objective = joint.at(k)
        for tries in range(HALVINGS + 1):
            step = share * self.alone.step_size
            new_x = objective.backward(x - step * facts.slope.to(x), step, x, 0.0)
            term = joint.of(new_x.double())
            new_k = projected_step(term, k, share / term.lipschitz)
            seen, new = joint.facts(new_x, new_k), joint.joined(new_x, new_k)
            if self._allowed(z, facts, new, seen):
                return new, seen, True, tries + 1
            share /= 2
        return z, facts, False, HALVINGS + 1
