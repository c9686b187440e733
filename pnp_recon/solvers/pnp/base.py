"""What plug-and-play iterations share: a data step, a denoiser, the box [0, 1] or a part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.guarantees import Guarantee
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal.total import BoxTotal
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.data_stability import gain_constant
from pnp_recon.solvers.core.examination import Examination
from pnp_recon.solvers.core.inner import LAST, inner_tolerance, relative_tolerance
from pnp_recon.solvers.core.premises import (
    LAWS,
    bounded,
    bounded_below,
    fitting,
    solved,
    transposed,
)
from pnp_recon.solvers.core.solver import Solver, State, norms, share
from pnp_recon.solvers.core.theorem import Constant, Premise, Unproven, unproven
from pnp_recon.solvers.kept import KEPT, PLANE, kept_total, total_law
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.examining import DeclaredConstant
from pnp_recon.solvers.pnp.maps import into_box
from pnp_recon.solvers.pnp.plugged import Plugged
from pnp_recon.solvers.tuning import Choice

CONVERGENCE = (
    "the iterates converge to a fixed point (Krasnosel'skii–Mann; Bauschke & Combettes 2017, "
    "Thm 5.15), which exists because T maps the box into itself (Brouwer)"
)
BOX = guarantees.firm("projection onto the box [0, 1]")
PROX = "proximal map of a convex function (Moreau 1965)"


@dataclass(frozen=True)
class Warm(State):
    """z, and what the last step left for the next inner solve.

    Attributes:
        inner: its solution: where the next one starts. The error bound is recomputed from the
            result, so that a start can cost time, never truth.
        moved: ‖T z − z‖ of that step (B,), which the next tolerance is relative to.
    """

    inner: Tensor | None = None
    moved: Tensor | None = None


@dataclass(frozen=True)
class PnP(Solver[Warm]):
    """An iteration with a denoiser.

    Attributes:
        fidelity: f.
        denoiser: N, at a level.
        relaxation: λ; see the solver.
        start: (B, C, H, W).
        allow_uncertified: run outside the theorem's range as well.
        total: the convex part of the box in which pictures lie; None: all of it.
    """

    fidelity: Fidelity
    denoiser: Plugged
    relaxation: float
    start: Tensor
    allow_uncertified: bool = False
    total: BoxTotal | None = None

    def __post_init__(self) -> None:
        self.denoiser.check_fits(self.start)

    @classmethod
    def _shared(
        cls, problem: Problem, denoiser: Any, knobs: Knobs, choice: Choice, factor: float = 1.0
    ) -> dict[str, Any]:
        """The fields above: the knobs, or the tuned choice, its level times `factor`."""
        level = knobs.denoiser_level
        if level is None:
            low, high = denoiser.sigma_range
            level = min(max(choice.level * factor, low), high)
        scaling = 1.0 if knobs.denoiser_scaling is None else knobs.denoiser_scaling
        return {
            "fidelity": problem.data_term,
            "denoiser": Plugged(denoiser, level, scaling),
            "relaxation": choice.relaxation if knobs.relaxation is None else knobs.relaxation,
            "start": problem.first_guess(),
            "allow_uncertified": knobs.allow_uncertified,
            "total": kept_total(problem) if knobs.keep_total else None,
        }

    def init(self) -> Warm:
        return Warm(self.project(self.start))

    def project(self, x: Tensor) -> Tensor:
        """The nearest picture in the box, or in its part that is kept."""
        return into_box(x) if self.total is None else self.total.prox(x, 1.0)[0]

    @property
    def projection(self) -> Guarantee:
        """What is proven of `project`; a nonempty compact convex set either way."""
        return BOX if self.total is None else PLANE

    def image(self, state: Warm) -> Tensor:
        return state.z.clamp(0, 1)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Every fixed point lies in the box, so no entry is further than max(z, 1 − z)."""
        return norms(z.abs().maximum((1 - z).abs()))

    @property
    def denoiser_declared(self) -> bool:
        """Does a constant of the denoiser rest on somebody's word?"""
        return not self.denoiser.denoiser.proven

    def examination(self) -> Examination | None:
        held = self.denoiser.guarantee
        if not self.denoiser_declared or not held.holds:
            return None
        return DeclaredConstant.begin(self.denoiser, held)

    def examined(self, state: Warm) -> Tensor:
        return state.z if state.inner is None else state.inner

    def parameters(self, state: Warm | None = None) -> dict[str, float]:
        return {
            "denoiser_level": self.denoiser.sigma,
            "denoiser_scaling": self.denoiser.scaling,
            "relaxation": self.relaxation,
        }

    @property
    def stride(self) -> float:
        """min(1, λ): where the operator sees nothing, only the denoiser moves the picture.

        Coupling and step weigh data against denoiser, and move the fixed point.
        """
        return share(self.relaxation)

    @property
    def rounding_gain(self) -> float:
        """D(cx)/c multiplies what D rounds by 1/c: a network's values do not shrink with c."""
        return max(1.0, 1 / self.denoiser.scaling)

    def relaxed(self, x: Tensor) -> Tensor:
        """N_λ(x) = x + λ(N(x) − x)."""
        return x + self.relaxation * (self.denoiser(x) - x)

    @property
    def relaxed_guarantee(self) -> Guarantee:
        """What is proven of N_λ."""
        if not self.relaxation > 0:
            return guarantees.none(f"relaxation {self.relaxation:.6g} is not a positive number")
        return guarantees.relax(self.denoiser.guarantee, self.relaxation)

    @property
    def convexity(self) -> float:
        """Proven m ≥ 0 with which f is strongly convex."""
        return self.fidelity.strong_convexity

    def picture_laws(self, state: Warm, picture: Tensor) -> tuple[Observation, ...]:
        return () if self.total is None else (total_law(self.total, self.fidelity.A, picture),)

    def moduli(self) -> tuple[Constant, ...]:
        """m as a constant of the theorem, where it is above zero."""
        if not self.convexity > 0:
            return ()
        words = f"strong convexity of the {self.fidelity.name} fidelity"
        return (Constant("m", self.convexity, words),)

    def gain(self, sensitivity: float, words: str) -> tuple[Constant, ...]:
        """How far a step moves with y (`data_stability`), where that is proven.

        Args:
            sensitivity: constant of the data step as a function of y; inf where none is known.
            words: its formula.
        """
        rest = self.relaxed_guarantee.lipschitz
        if self.total is not None:  # the set itself moves with y
            return ()
        if rest is None or not sensitivity < math.inf:
            return ()
        how = words if rest <= 1 else f"{words} times the constant {rest:.6g} of the denoiser"
        return (gain_constant(max(1.0, rest) * sensitivity, how),)

    @property
    def smoothness(self) -> float | None:
        """L of ∇f, where a bound is proven."""
        found = self.fidelity.lipschitz if self.fidelity.A.has_norm_bound else math.inf
        return found if found < math.inf else None

    def premises(self, *, norm: bool) -> tuple[Premise, ...]:
        """What every theorem about these iterations rests on, besides its constants.

        Args:
            norm: the bound of the operator's norm is one of those constants.
        """
        A = self.fidelity.A
        known = (bounded(A), transposed(A)) if norm else (transposed(A),)
        own = (*bounded_below(A), *fitting(self.fidelity))
        plane = () if self.total is None else (KEPT,)
        return (*known, *own, *plane, self.denoiser.premise(), LAWS)

    def missing(self, *, gamma: float | None = None) -> Unproven | None:
        """What a theorem lacks, or None where it applies.

        Raises:
            StepSizeError: a coupling or relaxation that is not positive, unless allowed.
        """
        operator = self.fidelity.A
        reason = None
        if not operator.adjoint_matched:
            reason = f"A_adjoint of operator '{operator.name}' is not the transpose of A"
        elif gamma is None and not operator.has_norm_bound:
            reason = (
                f"no proven bound of the norm of operator '{operator.name}' is known; give it "
                "_prove_norm, or nonnegative=True if no entry is negative, or take pnp-hqs"
            )
        elif gamma is None and math.isinf(self.fidelity.lipschitz):
            reason = f"the gradient of the fidelity '{self.fidelity.name}' is not Lipschitz"
        for name, value in (("relaxation", self.relaxation), ("gamma", gamma)):
            if value is not None and not 0 < value < math.inf:
                reason = f"{name} {value:.6g} is not a positive number"
                self.refuse(f"{reason}; take a positive one")
        return None if reason is None else unproven(reason, (self.denoiser.constant(),))

    def refuse(self, message: str) -> None:
        """Raises StepSizeError, unless runs outside the proven range are allowed."""
        if not self.allow_uncertified:
            raise StepSizeError(message)


