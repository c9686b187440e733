"""The alternating direction method of multipliers for min f(x) + g(x), by proximal maps alone.

x = prox_{γf}(v − w), x̂ = ρx + (1 − ρ)v, v ← prox_{γg}(x̂ + w), w ← w + x̂ − v: with
s = v + w this is Douglas–Rachford on s, g before f (Eckstein & Bertsekas 1992, §5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pnp_recon.solvers.convex.splitting import Reflected, Split
from pnp_recon.solvers.core.solver import Step, norms


@dataclass(frozen=True)
class Multipliers(Split):
    """The state of ADMM; `owed` is the error bound (B,) of its v, None where v is not yet
    prox_{γg}(v + w): at the start, and for a z from outside."""

    owed: Tensor | None = None


@dataclass(frozen=True)
class ADMM(Reflected[Multipliers]):
    """The alternating direction method of multipliers, scaled; z = (v, w), (B, 2, C, H, W).

    The norm of the laws is ‖v + w‖. A step moves s = v + w by ρ(x − v), and x − v is the primal
    residual x − v⁺ plus γ times the dual one, (v⁺ − v)/γ (Boyd et al. 2011, §3.3); with ρ = 1 the
    squares of the two add up to at most the square of its norm in the step after.
    """

    name = "admm"

    def init(self) -> Multipliers:
        # The first step finds v again, to the tolerance that belongs to it.
        return Multipliers(self._split(self.first(), 0, None, None).z)

    def at(self, state: Multipliers, z: Tensor) -> Multipliers:
        return state if z is state.z else replace(state, z=z, owed=None)

    def step(self, state: Multipliers, iteration: int) -> Step[Multipliers]:
        if state.owed is None:  # T is a function of v + w
            state = self._split(state.z.sum(1), iteration, state.data, state.prior)
        assert state.owed is not None
        v, w = state.z.unbind(1)
        x, error = self._data(v - w, iteration, state.data)
        s = w + v + self.relaxation * (x - v)
        # s⁺ − s = ρ(x − v): with v off by e, x − v moves by at most e, as in `DouglasRachford`.
        error = self.relaxation * (error + state.owed)
        return Step(self._split(s, iteration + 1, x, state.prior), error)

    def _split(self, s: Tensor, iteration: int, data: Tensor | None, memory: Any) -> Multipliers:
        """The state of s: v = prox_{γg}(s) and w = s − v."""
        v, error, memory = self._prior(s, iteration, memory)
        return Multipliers(torch.stack((v, s - v), 1), data, memory, error)

    def norm(self, z: Tensor) -> Tensor:
        return norms(z.sum(1))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = self._tolerance(z[:, 0], iteration)
        return None if found is None else self.relaxation * found

    def image(self, state: Multipliers) -> Tensor:
        return state.z[:, 0]

    def picture_error(self, state: Multipliers) -> Tensor:
        return super().picture_error(state) if state.owed is None else state.owed

    def _picture_constant(self) -> float:
        return self.regulariser.guarantee_of(self.gamma).lipschitz or 1.0

    def _lift(self, start: Tensor) -> Tensor:
        return torch.stack((start, torch.zeros_like(start)), 1)
