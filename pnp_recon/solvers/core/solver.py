"""What an iteration is: a state, a step, and a solver that says which theorem covers it.

A solver says which theorem is about it (`theorem`, asked before the first iteration), where it
starts (`init`), what a step is (`step`) and which picture belongs to a state (`image`). All that a
run remembers is in its state: a solver has none, and one solver can run twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor

from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.gap import Gap
from pnp_recon.solvers.core.theorem import Theorem
from pnp_recon.solvers.knobs import Knobs


@dataclass(frozen=True)
class State:
    """Where a run is. What else a method remembers (warm starts, momentum) a subclass adds.

    Attributes:
        z: what the theorem is about (B, ...): a picture, or whatever the method keeps.
    """

    z: Tensor


S = TypeVar("S", bound=State)


@dataclass(frozen=True)
class Step(Generic[S]):
    """One iteration.

    Attributes:
        state: the next one.
        error: proven bound (B,) on the distance of its z to what exact arithmetic would give.
        residual: (B,), what tends to zero at a solution; None: ‖z_{k+1} − z_k‖.
        ratio: (B,), left over right side of an inequality that the theorem implies for this step,
            rounding allowed for; `Laws.step` names it. Or None.
        tolerance: (B,), what was asked of `error`; None: what `Solver.error_tolerance` says.
        descent: (4, B) in float64, where an energy is descended: E(z_{k+1}), by how much it fell,
            ‖∇E(z_{k+1})‖, ‖z_{k+1} − z_k‖; else None.
    """

    state: S
    error: Tensor
    residual: Tensor | None = None
    ratio: Tensor | None = None
    tolerance: Tensor | None = None
    descent: Tensor | None = None

    @property
    def z(self) -> Tensor:
        return self.state.z


class Solver(ABC, Generic[S]):
    """An iteration; mostly z ← T(z) for a map T that a theorem is about."""

    name: str
    # Steps of the first trial of a strength and of later ones; None: until what it measures rests.
    trial_steps: ClassVar[tuple[int, int] | None] = None

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """The solver of a problem with a prior: what the knobs leave open is automatic.

        Args:
            problem: with a start.
            prior: its kind is one that the catalogue's entry names; None for solvers without.
            knobs: what the caller has set.

        Raises:
            InputError: what does not fit together.
        """
        raise NotImplementedError(f"{cls.__name__} is not made from a problem")

    @abstractmethod
    def theorem(self) -> Theorem:
        """What covers the run; raises StepSizeError where parameters leave its range."""

    @abstractmethod
    def init(self) -> S:
        """The start of a run."""

    @abstractmethod
    def step(self, state: S, iteration: int) -> Step[S]:
        """One iteration. The state that it is given is spent: its buffers may be used again."""

    @abstractmethod
    def image(self, state: S) -> Tensor:
        """The picture (B, C, H, W) that belongs to a state, which it leaves as it is."""

    def found(self, state: S) -> Mapping[str, Tensor]:
        """What belongs to a state besides the picture, by name, such as a kernel."""
        return {}

    def at(self, state: S, z: Tensor) -> S:
        """The state moved to z from outside, as accelerations do."""
        return state if z is state.z else replace(state, z=z)

    def resumed(self, z: Tensor) -> S:
        """The state in which another strength's trial left z, or a new one if it does not fit."""
        state = self.init()
        return self.at(state, z) if z.shape == state.z.shape else state

    def norm(self, z: Tensor) -> Tensor:
        """The norm (B,) that the theorem is about."""
        return norms(z)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Proven bound (B,) on ‖z − z*‖ for every fixed point z*, or None."""
        return None

    @property
    def stride(self) -> float:
        """The step as a share of the natural one, in (0, 1].

        Residuals are divided by it before they are compared with the tolerance: a short step
        must not pass for a small residual.
        """
        return 1.0

    @property
    def depth(self) -> int | None:
        """The steps after which it is done, however far they moved; None: it iterates."""
        return None

    @property
    def rounding_gain(self) -> float:
        """By how much a step multiplies the rounding of its precision, at least 1."""
        return 1.0

    def picture_error(self, state: S) -> Tensor:
        """Proven bound (B,) on the error with which `image` computes the picture of its point."""
        return state.z.new_zeros(state.z.shape[0])

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        """What the error of a step may be for errors to stay summable; None: steps are exact."""
        return None

    def gap(self, state: S) -> Gap | None:
        """What duality says of how far the objective of `image(state)` lies above its minimum, or
        None."""
        return None

    def picture_laws(self, state: S, picture: Tensor) -> tuple[Observation, ...]:
        """What the theorem implies for the picture that is returned, that of the state."""
        return ()

    def examination(self) -> Examination | None:
        """A search for what contradicts a declared premise of the theorem; None: none is open."""
        return None

    def examined(self, state: S) -> Tensor:
        """Where that search looks: a picture (B, C, H, W) near which the run calls the prior."""
        return state.z

    def trial(self) -> Solver[Any]:
        """The iteration as trials of a strength run it, where a whole one would cost too much."""
        return self

    def stalled(self, state: S) -> Tensor | None:
        """Pictures (B,) for which no step could be made that the theorem allows: they cannot go on,
        and are no solutions. None: every step was one."""
        return None

    def turned(self, state: S) -> Tensor | None:
        """Pictures (B,) that further steps are expected to make worse, and whose `image` is the one
        before; the run ends when all are. None: nothing is expected."""
        return None

    @property
    def look_every(self) -> int | None:
        """Steps between two looks of the loop, where they are long ones; None: as it likes."""
        return None

    def parameters(self, state: S | None = None) -> dict[str, float]:
        """The solver's numbers, for the report; with a state, also what the run counted."""
        return {}


def share(*factors: float) -> float:
    """A `Solver.stride`: the product of what each factor lies below 1.

    One that is no positive number, in a run outside every theorem, counts as 1.
    """
    found = 1.0
    for factor in factors:
        found *= factor if 0 < factor < 1 else 1.0
    return max(found, 1e-30)


def norms(z: Tensor) -> Tensor:
    """Euclidean norm of every picture of the batch: (B,)."""
    return torch.linalg.vector_norm(z.flatten(1), dim=1)