@dataclass(frozen=True)
class Coupled(PnP):
    """An iteration with the proximal map of γf, any γ > 0."""

    gamma: float = 1.0

    def prox(self, state: Warm, iteration: int = LAST) -> tuple[Tensor, Tensor]:
        """prox_{γf}(z) and a proven bound (B,) on its error."""
        start = state.z if state.inner is None else state.inner
        tol = self.asked(state, iteration)
        return self.fidelity.prox(state.z, self.gamma, start=start, tol=tol)

    def asked(self, state: Warm, iteration: int) -> Tensor:
        """The tolerance (B,) of the inner solve."""
        least = inner_tolerance(state.z, iteration)
        if state.moved is None or iteration == LAST:
            return state.z.new_full((state.z.shape[0],), least)
        return relative_tolerance(state.moved, iteration).clamp_min(least)

    def proximal(self) -> Guarantee:
        """What is proven of prox_{γf}."""
        return guarantees.proximal(self.gamma, self.convexity, PROX)

    def premises(self, *, norm: bool) -> tuple[Premise, ...]:
        return (*solved(self.fidelity.A), *super().premises(norm=norm))

    def coupling(self) -> Constant:
        """γ, and how its proximal map is computed."""
        how = (
            "closed form"
            if self.fidelity.exact_prox
            else "an inner iteration; each error is at most the recomputed residual, as the "
            "objective is 1-strongly convex, and tolerances have a finite sum, down to rounding"
        )
        return Constant("coupling γ", self.gamma, f"any γ > 0 is covered; prox by {how}")

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return None if self.fidelity.exact_prox else inner_tolerance(z, iteration)

    def parameters(self, state: Warm | None = None) -> dict[str, float]:
        return {"gamma": self.gamma, **super().parameters(state)}
