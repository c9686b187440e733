"""Iterations wrapped around a solver z ← T(z) whose theorem says T is nonexpansive or averaged.

* Krasnosel'skii–Mann  z_{k+1} = z_k + λ(T z_k − z_k), 0 < λ < 1/α.
* Halpern  z_{k+1} = z_0/(k+2) + (k+1)/(k+2)·R z_k, R = I + (T − I)/α: nonexpansive, with the fixed
  points of T.

Fixed points, norm, picture and inner errors are those of the wrapped solver. The residual of a
step is ‖T z_k − z_k‖, and a run ends when it, plus the error with which T was evaluated, is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.solvers.acceleration.safeguard import Pair, pair_law
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.theorem import AnchoredMap, Constant, RelaxedMap, Theorem


@dataclass(frozen=True, kw_only=True)
class Around(State):
    """z, and what the iteration around a solver remembers.

    Attributes:
        inner: the state that the wrapped solver's last step left.
        pair: the last evaluation of T, where T is known to be nonexpansive.
        shown: T z_k, whose picture is that of the state; None: z's own.
    """

    inner: State
    pair: Pair | None
    shown: Tensor | None = None


A = TypeVar("A", bound=Around)


@dataclass(frozen=True)
class Evaluation:
    """T at z: T z, its error (B,) and what was asked of it, T z − z, the norm of that,
    and the ratio of `pair_law`."""

    image: Tensor
    error: Tensor
    tolerance: Tensor | None
    difference: Tensor
    residual: Tensor
    ratio: Tensor | None
    inner: State
    pair: Pair | None


@dataclass(frozen=True, eq=False)
class Wrapped(Solver[A], Generic[A]):
    """What the iterations around an `inner` solver share.

    The picture of the state that a step returned is that of the last T z_k: its own residual is
    at most the one that was measured, because T is nonexpansive.

    Raises:
        InputError: `inner` is no iteration z ← T(z) of one map (conjugate gradients, momentum).
    """

    label: ClassVar[str]
    # How many plain steps one step is worth: inner tolerances, which fall like 1/k², follow.
    pace: ClassVar[int] = 1

    inner: Solver[Any]

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.inner.name}+{self.label}"

    def inner_theorem(self) -> Theorem:
        """What is proven about T."""
        held = self.inner.theorem()
        if not held.iterates_map:
            raise InputError(
                f"{self.label} accelerates an iteration z ← T(z) of one map, and {self.inner.name} "
                "is none; take acceleration none (--acceleration none)"
            )
        return held

    def beginning(self) -> dict[str, Any]:
        """The fields of `Around` at the start of a run."""
        held = self.inner_theorem().guarantee
        inner = self.inner.init()
        pair = None
        if held.averagedness is not None:
            constant = 1.0 if held.lipschitz is None else held.lipschitz
            gain = self.inner.rounding_gain
            pair = Pair(held.averagedness, self.inner.norm, constant=constant, gain=gain)
        return {"z": inner.z, "inner": inner, "pair": pair}

    def evaluate(self, state: A, iteration: int) -> Evaluation:
        """T at the state's z."""
        z = state.z
        found = self.inner.step(self.inner.at(state.inner, z), self.pace * (iteration + 1) - 1)
        difference = found.z - z
        ratio, pair = None, state.pair
        if pair is not None:
            ratio, pair = pair.ratio(z, found.z, found.error)
        residual = self.norm(difference)
        return Evaluation(
            found.z, found.error, found.tolerance, difference, residual, ratio, found.state, pair
        )

    def at(self, state: A, z: Tensor) -> A:
        return state if z is state.z else replace(state, z=z, shown=None)

    def image(self, state: A) -> Tensor:
        shown = state.z if state.shown is None else state.shown
        return self.inner.image(self.inner.at(state.inner, shown))

    def norm(self, z: Tensor) -> Tensor:
        return self.inner.norm(z)

    @property
    def stride(self) -> float:
        """The stride of T, whose residuals these are."""
        return self.inner.stride

    @property
    def rounding_gain(self) -> float:
        return self.inner.rounding_gain

    def picture_error(self, state: A) -> Tensor:
        shown = state.z if state.shown is None else state.shown
        return self.inner.picture_error(self.inner.at(state.inner, shown))

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.inner.distance_bound(z)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return self.inner.error_tolerance(z, self.pace * (iteration + 1) - 1)

    def picture_laws(self, state: A, picture: Tensor) -> tuple[Observation, ...]:
        shown = state.z if state.shown is None else state.shown
        return self.inner.picture_laws(self.inner.at(state.inner, shown), picture)

    def examination(self) -> Examination | None:
        return self.inner.examination()

    def examined(self, state: A) -> Tensor:
        return self.inner.examined(state.inner)

    def parameters(self, state: A | None = None) -> dict[str, float]:
        return self.inner.parameters(None if state is None else state.inner)


