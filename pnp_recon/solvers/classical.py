"""Classical iterations for A x = y: Landweber and SIRT; conjugate gradients are in `cgls`.

They know no prior: noise enters as the iterations go on, and an early stop is the regularisation.
The certificate is about the least-squares problem, not about the picture of an early stop. The
box is optional here, since y need not come from a picture in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.conjugate_gradient import image_norms
from operators.norms import round_up
from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity, LeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.convex.steps import absolute_sums
from pnp_recon.solvers.core.premises import bounded, bounded_below, signed, transposed
from pnp_recon.solvers.core.solver import Solver, State, Step, share
from pnp_recon.solvers.core.theorem import (
    Basis,
    Constant,
    Premise,
    Theorem,
    map_theorem,
    unproven,
)
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.maps import into_box

# Landweber's step in units of 1/L, of a range (0, 2/L).
STEP = 1.9
# Row and column sums below this share of the largest one are rounding: they count as zero.
EMPTY = 1e-12


def least_squares(fidelity: Fidelity) -> LeastSquares:
    """The fidelity, where it is the one that these iterations are about.

    Raises:
        InputError: it is another one, which they would silently ignore.
    """
    if type(fidelity) is not LeastSquares:
        raise InputError(
            f"landweber, sirt and cgls solve plain least squares, not {fidelity.name}; leave the "
            "fidelity out, or take a solver with a prior"
        )
    return fidelity


def unmatched(A: LinearOperator) -> str | None:
    """Why nothing is proven about an operator with a foreign transpose, or None."""
    if A.adjoint_matched:
        return None
    return f"A_adjoint of operator '{A.name}' is not the transpose of A"


@dataclass(frozen=True)
class _Descent(Solver[State]):
    """What Landweber and SIRT share: a gradient step, then the box.

    Attributes:
        fidelity: ½‖A x − y‖².
        start: (B, C, H, W).
        box: (low, high), infinite ends allowed, or None.
    """

    fidelity: LeastSquares
    start: Tensor
    box: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        least_squares(self.fidelity)
        if self.box is not None and not self.box[0] < self.box[1]:
            raise InputError(f"box is {self.box}; give (low, high) with low < high")

    def init(self) -> State:
        return State(self._boxed(self.start))

    def image(self, state: State) -> Tensor:
        return state.z

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Every fixed point lies in the box; None where the box is not bounded."""
        if self.box is None or not all(map(math.isfinite, self.box)):
            return None
        low, high = self.box
        return self.norm(torch.maximum((z - low).abs(), (high - z).abs()))

    def _boxed(self, x: Tensor) -> Tensor:
        if self.box is None:
            return x
        return into_box(x) if self.box == (0, 1) else x.clamp(*self.box) + (x - x)

    def _covered(
        self,
        name: str,
        solution: str,
        step: float,
        smoothness: float,
        constants: list[Constant],
        known: Callable[[LinearOperator], Premise],
        convexity: float = 0.0,
    ) -> Theorem:
        """z ← P(z − step·∇g(z)), ∇g Lipschitz with `smoothness` in the solver's norm, which is
        `known` of the operator, and g strongly convex with `convexity`."""
        if (reason := unmatched(self.fidelity.A)) is not None:
            return unproven(reason)
        limit = 2 / smoothness
        if not 0 < step < limit:
            raise StepSizeError(
                f"step {step:.6g} of {name} lies outside the proven range (0, 2/L) = "
                f"(0, {limit:.6g}); take one inside it"
            )
        constants.append(Constant("step", step, f"covered range (0, 2/L) = (0, {limit:.6g})"))
        held = guarantees.gradient_step(step, smoothness, convexity)
        if self.box is not None:
            held = guarantees.compose(guarantees.firm(f"projection onto the box {self.box}"), held)
        statement = (
            f"{name}: the iterates converge to {solution} (Krasnosel'skii–Mann; Bauschke & "
            "Combettes 2017, Thm 5.15), which exists (Frank & Wolfe 1956)"
        )
        premises = (
            known(self.fidelity.A),
            transposed(self.fidelity.A),
            *(bounded_below(self.fidelity.A) if convexity > 0 else ()),
            Premise("residuals never increase", Basis.CHECKED),
        )
        return map_theorem(statement, held, tuple(constants), premises)


