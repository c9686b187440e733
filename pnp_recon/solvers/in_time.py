"""Landweber and SIRT, ended before noise adds more error than a step removes.

With r = y − A x_k and y = A x* + n the next step x_k + τCAᵀRr changes ½‖x − x*‖², in the norm of
C⁻¹, by exactly

    −τ(⟨r, Rr⟩ − ⟨n, Rr⟩ − ½τ⟨CAᵀRr, AᵀRr⟩),

a box can only make it smaller. All of it but ⟨n, Rr⟩ is known, and that has the expectation
σ²(tr R − tr(R A ∂x_k/∂y)) for white Gaussian noise (Stein 1981); the trace is measured with one
vector of signs that is iterated along. For small steps this is dJ/dT = ⟨p(T), f(z(T))⟩ = 0, the
condition of an optimal stopping time (Effland, Kobler, Kunisch & Pock 2020), without the truth
that p(T) = x(T) − x* asks for. Proofs and measurements: docs/control.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from operators.conjugate_gradient import image_dots, per_image
from pnp_recon.errors import InputError
from pnp_recon.problems.noise import standard_normal
from pnp_recon.problems.numbers import checked_number
from pnp_recon.solvers.classical import SIRT, Landweber
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.theorem import Theorem

# The numbers of the signs, which are the same in every run.
SEED = 20


@dataclass(frozen=True, kw_only=True)
class Watched(State):
    """z and what the rule knows of it.

    Attributes:
        tangent: (∂z/∂y)ε for the signs ε.
        kept: the picture that is returned: z, or the one before the first step that was not worth
            making.
        turned: pictures (B,) for which there was such a step.
        worth: steps (B,) before it.
    """

    tangent: Tensor
    kept: Tensor
    turned: Tensor
    worth: Tensor


@dataclass(frozen=True, eq=False)
class InTime(Solver[Watched]):
    """An `inner` iteration whose picture is the one before the first step not worth making.

    That a step is worth making is estimated without bias at every k that is fixed beforehand; the
    first k at which the estimate has another sign is a rule without a theorem. The theorem of the
    run is that of the inner iteration. A step costs two.

    Attributes:
        inner: with a start that was not made of y.
        noise_level: σ of white Gaussian noise in y.

    Raises:
        InputError: the iteration is another one, or the level is no number of at least 0.
    """

    inner: Landweber | SIRT
    noise_level: float

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Landweber | SIRT):
            raise InputError(
                "to stop where the error is least is known of landweber and sirt alone; found "
                f"{getattr(self.inner, 'name', self.inner)}; take one of them, or least_error=False"
            )
        checked_number("noise_level", self.noise_level, least=0.0)

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    def theorem(self) -> Theorem:
        return self.inner.theorem()

    def init(self) -> Watched:
        z = self.inner.init().z
        none = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        return Watched(
            z=z, tangent=torch.zeros_like(z), kept=z, turned=none, worth=none.to(torch.int64)
        )

    def step(self, state: Watched, iteration: int) -> Step[Watched]:
        gain, move, turn = self._looked_at(state.z, state.tangent)
        turned = state.turned | (gain <= 0)
        z, tangent = state.z + move, state.tangent + turn
        if (box := self.inner.box) is not None:
            tangent = tangent * ((z > box[0]) & (z < box[1]))
            z = z.clamp(*box) + (z - z)
        after = Watched(
            z=z,
            tangent=tangent,
            kept=torch.where(per_image(turned, z), state.kept, z),
            turned=turned,
            worth=state.worth + ~turned,
        )
        return Step(after, z.new_zeros(len(z)))

    def gain(self, state: Watched) -> Tensor:
        """Estimate (B,) of how much ½‖x − x*‖² falls by the next step, divided by τ."""
        return self._looked_at(state.z, state.tangent)[0]

    def _looked_at(self, z: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gain (B,), and by how much the step moves z and its tangent, but for the box."""
        A, (step, rows, columns), signs = self.inner.fidelity.A, self.pull, self.signs
        left, answer = self.inner.fidelity.y - A.A(z), A.A(tangent)
        pulled = A.A_adjoint(rows * left)
        move = step * columns * pulled
        weights = (self.seen * rows).double()
        fit = image_dots(weights * left.double(), left.double())
        rise = image_dots(move.double(), pulled.double()) / 2
        # Of R(I − A ∂z/∂y), seen along the signs.
        trace = image_dots(weights * signs.double(), (signs - answer).double())
        gain = fit - rise - self.noise_level**2 * trace
        return gain, move, step * columns * A.A_adjoint(rows * (signs - answer))

    @cached_property
    def pull(self) -> tuple[float, Tensor, Tensor]:
        """τ, R and C of a step x + τCAᵀR(y − A x); a one of shape () where there is no weight."""
        if isinstance(self.inner, SIRT):
            rows, columns, _ = self.inner.weights
            return self.inner.relaxation, rows, columns
        one = self.inner.start.new_ones(())
        return self.inner.step_size, one, one

    @cached_property
    def signs(self) -> Tensor:
        """ε (B, *A.measurement_shape)."""
        return standard_normal(self.inner.fidelity.y, SEED).sign()

    @cached_property
    def seen(self) -> Tensor:
        """1 where a measurement sees anything, (1, *A.measurement_shape): others have no say."""
        z = self.inner.start[:1]
        with torch.no_grad():
            return (self.inner.fidelity.A.A(standard_normal(z, SEED)) != 0).to(z)

    def turned(self, state: Watched) -> Tensor:
        return state.turned

    def image(self, state: Watched) -> Tensor:
        return state.kept

    def norm(self, z: Tensor) -> Tensor:
        return self.inner.norm(z)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.inner.distance_bound(z)

    @property
    def stride(self) -> float:
        return self.inner.stride

    def parameters(self, state: Watched | None = None) -> dict[str, float]:
        counted = {} if state is None else {"steps_worth_making": float(state.worth.max())}
        return {**self.inner.parameters(), **counted}


def in_time(solver: Solver, noise_level: float, given: bool) -> InTime:
    """The solver with the rule.

    Args:
        given: its step is the caller's. Else Landweber's is 1/‖A‖², half the usual one: nearly
            twice that, and what A sees best, the mean brightness, still swings about its value
            when noise comes in, which costs 2 to 3 dB (docs/control.md).

    Raises:
        InputError: see `InTime`.
    """
    if isinstance(solver, Landweber) and not given and solver.fidelity.A.has_norm_bound:
        solver = replace(solver, step_size=1 / solver.fidelity.lipschitz)
    return InTime(solver, noise_level)  # type: ignore[arg-type]