@dataclass(frozen=True, eq=False)
class KrasnoselskiiMann(Wrapped[Around]):
    """z ← z + λ(T z − z), 0 < λ < 1/α: averaged with λα, with the fixed points of T.

    λ > 1 is over-relaxation; λ < 1 makes the iteration of a merely nonexpansive T converge.

    Raises:
        StepSizeError: λ outside (0, 1/α).
    """

    label = "km"

    relaxation: float = 1.0

    def theorem(self) -> Theorem:
        held = self.inner_theorem()
        weight = self.relaxation
        if not 0 < weight < math.inf:
            raise StepSizeError(f"relaxation {weight:.6g} is not a positive number; take one")
        alpha = held.guarantee.averagedness
        if alpha is None:
            return held
        if weight * alpha >= 1:
            raise StepSizeError(
                f"relaxation {weight:.6g} lies outside the proven range (0, 1/α) = "
                f"(0, {1 / alpha:.6g}) of a map that is {held.guarantee}; take one inside it"
            )
        statement = (
            f"Krasnosel'skii–Mann iteration with λ = {weight:.6g}: the iterates converge to a "
            "fixed point (Bauschke & Combettes 2017, Thm 5.15; rate: Lieder 2018, Thm 4.9); T and "
            f"its fixed points: {held.statement}"
        )
        constant = Constant(
            "relaxation λ", weight, f"covered range (0, 1/α) = (0, {1 / alpha:.6g})"
        )
        relaxed = guarantees.relax(held.guarantee, weight)
        constants = (*held.constants, constant)
        bar = held.error_bar
        return RelaxedMap(
            statement,
            relaxed,
            constants,
            held.premises,
            pair_law(held),
            # The picture is that of z + λ(T z − z).
            None if bar is None else bar.moved_by(relaxed.lipschitz),
            relaxation=weight,
        )

    def init(self) -> Around:
        return Around(**self.beginning())

    def step(self, state: Around, iteration: int) -> Step[Around]:
        found = self.evaluate(state, iteration)
        z = state.z + self.relaxation * found.difference
        moved = Around(z=z, inner=found.inner, pair=found.pair)
        factor, asked = max(self.relaxation, 1.0), found.tolerance
        asked = None if asked is None else factor * asked
        return Step(moved, factor * found.error, found.residual, found.ratio, asked)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = super().error_tolerance(z, iteration)
        return None if found is None else max(self.relaxation, 1.0) * found

    def parameters(self, state: Around | None = None) -> dict[str, float]:
        return {**super().parameters(state), "km_relaxation": self.relaxation}


@dataclass(frozen=True, kw_only=True)
class Anchored(Around):
    """The state of Halpern's iteration; `anchor` is z_0."""

    anchor: Tensor


@dataclass(frozen=True, eq=False)
class Halpern(Wrapped[Anchored]):
    """z_{k+1} = z_0/(k+2) + (k+1)/(k+2)·R z_k, R = I + (T − I)/α (Halpern 1967).

    T need only be nonexpansive (α = 1, R = T). The iterates converge to the fixed point nearest
    to z_0 (Wittmann 1992; Bauschke & Combettes 2017, Thm 30.1), and ‖z_k − R z_k‖ ≤ 2‖z_0−z*‖/(k+1)
    (Sabach & Shtern 2017; Lieder 2021: tight), so that ‖z_k − T z_k‖ ≤ 2α‖z_0−z*‖/(k+1); for
    α = ½ this is the rate of Kim 2021.

    Errors e_j of R move z_k by at most Σ_{j<k} (j+1)e_j/(k+1), by induction. Where Σ e_j is finite
    this tends to zero (Kronecker's lemma): the limit stays the same.
    """

    label = "halpern"

    def theorem(self) -> Theorem:
        held = self.inner_theorem()
        if not held.guarantee.is_nonexpansive:
            return AnchoredMap(held.statement, held.guarantee, held.constants, held.premises)
        statement = (
            "Halpern iteration: the iterates converge to the fixed point nearest to z_0 (Wittmann "
            "1992; Bauschke & Combettes 2017, Thm 30.1) with ‖z_k − T z_k‖ ≤ 2α‖z_0 − z*‖/(k+1) "
            f"(Lieder 2021); T and its fixed points: {held.statement}"
        )
        return AnchoredMap(
            statement, held.guarantee, held.constants, held.premises, pair_law(held), held.error_bar
        )

    @property
    def averagedness(self) -> float:
        """α of T; 1 where it is only nonexpansive, or nothing is known."""
        return self.inner_theorem().guarantee.averagedness or 1.0

    def init(self) -> Anchored:
        fields = self.beginning()
        return Anchored(**fields, anchor=fields["z"])

    def step(self, state: Anchored, iteration: int) -> Step[Anchored]:
        found = self.evaluate(state, iteration)
        alpha = 1.0 if state.pair is None else state.pair.alpha
        weight = (iteration + 1) / (iteration + 2)
        z = (1 - weight) * state.anchor + weight * (state.z + found.difference / alpha)
        moved = Anchored(
            z=z, inner=found.inner, pair=found.pair, shown=found.image, anchor=state.anchor
        )
        asked = None if found.tolerance is None else found.tolerance / alpha
        return Step(moved, found.error / alpha, found.residual, found.ratio, asked)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        found = super().error_tolerance(z, iteration)
        return None if found is None else found / self.averagedness
