"""Landweber's iteration, ended before noise adds more error than a step removes.

With r = y − A x_k and y = A x* + n the next step x_k + τAᵀr changes ½‖x − x*‖² by exactly

    −τ(‖r‖² − ⟨n, r⟩ − ½τ‖Aᵀr‖²),

a box can only make it smaller. All of it but ⟨n, r⟩ is known, and that has the expectation
σ²tr(I − A ∂x_k/∂y) for white Gaussian noise (Stein 1981); the trace is measured with one vector of
signs that is iterated along. Where σ differs from datum to datum it is Σ σᵢ²(1 − ∂(A x_k)ᵢ/∂yᵢ),
by the same signs. For small steps this is dJ/dT = ⟨p(T), f(z(T))⟩ = 0, the condition of
an optimal stopping time (Effland, Kobler, Kunisch & Pock 2020), without the truth that
p(T) = x(T) − x* asks for.

Where σ is taken too small that sign never changes. So a run ends as well where generalised cross-
validation, ‖r‖²/tr(I − A ∂x_k/∂y)², which knows no σ, has risen (Golub, Heath & Wahba 1979); with
weights σᵢ² in the trace where they differ.
Proofs and measurements: docs/control.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from operators.conjugate_gradient import image_dots, per_image
from pnp_recon.errors import InputError
from pnp_recon.problems.noise import standard_normal
from pnp_recon.problems.numbers import checked_number
from pnp_recon.solvers.classical import Landweber
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.stopping import Stopping
from pnp_recon.solvers.core.theorem import Theorem

# The numbers of the signs, which are the same in every run.
SEED = 20
# What no theorem of the iteration is about.
KEPT = "; the picture is one of them, chosen by an estimate, of which nothing is proven"
# Of variances as squares of levels in float32.
ROUNDING = 1e-5
LEAVE_OUT = (
    "the steps have no weights, so leave out what is not to be believed: known is what is, y is "
    "torch.where(known, y, 0), and A is operators.Inpainting(known[0], A.measurement_shape) @ A"
)


@dataclass(frozen=True, kw_only=True)
class Watched(State):
    """z and what the rule knows of it.

    Attributes:
        tangent: (∂z/∂y)ε for the signs ε.
        validated: ‖r‖²/tr² of the point before (B,).
        kept: the picture that is returned: z, or the one before the first step that was not worth
            making.
        turned: pictures (B,) for which there was such a step.
        worth: steps (B,) before it.
    """

    tangent: Tensor
    validated: Tensor
    kept: Tensor
    turned: Tensor
    worth: Tensor


@dataclass(frozen=True)
class _Look:
    """What is seen at a point: by how much the next step moves it and its tangent but for the box,
    the estimated gain (B,), and ‖r‖²/tr² (B,)."""

    move: Tensor
    turn: Tensor
    gain: Tensor
    validated: Tensor


@dataclass(frozen=True, eq=False)
class InTime(Solver[Watched]):
    """An `inner` iteration whose picture is the one before the first step not worth making.

    The gain of a step is estimated without bias at every k that is fixed beforehand; the first k at
    which an estimate turns is a rule without a theorem. The theorem of the run is that of the inner
    iteration. A step costs two.

    Attributes:
        inner: with a start that was not made of y.
        noise_level: σ of white Gaussian noise in y; its root mean square where it differs.
        shares: variances of y in units of σ², (1 or B, *measurement_shape); None: all alike.

    Raises:
        InputError: the iteration is another one, the level is no number of at least 0, or there are
            data that outweigh the others (`outweighing`).
    """

    inner: Landweber
    noise_level: float
    shares: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Landweber):
            raise InputError(
                "where the error is least is estimated for landweber alone; found "
                f"{getattr(self.inner, 'name', self.inner)}; take landweber, or least_error=False"
            )
        checked_number("noise_level", self.noise_level, least=0.0)
        if self.shares is None:
            return
        if count := int(outweighing(self.shares, self.seen > 0).sum()):
            raise InputError(
                f"noise_level: {count} of {self.shares.numel()} data have more variance than the "
                "better half of all together, and would decide alone where the run ends; "
                + LEAVE_OUT
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    def theorem(self) -> Theorem:
        """The inner theorem; its error bar is true of the last iterate and not of the picture."""
        return of_one_of_them(self.inner.theorem())

    def init(self) -> Watched:
        z = self.inner.init().z
        none = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        return Watched(
            z=z,
            tangent=torch.zeros_like(z),
            validated=torch.full_like(none, torch.inf, dtype=torch.float64),
            kept=z,
            turned=none,
            worth=none.to(torch.int64),
        )

    def step(self, state: Watched, iteration: int) -> Step[Watched]:
        seen = self._look(state.z, state.tangent)
        # Zero: the data are met exactly and no noise is known of, which is convergence.
        turned = state.turned | (seen.gain < 0) | (seen.validated > state.validated)
        z, tangent = state.z + seen.move, state.tangent + seen.turn
        if (box := self.inner.box) is not None:
            tangent = tangent * ((z > box[0]) & (z < box[1]))
            z = z.clamp(*box) + (z - z)
        after = Watched(
            z=z,
            tangent=tangent,
            validated=seen.validated,
            kept=torch.where(per_image(turned, z), state.kept, z),
            turned=turned,
            worth=state.worth + ~turned,
        )
        return Step(after, z.new_zeros(len(z)))

    def gain(self, state: Watched) -> Tensor:
        """Estimate (B,) of how much ½‖x − x*‖² falls by the next step, divided by τ."""
        return self._look(state.z, state.tangent).gain

    def _look(self, z: Tensor, tangent: Tensor) -> _Look:
        A, step, signs = self.inner.fidelity.A, self.inner.step_size, self.signs
        left, free = self.inner.fidelity.y - A.A(z), signs - A.A(tangent)
        pulled = A.A_adjoint(left)
        fit = image_dots(self.seen * left.double(), left.double())
        counted = self.seen if self.shares is None else self.seen * self.shares
        trace = image_dots(counted * signs.double(), free.double())
        rise = step / 2 * image_dots(pulled.double(), pulled.double())
        gain = fit - rise - self.noise_level**2 * trace
        return _Look(step * pulled, step * A.A_adjoint(free), gain, fit / trace.square())

    @cached_property
    def signs(self) -> Tensor:
        """ε (B, *A.measurement_shape)."""
        return standard_normal(self.inner.fidelity.y, SEED).sign()

    @cached_property
    def seen(self) -> Tensor:
        """1 where a measurement sees anything, (1, *A.measurement_shape): others have no say."""
        z = self.inner.start[:1]
        with torch.no_grad():
            return (self.inner.fidelity.A.A(standard_normal(z, SEED)) != 0).double()

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


def of_one_of_them(held: Theorem) -> Theorem:
    """The theorem of an iteration where the picture is one of its points, and not the last."""
    if not held.holds:
        return held
    statement = held.statement.removesuffix(KEPT) + KEPT
    return replace(held, statement=statement, error_bar=None)


def in_time(
    solver: Solver, noise_level: float, given: bool, shares: Tensor | None = None
) -> InTime:
    """The solver with the rule.

    Args:
        noise_level, shares: see `InTime`.
        given: its step is the caller's. Else it is 1/‖A‖², half the usual one: nearly
            twice that, and what A sees best, the mean brightness, still swings about its value
            when noise comes in, which costs up to 3.4 dB (docs/control.md).

    Raises:
        InputError: see `InTime`.
    """
    if isinstance(solver, Landweber) and not given and solver.fidelity.A.has_norm_bound:
        solver = replace(solver, step_size=1 / solver.fidelity.lipschitz)
    return InTime(cast(Landweber, solver), noise_level, shares)


def outweighing(variances: Tensor, seen: Tensor) -> Tensor:
    """Data each of which has more variance than the better half of its picture together.

    The estimate is then about them, and a step, which has no weights, takes their noise in whole.

    Args:
        variances: (1 or B, *measurement_shape), in any unit.
        seen: where there is a measurement, in a shape that goes with it; others are none.
    """
    most = per_image(better_half(variances, seen), variances)
    return seen & (variances > most * (1 + ROUNDING))


def better_half(variances: Tensor, seen: Tensor) -> Tensor:
    """The sum of the lower half of the variances of each picture, (1 or B,) float64."""
    seen = seen.expand_as(variances)
    rows = torch.where(seen, variances.double(), torch.inf).flatten(1).sort(1).values
    half = seen.flatten(1).sum(1, keepdim=True) // 2 + 1
    better = torch.arange(rows.shape[1], device=rows.device) < half
    return torch.where(better, rows, 0.0).sum(1)


def levels(
    noise_level: float | Tensor | None, y: Tensor, stopping: Stopping | None
) -> tuple[float | None, Tensor | None]:
    """The noise level as one number, and what each datum's variance is in units of its square.

    Args:
        noise_level: a number, None, or one for each datum of y, (1 or B, *measurement_shape).

    Raises:
        InputError: levels that differ and are not finite, not above zero, of another shape, or
            for a run without the rule, which would take them for one.
    """
    if not isinstance(noise_level, Tensor):
        return noise_level, None
    if noise_level.ndim == 0:
        return float(noise_level), None
    if stopping is None or not stopping.least_error:
        raise InputError(
            "noise_level differs between the data; give its weights to the run, as "
            "fidelity=WeightedLeastSquares(A, y, 1 / noise_level**2), or one number. Only "
            "Stopping(least_error=True) takes more"
        )
    shape = tuple(noise_level.shape)
    if shape[1:] != tuple(y.shape[1:]) or shape[0] not in (1, len(y)):
        raise InputError(
            f"noise_level has the shape {shape}; expected that of y, {tuple(y.shape)}, or 1 for "
            "the batch, or one number"
        )
    if not bool((torch.isfinite(noise_level) & (noise_level > 0)).all()):
        raise InputError(f"noise_level is not finite and above zero everywhere; {LEAVE_OUT}")
    variances = noise_level.to(y.device, torch.float64).square()
    mean = float(variances.mean())
    return math.sqrt(mean), variances / mean
