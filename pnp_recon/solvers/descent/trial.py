"""Descent as trials of a strength run it: a few steps from a start, nothing checked.

A trial asks how well a strength fits the data, on y and on y + εb side by side. Plain steps treat
both alike, so that what they lack of the limit cancels in the difference; a search that follows
each picture by itself would not. The first trial begins with a continuation, as the start decides
what is found; the next ones go on where the nearest strength ended. Nothing that comes out of a
trial is certified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pnp_recon.solvers.core.solver import Solver, State, Step, norms
from pnp_recon.solvers.core.theorem import Theorem, unproven
from pnp_recon.solvers.descent.objective import Objective


@dataclass(frozen=True)
class Trying(Solver[State]):
    """Plain forward-backward steps of size `step_size` from what `begin` returns."""

    objective: Objective
    step_size: float
    begin: Callable[[], Tensor]
    name = "descent"
    trial_steps = (4, 2)

    def theorem(self) -> Theorem:
        return unproven("a trial of a strength checks nothing")

    def init(self) -> State:
        return State(self.begin())

    def resumed(self, z: Tensor) -> State:
        return State(z)

    def step(self, state: State, iteration: int) -> Step[State]:
        z, objective = state.z, self.objective
        forward = z - self.step_size * objective.slope(z)
        moved = objective.backward(forward, self.step_size, z, 1e-4 * norms(z))
        return Step(State(moved), z.new_zeros(len(z)))

    def image(self, state: State) -> Tensor:
        """At a limit this is `Objective.picture`; before it, it is nearer to it."""
        z, objective = state.z, self.objective
        return z - objective.slope(z) / objective.weight if objective.split else z