@dataclass(frozen=True)
class Landweber(_Descent):
    """x ← P(x + τAᵀ(y − A x)), 0 < τ < 2/‖A‖² (Landweber 1951)."""

    step_size: float = 1.0
    name = "landweber"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        step = STEP / problem.scale**2 if knobs.step is None else knobs.step
        return cls(least_squares(problem.data_term), problem.first_guess(), step_size=step)

    def theorem(self) -> Theorem:
        A = self.fidelity.A
        if unmatched(A) is None and not A.has_norm_bound:
            return unproven(f"no proven bound of the norm of operator '{A.name}' is known")
        smoothness = self.fidelity.lipschitz if A.has_norm_bound else 1.0
        how = A.norm_certificate.method if A.has_norm_bound else ""
        constants = [Constant("L = ‖A‖²", smoothness, how)]
        solution = "a minimiser of ‖A x − y‖"
        modulus = self.fidelity.strong_convexity
        if modulus > 0:
            constants.append(Constant("m", modulus, "proven lower bound of AᵀA"))
        return self._covered(
            "Landweber", solution, self.step_size, smoothness, constants, bounded, modulus
        )

    def step(self, state: State, iteration: int) -> Step[State]:
        z = state.z
        moved = self._boxed(z - self.step_size * self.fidelity.gradient(z))
        return Step(State(moved), z.new_zeros(z.shape[0]))

    @property
    def stride(self) -> float:
        """min(1, τL), as for proximal gradient."""
        if not self.fidelity.A.has_norm_bound or not self.fidelity.lipschitz > 0:
            return 1.0
        return share(self.step_size * self.fidelity.lipschitz)

    def parameters(self, state: State | None = None) -> dict[str, float]:
        return {"step": self.step_size}


@dataclass(frozen=True)
class SIRT(_Descent):
    """x ← P(x + ωC Aᵀ R (y − A x)), R and C the inverse row and column sums of A; 0 < ω < 2.

    For a matrix without negative entries ‖R^½ A C^½‖ ≤ 1, by Schur's test with the vectors of the
    roots of the sums (Gregor & Benson 2008): in the norm of C⁻¹ this is a gradient step on
    ½‖R^½(A x − y)‖² with Lipschitz constant 1, up to the rounding of the sums, which is bounded.
    Rows and columns without entries get weight 0: a measurement that sees nothing counts for
    nothing, a pixel that is not seen stays where it is.

    Raises:
        InputError: from `theorem`, if A may have negative entries.
        StepSizeError: from `theorem`, if ω lies outside (0, 2).
    """

    relaxation: float = 1.0
    name = "sirt"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        weight = 1.0 if knobs.relaxation is None else knobs.relaxation
        return cls(least_squares(problem.data_term), problem.first_guess(), relaxation=weight)

    @cached_property
    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """R, C and the squared weights of the norm: column sums, 1 for unseen pixels."""
        A, like = self.fidelity.A, self.start
        with torch.no_grad():
            rows = A.A(torch.ones(1, *A.image_shape, dtype=torch.float64, device=like.device))
            columns = A.A_adjoint(torch.ones_like(rows))
        inverse = [
            torch.where(sums > EMPTY * sums.max(), 1 / sums, 0.0).to(like)
            for sums in (rows, columns)
        ]
        seen = inverse[1] > 0
        return inverse[0], inverse[1], torch.where(seen, columns.to(like), 1.0)

    @property
    def _smoothness(self) -> float:
        """Proven bound of ‖R^½ A C^½‖² for these very weights: max Rᵢ(A1)ᵢ · max Cⱼ(Aᵀ1)ⱼ.

        ‖R^½ A C^½‖² is the spectral radius of C Aᵀ R A, and that is at most any norm of it.
        """
        rows, columns = absolute_sums(self.fidelity.A)
        peaks = [
            float((weight.double() * sums).max())
            for weight, sums in zip(self.weights, (rows, columns), strict=False)
        ]
        # The norm's own weights are C⁻¹ rounded once.
        return round_up(peaks[0] * peaks[1] * (1 + 2 * torch.finfo(self.start.dtype).eps))

    def theorem(self) -> Theorem:
        A = self.fidelity.A
        if not A.nonnegative:
            raise InputError(
                f"SIRT divides by row and column sums, but operator '{A.name}' may have negative "
                "entries; use landweber or cgls"
            )
        smoothness = self._smoothness
        how = "proven bounds of row and column sums, entries >= 0 (Schur's test)"
        constants = [Constant("L = ‖R^½ A C^½‖²", smoothness, how)]
        solution = "a minimiser of ‖R^½(A x − y)‖"
        return self._covered("SIRT", solution, self.relaxation, smoothness, constants, signed)

    def step(self, state: State, iteration: int) -> Step[State]:
        A, y, z = self.fidelity.A, self.fidelity.y, state.z
        rows, columns, _ = self.weights
        moved = z + self.relaxation * columns * A.A_adjoint(rows * (y - A.A(z)))
        return Step(State(self._boxed(moved)), z.new_zeros(z.shape[0]))

    def norm(self, z: Tensor) -> Tensor:
        """(Σ z²/C)^½, with weight 1 for pixels that are not seen."""
        return image_norms(z * self.weights[2].sqrt())

    @property
    def stride(self) -> float:
        """min(1, ωL) with L = 1, which it is up to rounding."""
        return share(self.relaxation)

    def parameters(self, state: State | None = None) -> dict[str, float]:
        return {"sirt_relaxation": self.relaxation}
