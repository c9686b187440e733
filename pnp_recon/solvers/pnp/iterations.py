"""Plug-and-play iterations: a data step, a denoiser, the box [0, 1].

P is the projection onto the box, N the denoiser at a fixed level, f = φ(A ·) the
data fidelity.

* PnP-PGD  T = P ∘ N_λ ∘ (I − τ∇f), 0 < τ < 2/L, N_λ = (1−λ)I + λN.
* PnP-HQS  T = P ∘ N_λ ∘ prox_{γf}, any γ > 0: the proximal map is firmly nonexpansive, so the
  coupling is free of the operator's norm.
* PnP-DRS  T = (1−λ)I + λ·(P∘N) ∘ (2 prox_{γf} − I), any γ > 0, 0 < λ < 1. With λ = ½ this is
  Douglas–Rachford with the firmly nonexpansive denoiser ½(I + P∘N); N need only be 1-Lipschitz.

Each T maps a compact convex set (the box; for DRS every fixed point is one of the box's
self-map P∘N∘(2 prox_{γf} − I)) continuously into itself, so that a fixed point exists (Brouwer),
and the iterates of an averaged map converge to one (Krasnosel'skii–Mann). Nothing is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers.core.certificate import Certificate, Constant
from pnp_recon.solvers.core.loop import Solver, Step, norms
from pnp_recon.solvers.pnp.maps import drs, hqs, into_box

CONVERGENCE = (
    "the iterates converge to a fixed point (Krasnosel'skii–Mann; Bauschke & Combettes 2017, "
    "Thm 5.15), which exists because T maps the box into itself (Brouwer)"
)
BOX = guarantees.firm("projection onto the box [0, 1]")
PROX = "proximal map of a convex function (Moreau 1965)"
# First tolerance of an inner solve relative to ‖z‖; it falls like 1/(k+1)², hence is summable.
INNER_TOLERANCE = 1e-3
# What conjugate gradients can reach in the precision at hand, in machine epsilons.
INNER_FLOOR_UNITS = 8.0
# Iteration number whose inner tolerance the returned picture is solved to: the floor.
LAST = 10_000


@dataclass(frozen=True)
class Plugged:
    """A denoiser at a level, with its certified knobs: scaling c and relaxation λ."""

    denoiser: Denoiser
    sigma: float
    scaling: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        c = self.scaling
        if c == 1:
            return self.denoiser(x, self.sigma)
        return self.denoiser(c * x, self.sigma) / c

    @property
    def guarantee(self) -> Guarantee:
        return guarantees.scale(self.denoiser.guarantee, self.scaling)

    def constant(self) -> Constant:
        held = self.denoiser.guarantee
        value = held.averagedness if held.averagedness is not None else float("nan")
        return Constant(f"averagedness of denoiser {self.denoiser.name}", value, held.source)


@dataclass(frozen=True)
class _PnP(Solver):
    """What the three iterations share."""

    fidelity: Fidelity
    denoiser: Plugged
    relaxation: float
    start: Tensor
    allow_uncertified: bool = False
    # The last inner solution: where the next inner solve starts. Its error bound is recomputed
    # from the result, so that a start can cost time, never truth.
    _warm: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)

    def init(self) -> Tensor:
        return self.start.clamp(0, 1)

    def image(self, z: Tensor) -> Tensor:
        return z.clamp(0, 1)

    def distance_bound(self, z: Tensor) -> Tensor | None:
        """Every fixed point lies in the box, so no entry is further than max(z, 1 − z)."""
        return norms(torch.maximum(z.abs(), (1 - z).abs()))

    def parameters(self) -> dict[str, float]:
        return {
            "denoiser_level": self.denoiser.sigma,
            "denoiser_scaling": self.denoiser.scaling,
            "relaxation": self.relaxation,
        }

    def _relaxed(self, x: Tensor) -> Tensor:
        return x + self.relaxation * (self.denoiser(x) - x)

    def _inner_tolerance(self, z: Tensor, iteration: int) -> float:
        """Absolute tolerance of the inner solve: summable down to the rounding floor."""
        floor = INNER_FLOOR_UNITS * torch.finfo(z.dtype).eps
        size = math.sqrt(z[0].numel()) / 2  # a typical norm of a picture, no synchronisation
        return max(INNER_TOLERANCE / (iteration + 1) ** 2, floor) * size

    def _prox(self, z: Tensor, gamma: float, iteration: int) -> tuple[Tensor, Tensor]:
        """prox_{γf}(z) and a proven bound (B,) on its error."""
        start = self._warm[0] if self._warm else z
        tol = self._inner_tolerance(z, iteration)
        x, error = self.fidelity.prox(z, gamma, start=start, tol=tol)
        self._warm[:] = [x]
        return x, error

    def _prox_constants(self, gamma: float) -> tuple[Constant, ...]:
        how = (
            "closed form"
            if self.fidelity.exact_prox
            else "an inner iteration; each error is at most the recomputed residual, as the "
            "objective is 1-strongly convex, and its tolerance falls like 1/k² down to rounding"
        )
        return (Constant("coupling γ", gamma, f"any γ > 0 is covered; prox by {how}"),)

    def _refuse(self, message: str) -> None:
        if not self.allow_uncertified:
            raise StepSizeError(message)

    def _no_theorem(self, *, gamma: float | None = None) -> Certificate | None:
        """A certificate that says what the theorem is missing, or None where it applies.

        Raises:
            StepSizeError: a coupling or relaxation that is not positive, unless allowed.
        """
        operator = self.fidelity.A
        reason = None
        if not operator.adjoint_matched:
            reason = f"A_adjoint of operator '{operator.name}' is not the transpose of A"
        elif gamma is None and not operator.has_norm_bound:
            reason = f"no proven bound of the norm of operator '{operator.name}' is known"
        elif gamma is None and math.isinf(self.fidelity.lipschitz):
            reason = f"the gradient of the fidelity '{self.fidelity.name}' is not Lipschitz"
        for name, value in (("relaxation", self.relaxation), ("gamma", gamma)):
            if value is not None and not 0 < value < math.inf:
                reason = f"{name} {value:.6g} is not a positive number"
                self._refuse(f"{reason}; take a positive one")
        constants = (self.denoiser.constant(),)
        return None if reason is None else Certificate("", guarantees.none(reason), constants)


@dataclass(frozen=True)
class PnPPGD(_PnP):
    """x ← P N_λ (x − τ∇f(x)); `step_size` is τ ∈ (0, 2/L)."""

    step_size: float = 1.0
    name = "pnp-pgd"

    def check(self) -> Certificate:
        if (missing := self._no_theorem()) is not None:
            return missing
        limit = 2 / self.fidelity.lipschitz
        constants = (
            Constant("‖A‖", self.fidelity.A.norm_bound, self.fidelity.A.norm_certificate.method),
            Constant(
                "L", self.fidelity.lipschitz, f"gradient of the {self.fidelity.name} fidelity"
            ),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
            self.denoiser.constant(),
        )
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, 2/L) = "
                f"(0, {limit:.6g}), L = {self.fidelity.lipschitz:.6g}"
            )
            self._refuse(f"{reason}; take a step inside it or allow an uncertified run")
            return Certificate("", guarantees.none(reason), constants)
        gradient = guarantees.gradient_step(self.step_size, self.fidelity.lipschitz)
        denoiser = guarantees.relax(self.denoiser.guarantee, self.relaxation)
        return Certificate(
            f"PnP-PGD: {CONVERGENCE}", guarantees.compose(BOX, denoiser, gradient), constants
        )

    def step(self, z: Tensor, iteration: int) -> Step:
        forward = z - self.step_size * self.fidelity.gradient(z)
        return Step(into_box(self._relaxed(forward)), z.new_zeros(z.shape[0]))

    def parameters(self) -> dict[str, float]:
        return {"step": self.step_size, **super().parameters()}


@dataclass(frozen=True)
class PnPHQS(_PnP):
    """x ← P N_λ prox_{γf}(x): half-quadratic splitting with a denoiser."""

    gamma: float = 1.0
    name = "pnp-hqs"

    def check(self) -> Certificate:
        if (missing := self._no_theorem(gamma=self.gamma)) is not None:
            return missing
        constants = (*self._prox_constants(self.gamma), self.denoiser.constant())
        denoiser = guarantees.relax(self.denoiser.guarantee, self.relaxation)
        return Certificate(
            f"PnP-HQS: {CONVERGENCE}",
            guarantees.compose(BOX, denoiser, guarantees.firm(PROX)),
            constants,
        )

    def step(self, z: Tensor, iteration: int) -> Step:
        return Step(*hqs(lambda v: self._prox(v, self.gamma, iteration), self._relaxed, z))

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return None if self.fidelity.exact_prox else self._inner_tolerance(z, iteration)

    def parameters(self) -> dict[str, float]:
        return {"gamma": self.gamma, **super().parameters()}


@dataclass(frozen=True)
class PnPDRS(_PnP):
    """z ← (1−λ)z + λ·P N(2 prox_{γf}(z) − z); the picture is prox_{γf}(z)."""

    gamma: float = 1.0
    name = "pnp-drs"

    def check(self) -> Certificate:
        constants = (
            *self._prox_constants(self.gamma),
            self.denoiser.constant(),
            Constant("relaxation λ", self.relaxation, "covered range (0, 1)"),
        )
        if not 0 < self.relaxation < 1:
            reason = f"relaxation {self.relaxation:.6g} lies outside the proven range (0, 1)"
            self._refuse(f"{reason} of Douglas–Rachford; take one inside it")
            return Certificate("", guarantees.none(reason), constants)
        if (missing := self._no_theorem(gamma=self.gamma)) is not None:
            return missing
        held = self.denoiser.guarantee
        if not held.is_nonexpansive:
            return Certificate(
                "", guarantees.none(str(held).removeprefix("no guarantee: ")), constants
            )
        source = (
            "Douglas–Rachford splitting: 2 prox − I is 1-Lipschitz, so is P∘N, and the "
            "relaxation by λ of their composition is λ-averaged (Lions & Mercier 1979; "
            "Bauschke & Combettes 2017, Prop. 4.40)"
        )
        return Certificate(
            f"PnP-DRS: {CONVERGENCE}", guarantees.averaged(self.relaxation, source), constants
        )

    def step(self, z: Tensor, iteration: int) -> Step:
        found = drs(
            lambda v: self._prox(v, self.gamma, iteration), self.denoiser, z, self.relaxation
        )
        return Step(*found)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return (
            None
            if self.fidelity.exact_prox
            else 2 * self.relaxation * self._inner_tolerance(z, iteration)
        )

    def image(self, z: Tensor) -> Tensor:
        return self._prox(z, self.gamma, LAST)[0].clamp(0, 1)

    def parameters(self) -> dict[str, float]:
        return {"gamma": self.gamma, **super().parameters()}
