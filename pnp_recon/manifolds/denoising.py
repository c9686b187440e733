"""Denoising: descent on a variation, with the certificate that strong convexity gives.

Let E be 1-strongly convex along geodesics of a complete manifold, as `Variation` is on a Hadamard
manifold. It has one minimiser x*, and at every x, with g = grad E(x),

    E(x*) ≥ E(x) + ⟨g, log_x x*⟩ + ½d²    and    E(x) ≥ E(x*) + ½d²,    d = d(x, x*),

so that d ≤ ‖g‖ and E(x) − E(x*) ≤ ½‖g‖²: the gradient where a run ends bounds its error, however
the run came there. It comes there: each step satisfies E(x⁺) ≤ E(x) − cτ‖g‖² (Armijo), and the
gradient is Lipschitz on the bounded level set, so that accepted τ stay above some τ₀ > 0; then
E(x⁺) − E(x*) ≤ (1 − 2cτ₀)(E(x) − E(x*)). The trial step is that of Barzilai & Borwein (1988). All
of this is about exact arithmetic; what ran is float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.manifolds.base import Manifold
from pnp_recon.manifolds.variation import Variation
from pnp_recon.problems.numbers import checked_count, checked_number
from pnp_recon.solvers.core.certificate import Certificate, Observation
from pnp_recon.solvers.core.laws import ENERGY_ROUNDING
from pnp_recon.solvers.core.stopping import Status
from pnp_recon.solvers.core.theorem import Basis, Constant, Premise, Theorem, unproven

# c of Armijo's rule; no pixel moves farther than REACH in one step, so that exp stays exact.
ARMIJO, REACH, HALVINGS = 0.1, 2.0, 40
STATEMENT = (
    "E is 1-strongly convex along geodesics and has one minimiser x*; every point x has "
    "d(x, x*) ≤ ‖grad E(x)‖ and E(x) − E(x*) ≤ ½‖grad E(x)‖², and descent converges to x* linearly"
)
FALL, BALLS = "E(x_k) − E(x_K) at most ½‖g_k‖² (ratio)", "d(x_0, x_K) at most ‖g_0‖ + ‖g_K‖ (ratio)"
ARMIJO_LAW = "E falls by cτ‖g‖² in every step (ratio)"


@dataclass(frozen=True)
class StronglyConvex(Theorem):
    """A functional that is 1-strongly convex along geodesics: its gradient bounds the error."""

    kind = "strong convexity along geodesics"
    iterates_map = False

    @property
    def holds(self) -> bool:
        return True


@dataclass(frozen=True)
class Denoised:
    """What `denoise` found.

    Attributes:
        x: the field (H, W, *point).
        certificate: which theorem covers it; its verdict says in words where none does.
        gradient: ‖grad E‖ at x, root mean square over pixels. Where the certificate holds it
            bounds the distance from the minimiser, in the same mean.
        energy: E at x.
        iterations: steps of the descent.
        status: how it ended.
    """

    x: Tensor
    certificate: Certificate
    gradient: float
    energy: float
    iterations: int
    status: Status


def theorem(energy: Variation) -> Theorem:
    """What covers every run on this functional."""
    convex = energy.space.convexity(energy.y)
    if isinstance(convex, str):
        return unproven(convex)
    premises = (
        convex,
        Premise("Huber's function of a distance and ½d(·, y)² are convex, the latter 1-strongly"),
        Premise(ARMIJO_LAW, Basis.CHECKED),
    )
    constant = Constant("m", 1.0, "strong convexity of ½d(·, y)² on a Hadamard manifold")
    none = guarantees.none("the theorem is about the functional, no map is iterated")
    return StronglyConvex(STATEMENT, none, (constant,), premises)


def denoise(
    space: Manifold,
    y: Tensor,
    strength: float,
    knee: float = 0.05,
    *,
    start: Tensor | None = None,
    tol: float = 1e-5,
    max_iter: int = 2000,
) -> Denoised:
    """Minimises E(x) = ½Σd(x_i, y_i)² + strength·Σh(d(x_i, x_j)), see `Variation`.

    Args:
        space: where the values lie.
        y: the noisy field (H, W, *point), float64 (phases: complex128); a curve has H = 1.
        strength: weight of the variation, in units of the distance.
        knee: differences below it are smoothed quadratically.
        start: where the descent begins; None: at y. The minimiser does not depend on it where
            there is a certificate.
        tol: on ‖grad E‖, root mean square over pixels, in units of the distance.
        max_iter: most steps.

    Raises:
        InputError: data off the manifold, numbers out of range.
    """
    tol, max_iter = checked_number("tol", tol, above=0.0), checked_count("max_iter", max_iter)
    run = _Descent(Variation(space, y, strength, knee), y if start is None else start)
    pixels = math.sqrt(y.shape[0] * y.shape[1])
    status = run.carry_out(tol * pixels, max_iter)
    certificate = run.certificate()
    return Denoised(
        run.x, certificate, run.sizes[-1] / pixels, run.energies[-1], len(run.sizes) - 1, status
    )


class _Descent:
    """One run, with what its theorem is compared with."""

    def __init__(self, energy: Variation, start: Tensor) -> None:
        energy.space.require(start, "start")
        if start.shape != energy.y.shape:
            raise InputError(
                f"start has the shape {tuple(start.shape)}; expected {tuple(energy.y.shape)}, "
                "which y has"
            )
        self.energy, self.x, self.start = energy, start, start
        value, self.gradient = energy.value_and_gradient(start)
        self.energies, self.sizes = [value], [energy.norm(start, self.gradient)]
        self.armijo, self.outside = 0.0, not energy.space.covers(energy.y, start)

    def carry_out(self, tol: float, max_iter: int) -> Status:
        step = 1 / (1 + 8 * self.energy.strength / self.energy.knee)
        for _ in range(max_iter):
            if self.sizes[-1] <= tol:
                return Status.CONVERGED
            found = self.advance(step)
            if found is None:
                return Status.STAGNATED
            step = found
        return Status.CONVERGED if self.sizes[-1] <= tol else Status.ITERATION_LIMIT

    def advance(self, step: float) -> float | None:
        """One step by Armijo's rule; the next trial step, or None where rounding allows none."""
        energy, space, x, gradient = self.energy, self.energy.space, self.x, self.gradient
        last, size = self.energies[-1], self.sizes[-1]
        step = min(step, REACH / float(space.norm(x, gradient).max()))
        slack = ENERGY_ROUNDING * abs(last)
        for _ in range(HALVINGS):
            there = space.exp(x, -step * gradient)
            asked, fallen = ARMIJO * step * size**2, last - energy.value(there) + slack
            if fallen >= asked:
                break
            step /= 2
        else:
            return None
        value, self.gradient = energy.value_and_gradient(there)
        self.x = there
        self.armijo = max(self.armijo, asked / fallen)
        self.energies.append(value)
        self.sizes.append(energy.norm(there, self.gradient))
        self.outside |= not space.covers(energy.y, there)
        # log at x⁺ of x is τ times the old gradient, transported to x⁺.
        moved = space.log(there, x)
        change = self.gradient - moved / step
        curvature = -float(space.inner(there, moved, change).sum())
        if curvature <= 0:
            return 2 * step
        return float(space.inner(there, moved, moved).sum()) / curvature

    def certificate(self) -> Certificate:
        """The theorem, and its consequences on what ran."""
        known, energy = theorem(self.energy), self.energy
        if not known.holds:
            return Certificate(known)
        if len(self.sizes) == 1:
            return Certificate(known)
        end, slack = self.energies[-1], ENERGY_ROUNDING * abs(self.energies[0])
        pairs = zip(self.energies, self.sizes, strict=True)
        fall = max((value - end - slack) / max(size**2 / 2, slack) for value, size in pairs)
        reach = max(self.sizes[0] + self.sizes[-1], 1e-12)
        balls = energy.distance(self.start, self.x) / reach
        observed = (
            Observation(ARMIJO_LAW, self.armijo, 1.0),
            Observation(FALL, fall, 1.0 + 1e-9),
            Observation(BALLS, balls, 1.0 + 1e-9),
        )
        if self.outside:
            return Certificate(known, observed, "an iterate left the half circle of the data")
        pixels = math.sqrt(self.x.shape[0] * self.x.shape[1])
        remarks = (
            f"the result is within {self.sizes[-1] / pixels:.2g} of the minimiser (root mean "
            f"square over pixels), and E within {self.sizes[-1] ** 2 / 2:.2g} of its minimum",
        )
        return Certificate(known, observed, remarks=remarks)
