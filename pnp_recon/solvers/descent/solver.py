"""Descent to a critical point of an energy: any candidate counts for which H1 and H2 hold.

A step of the iteration x_k → x_{k+1} is a candidate (`candidates`), however it was found, that is
taken for those pictures of the batch where, in float64,

    H1  E(x_{k+1}) + a‖x_{k+1} − x_k‖² ≤ E(x_k),
    H2  ‖∇E(x_{k+1})‖ ≤ b‖x_{k+1} − x_k‖,

with an a and a b that are set before the run. Where they fail, plain forward-backward steps are
tried, each half as long as the one before, down to a floor. By Attouch, Bolte & Svaiter (2013,
Thm 2.9) the points then converge to a critical point, and their moves have a finite sum.

The picture is the point itself (`split` false), or x = z + ∇f(z)/λ: then z = prox_{f/λ}(x), and x
is a critical point of E ∘ prox_{f/λ}, the energy of what the data make of a picture: it is the
fixed point of half-quadratic splitting, x = D_σ(prox_{f/λ}(x)), D_σ = I − ∇R_σ, and suits energies
whose denoiser is the gradient step. Nothing is applied after the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.priors.energies.base import LearnedEnergy, believed
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.total import BoxTotal
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.solver import Solver, State, Step, norms
from pnp_recon.solvers.core.theorem import Theorem
from pnp_recon.solvers.descent.candidates import Search, advance, continuation
from pnp_recon.solvers.descent.differences import GradientOfEnergy
from pnp_recon.solvers.descent.objective import Facts, Objective, merged, without_data
from pnp_recon.solvers.descent.plane import Plane
from pnp_recon.solvers.descent.premises import descent_theorem
from pnp_recon.solvers.descent.trial import Trying
from pnp_recon.solvers.kept import kept_total, total_law
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.tuning import energy_choice

# Evaluations of the energy for a candidate.
CANDIDATE = 20
# a and b in units of λ; halvings of a plain step down to the floor.
FALL, SLOPE, HALVINGS = 1e-3, 64.0, 4
# ‖∇E‖/λ below which a point is at rest, in machine epsilons of its norm; and ‖∇E‖²/λ in those of
# E in float64.
REST = 32
# Steps of the continuation that is the start, and the level that it begins with.
LEVELS, HIGHEST = 8, 49 / 255
# The first trial of a strength takes every so many of them.
SPARSE = 2


@dataclass(frozen=True)
class Descending(State):
    """A point, what is known of it, and the search.

    Attributes:
        facts: what is known of z, in float64; None before the first step, as is the search for
            candidates.
        halvings: how many plain steps were tried.
        stalled: pictures (B,) for which no step was found that the theorem allows.
    """

    facts: Facts | None = None
    search: Search | None = None
    halvings: int = 0
    stalled: Tensor | None = None


@dataclass(frozen=True)
class Descent(Solver[Descending]):
    """Descent to a critical point of an energy by steps that are checked one by one.

    Attributes:
        objective: E.
        step_size: τ, the first step.
        start: (B, C, H, W).
        total: what the pictures explain of the data, on the objective's plane; None: nothing.
        continued: falling levels of the continuation, with weights in units of λ; () for none.
    """

    objective: Objective
    step_size: float
    start: Tensor
    continued: tuple[tuple[float, float], ...] = ()
    allow_uncertified: bool = False
    total: BoxTotal | None = None
    name = "descent"

    def __post_init__(self) -> None:
        self.objective.prior.check_fits(self.start)

    @classmethod
    def configure(cls, problem: Problem, prior: LearnedEnergy, knobs: Knobs) -> Self:
        noise, scale = problem.noise(), problem.scale
        choice = energy_choice(noise, scale, prior.sigma_range, prior.card, problem.evenness)
        level = choice.level
        if knobs.denoiser_level is not None:
            level, (low, high) = knobs.denoiser_level, prior.sigma_range
            if not low * (1 - 1e-6) <= level <= high * (1 + 1e-6):
                raise InputError(
                    f"energy {prior.name} serves levels σ·255 from {low * 255:g} to "
                    f"{high * 255:g}, found {level * 255:g} (denoiser_level)"
                )
        weight = knobs.strength * choice.weight(level)
        start = problem.first_guess()
        fidelity, total, plane = problem.data_term, None, None
        if knobs.keep_total:
            total, share = kept_total(problem), 1 / weight if prior.split else 0.0
            plane = Plane.of(total, fidelity, without_data(fidelity), share)
        objective = Objective(
            fidelity, prior, prior.in_double(), level, weight, weight, prior.split, plane
        )
        highest = HIGHEST if knobs.continuation is None else knobs.continuation
        top = max(min(highest, prior.sigma_range[1]), level)
        count = LEVELS if top > level else 0
        levels = [top * (level / top) ** (k / max(count - 1, 1)) for k in range(count)]
        continued = tuple((one, (level / one) ** 2) for one in levels)
        return cls(
            objective,
            1 / (weight * choice.curvature),
            start,
            continued,
            knobs.allow_uncertified,
            total,
        )

    @property
    def look_every(self) -> int:
        return 1

    @property
    def fall(self) -> float:
        """a of H1."""
        return FALL * self.objective.weight

    @property
    def slope(self) -> float:
        """b of H2."""
        return SLOPE * self.objective.weight

    def theorem(self) -> Theorem:
        return descent_theorem(
            self.objective, self.step_size, self.fall, self.slope, len(self.continued)
        )

    def examination(self) -> Examination | None:
        return GradientOfEnergy(self.objective)

    def init(self) -> Descending:
        start, plane = self._continued(self.continued), self.objective.plane
        return Descending(start if plane is None else plane.onto(start))

    def image(self, state: Descending) -> Tensor:
        if not self.objective.split:
            return state.z
        # Rounded once, and not in the parts of ∇f(z)/λ, which may be large and cancel.
        return self.objective.picture(state.z.double()).to(state.z)

    def picture_laws(self, state: Descending, picture: Tensor) -> tuple[Observation, ...]:
        plane = self.objective.plane
        if self.total is None or plane is None:
            return ()
        # What z was rounded to, the picture z + ∇f(z)/λ may magnify.
        carried = plane.rounding(state.z)
        return (total_law(self.total, self.objective.fidelity.A, picture, carried),)

    def examined(self, state: Descending) -> Tensor:
        return state.z

    def step(self, state: Descending, iteration: int) -> Step[Descending]:
        z, objective = state.z, self.objective
        facts = state.facts
        if facts is None and not believed(objective.exact):
            facts = objective.facts(z)
        # Of a start its energy is asked for, and its gradient only where a plain step is tried.
        energy = objective.value(z) if facts is None else facts.energy
        search = Search.begin(objective, z) if state.search is None else state.search
        found = advance(objective, search, CANDIDATE)
        if objective.plane is not None:  # rounding takes every step a little away from it
            found = replace(found, x=objective.plane.onto(found.x))
        new, seen, after, halvings = found.x, objective.facts(found.x), found, 0
        good = self._allowed(z, energy, new, seen)
        if not bool(good.all()):
            facts = objective.facts(z) if facts is None else facts
            new, seen, good, halvings = self._plain(z, facts, new, seen, good)
            after = replace(Search.begin(objective, new), calls=found.calls + halvings + 1)
        # At rest, to rounding, there is no step left to make.
        least = REST * torch.finfo(z.dtype).eps * objective.weight * norms(z).double()
        # Nor where E can fall no more than float64 shows: by about ‖∇E‖²/2λ at most.
        unseen = REST * torch.finfo(torch.float64).eps * objective.weight * seen.energy.abs()
        stalled = ~good & (seen.stationarity > torch.maximum(least, unseen.sqrt()))
        following = Descending(new, seen, after, state.halvings + halvings, stalled)
        rows = [seen.energy, energy - seen.energy, seen.stationarity, _moved(z, new)]
        return Step(
            following,
            z.new_zeros(len(z)),
            residual=(seen.stationarity / objective.weight).to(z.dtype),
            descent=torch.stack(rows),
        )

    def trial(self) -> Trying:
        """See `trial`."""
        step = 1 / self.objective.weight if self.objective.split else self.step_size
        sparse = self.continued[::-SPARSE][::-1]
        return Trying(replace(self.objective, plane=None), step, lambda: self._continued(sparse))

    def stalled(self, state: Descending) -> Tensor | None:
        return state.stalled

    def parameters(self, state: Descending | None = None) -> dict[str, float]:
        found = {
            "denoiser_level": self.objective.level,
            "lambda": self.objective.weight,
            "step": self.step_size,
            "penalty": self.objective.penalty,
            "continued": float(len(self.continued)),
        }
        if state is not None:
            calls = 0 if state.search is None else state.search.calls
            found["evaluations"] = float(calls + len(self.continued))
            found["halvings"] = float(state.halvings)
        return found

    # ---- inside ----------------------------------------------------------------------------------

    def _continued(self, levels: tuple[tuple[float, float], ...]) -> Tensor:
        """Where the continuation over these levels ends."""
        weight = self.objective.weight
        return (
            continuation(
                self.objective,
                self.start,
                [level for level, _ in levels],
                [share * weight for _, share in levels],
                self.step_size * weight,
            )
            if levels
            else self.start
        )

    def _allowed(self, z: Tensor, energy: Tensor, new: Tensor, seen: Facts) -> Tensor:
        """Where H1 and H2 hold for the step from z, where E is `energy`, to new, (B,)."""
        moved = _moved(z, new)
        falls = seen.energy + self.fall * moved.square() <= energy
        return falls & (seen.stationarity <= self.slope * moved)

    def _plain(
        self, z: Tensor, facts: Facts, new: Tensor, seen: Facts, good: Tensor
    ) -> tuple[Tensor, Facts, Tensor, int]:
        """Plain steps for the pictures whose candidate is none, which stay where they are if no
        step down to the floor is one."""
        forward, step, tries = facts.slope.to(z.dtype), self.step_size, 0
        while not bool(good.all()) and tries <= HALVINGS:
            tried = self.objective.backward(z - step * forward, step, z, 0.0)
            known = self.objective.facts(tried)
            better = self._allowed(z, facts.energy, tried, known) & ~good
            new, seen = merged(better, tried, new), _merged(better, known, seen)
            good, step, tries = good | better, step / 2, tries + 1
        return merged(good, new, z), _merged(good, seen, facts), good, tries


def _moved(z: Tensor, new: Tensor) -> Tensor:
    return norms(new.double() - z.double())


def _merged(chosen: Tensor, one: Facts, other: Facts) -> Facts:
    return Facts(
        torch.where(chosen, one.energy, other.energy),
        merged(chosen, one.slope, other.slope),
        torch.where(chosen, one.stationarity, other.stationarity),
    )
