"""Nesterov's momentum around any averaged map, safeguarded or without a theorem.

    w = T z_k + (t_k − 1)/t_{k+1} · (T z_k − T z_{k−1}),        t_{k+1} = (1 + (1 + 4t_k²)^½)/2

(Nesterov 1983; Beck & Teboulle 2009, FISTA, where T is a proximal gradient step), with t back at 1
when the residual grew (after O'Donoghue & Candès 2015). FISTA's own proof needs the objective that
T descends. A learned denoiser has none, so that plain momentum has no convergence theorem; as a
candidate that `Safeguard` admits it leaves the theorem of T standing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from operators.conjugate_gradient import per_image
from pnp_recon import guarantees
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.acceleration.safeguard import DEVIATION_FACTOR, Safeguard, safeguarded
from pnp_recon.solvers.acceleration.wrapped import Around, Wrapped
from pnp_recon.solvers.core.solver import Step
from pnp_recon.solvers.core.theorem import PerturbedMap, Theorem
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.iterations import PnPPGD

# τL of the plug-and-play FISTA where no step is given.
MOMENTUM_STEP = 0.99


@dataclass(frozen=True, kw_only=True)
class Moving(Around):
    """What a run remembers of its last step: T z, the norm of its residual, t, the safeguard."""

    safeguard: Safeguard
    residual: Tensor
    t: Tensor


@dataclass(frozen=True, eq=False)
class Nesterov(Wrapped[Around]):
    """Momentum around `inner`; without `guarded` the theorem says that there is none.

    Attributes:
        inner: a solver z ← T(z) whose theorem says that T is averaged.
        guarded: admit momentum through the safeguard only.
        factor: C of the safeguard.
    """

    label = "nesterov"
    pace = 2

    guarded: bool = True
    factor: float = DEVIATION_FACTOR

    def theorem(self) -> Theorem:
        held = self.inner_theorem()
        if self.guarded:
            return safeguarded("Nesterov's momentum", held, self.factor)
        reason = "momentum without the objective of a descent method has no convergence theorem"
        return PerturbedMap("", guarantees.none(reason), held.constants)

    def init(self) -> Around:
        return Around(**self.beginning())

    def step(self, state: Around, iteration: int) -> Step[Around]:
        found = self.evaluate(state, iteration)
        image, residual = found.image, found.residual
        if isinstance(state, Moving):
            assert state.shown is not None
            t = torch.where(residual > state.residual, 1.0, state.t)
            after = (1 + (1 + 4 * t.square()).sqrt()) / 2
            chosen = image + per_image((t - 1) / after, image) * (image - state.shown)
            safeguard = state.safeguard
            if self.guarded:
                chosen, safeguard = safeguard.choose(chosen, image, t > 1)
        else:
            safeguard = Safeguard.begin(residual, self.norm, self.factor)
            chosen, after = image, torch.ones_like(residual)
        moved = Moving(
            z=chosen,
            inner=found.inner,
            pair=found.pair,
            shown=image,
            safeguard=safeguard,
            residual=residual,
            t=after,
        )
        return Step(moved, found.error, residual, found.ratio, found.tolerance)

    def parameters(self, state: Around | None = None) -> dict[str, float]:
        """Counts are means over the pictures of the batch."""
        found = super().parameters(state)
        if self.guarded and isinstance(state, Moving):
            found |= state.safeguard.counts()
        return found


@dataclass(frozen=True, eq=False)
class PnPFISTA(Nesterov):
    """PnP-PGD with safeguarded momentum."""

    inner: PnPPGD
    name = "pnp-fista"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """The step is 0.99/L where it is open: with the longer one of PnP-PGD momentum swings."""
        if knobs.step is None:
            knobs = replace(knobs, step=MOMENTUM_STEP / problem.scale**2)
        return cls(PnPPGD.configure(problem, prior, knobs))
