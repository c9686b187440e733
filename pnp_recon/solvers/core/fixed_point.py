"""z ← T(z) for any function T with a declared guarantee: what the accelerations may wrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.theorem import AveragedMap, Basis, Premise, map_theorem


@dataclass(frozen=True)
class FixedPoint(Solver[State]):
    """The iteration of a map that has a fixed point.

    Attributes:
        function: T, from (B, ...) to (B, ...).
        guarantee: what is proven about T in the Euclidean norm.
        start: z₀ (B, ...).
        distance: proven bound on ‖z₀ − z*‖ for each picture, or None.
    """

    function: Callable[[Tensor], Tensor]
    guarantee: Guarantee
    start: Tensor
    distance: float | None = None
    name = "fixed-point"

    def theorem(self) -> AveragedMap:
        statement = (
            "the iterates converge to a fixed point, if T has one (Krasnosel'skii–Mann; Bauschke & "
            "Combettes 2017, Thm 5.15)"
        )
        premises = [Premise("T is averaged, as its guarantee says", Basis.DECLARED)]
        if not self.guarantee.is_contraction:
            premises.append(Premise("T has a fixed point", Basis.DECLARED))
        return map_theorem(statement, self.guarantee, (), tuple(premises))

    def init(self) -> State:
        return State(self.start)

    def step(self, state: State, iteration: int) -> Step[State]:
        z = self.function(state.z)
        return Step(State(z), z.new_zeros(z.shape[0]))

    def image(self, state: State) -> Tensor:
        return state.z

    def distance_bound(self, z: Tensor) -> Tensor | None:
        if self.distance is None or z is not self.start:
            return None
        return torch.full((z.shape[0],), self.distance, dtype=z.dtype, device=z.device)
