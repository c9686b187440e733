"""Gradient methods for min F(x) = f(x) + g(x): gradient descent, proximal gradient, ISTA.

L is the proven Lipschitz constant of ∇f, m the strong convexity of g.

* gradient descent  x − τ∇F(x), g a ridge or nothing, 0 < τ < 2/(L + m);
* proximal gradient  T x = prox_{τg}(x − τ∇f(x)), 0 < τ < 2/L: averaged, and with m > 0 a
  contraction; ISTA is its name for sparse g.

Each step applies A once and Aᵀ once, since A x is kept for the next gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity
from pnp_recon.guarantees import Guarantee
from pnp_recon.proximal import Regulariser, Ridge
from pnp_recon.solvers.convex.objective import GAP_FLOOR, Objective, at_most, inner_tolerance
from pnp_recon.solvers.core.certificate import Certificate, Constant
from pnp_recon.solvers.core.laws import Laws, averaged_laws
from pnp_recon.solvers.core.loop import Solver, Step, norms

# Names of the regularisers that make pictures, or their coefficients, sparse.
SPARSE = ("l1", "elastic-net", "wavelet-l1")
DESCENT = "F(x⁺) + (1/τ − L/2)‖x⁺ − x‖² ≤ F(x) (ratio)"


@dataclass(frozen=True)
class ProximalGradient(Solver):
    """x ← prox_{τg}(x − τ∇f(x)).

    Attributes:
        fidelity: f, with a Lipschitz gradient.
        regulariser: g; its proximal map may be a loop of its own; None: zero.
        step_size: τ in (0, 2/L).
        start: x₀ (B, C, H, W).
    """

    fidelity: Fidelity
    regulariser: Regulariser | None
    step_size: float
    start: Tensor
    allow_uncertified: bool = False
    # x and A x of the last step, by identity of x: for the next gradient and objective.
    _kept: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)

    name = "proximal-gradient"
    _reach = 2.0  # the step's range is (0, _reach/L)

    @property
    def objective(self) -> Objective:
        return Objective(self.fidelity, self.regulariser)

    @property
    def smoothness(self) -> float:
        """L of the part that the gradient step is about."""
        return self.fidelity.lipschitz

    def check(self) -> Certificate:
        missing = self.objective.missing(smooth=True)
        if missing is not None:
            return Certificate("", guarantees.none(missing))
        limit = self._reach / self.smoothness if self.smoothness > 0 else math.inf
        constants: tuple[Constant, ...] = (
            Constant("L", self.smoothness, self.fidelity.A.norm_certificate.method),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
        )
        if self.objective.strong_convexity > 0:
            words = f"strong convexity of {self.objective.regulariser.name}"  # type: ignore[union-attr]
            constants += (Constant("m", self.objective.strong_convexity, words),)
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, "
                f"{self._reach:g}/L) = (0, {limit:.6g}), L = {self.smoothness:.6g}"
            )
            if not (self.allow_uncertified and 0 < self.step_size < math.inf):
                raise StepSizeError(f"{reason}; take a step inside it or allow an uncertified run")
            return Certificate("", guarantees.none(reason), constants)
        return self._certificate(constants)

    def _certificate(self, constants: tuple[Constant, ...]) -> Certificate:
        held = self._guarantee()
        words = "the iterates converge to a minimiser of f + g"
        if held.is_contraction:
            words = f"the iterates converge linearly, factor {held.lipschitz:.6g}, to the minimiser"
        return Certificate(
            f"{self.name}: {words}{self.objective.existence()} (Krasnosel'skii–Mann; Bauschke & "
            "Combettes 2017, Cor. 28.9)",
            held,
            constants,
        )

    def _guarantee(self) -> Guarantee:
        descent = guarantees.gradient_step(self.step_size, self.smoothness)
        if self.regulariser is None:
            return descent
        return guarantees.compose(self.regulariser.guarantee_of(self.step_size), descent)

    def laws(self, certificate: Certificate) -> Laws:
        laws = contracting_laws(certificate.guarantee)
        return replace(laws, step=DESCENT) if self.objective.exact else laws

    def init(self) -> Tensor:
        self._kept.clear()
        box = self.objective.box
        return self.start if box is None else box.prox(self.start, 1.0)[0]

    def step(self, z: Tensor, iteration: int) -> Step:
        image = self._image_of(z)
        gradient = self.fidelity.A.A_adjoint(self.fidelity.loss_gradient(image))
        x, error = self._advance(z, gradient, iteration)
        after = self.fidelity.A.A(x)
        self._kept[:] = [x, after]
        return Step(x, error, ratio=self._descent(z, image, x, after))

    def _image_of(self, z: Tensor) -> Tensor:
        known = self._kept and self._kept[0] is z
        return self._kept[1] if known else self.fidelity.A.A(z)

    def _advance(self, x: Tensor, gradient: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """The next point and a bound (B,) of its error."""
        forward = x - self.step_size * gradient
        if self.regulariser is None:
            return forward, torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
        tol = inner_tolerance(x, iteration, GAP_FLOOR)
        warm = self._kept[0] if self._kept else x
        return self.regulariser.prox(forward, self.step_size, tol=tol, start=warm)

    def _descent(self, x: Tensor, image: Tensor, after: Tensor, moved: Tensor) -> Tensor | None:
        """Both sides of `DESCENT`; None where the proximal map is inexact."""
        objective = self.objective
        if not objective.exact or objective.missing(smooth=True) is not None:
            return None
        old = self.fidelity.loss(image) + objective.penalty(x)
        new = self.fidelity.loss(moved) + objective.penalty(after)
        gain = (1 / self.step_size - self.smoothness / 2) * norms(after - x).square()
        return at_most(new + gain, old + objective.rounding(x, image, old + new))

    def image(self, z: Tensor) -> Tensor:
        return z

    def distance_bound(self, z: Tensor) -> Tensor | None:
        return self.objective.radius(z)

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return None if self.objective.exact else inner_tolerance(z, iteration, GAP_FLOOR)

    def parameters(self) -> dict[str, float]:
        return {"step": self.step_size}


@dataclass(frozen=True)
class GradientDescent(ProximalGradient):
    """x ← x − τ∇(f + g)(x), g = m/2 ‖·‖² or nothing; τ in (0, 2/(L + m))."""

    name = "gradient-descent"

    def __post_init__(self) -> None:
        if not (self.regulariser is None or isinstance(self.regulariser, Ridge)):
            raise InputError(
                f"gradient-descent takes a smooth regulariser (ridge) or none, found "
                f"'{self.regulariser.name}'; use proximal-gradient or fista"
            )

    @property
    def smoothness(self) -> float:
        return self.fidelity.lipschitz + self.objective.strong_convexity

    def _guarantee(self) -> Guarantee:
        """I − τ∇F = (1 − τm)I − τ∇f has constant max(|1 − τm|, |1 − τ(L + m)|)."""
        held = guarantees.gradient_step(self.step_size, self.smoothness)
        m = self.objective.strong_convexity
        if m == 0:
            return held
        ends = (1 - self.step_size * m, 1 - self.step_size * self.smoothness)
        constant = min(1.0, max(map(abs, ends)) * (1 + 1e-12))
        return replace(held, lipschitz=constant)

    def _advance(self, x: Tensor, gradient: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        m = self.objective.strong_convexity
        error = torch.zeros(x.shape[0], dtype=x.dtype, device=x.device)
        return x - self.step_size * (gradient + m * x), error


@dataclass(frozen=True)
class ISTA(ProximalGradient):
    """Iterative soft thresholding: proximal gradient with a sparse regulariser."""

    name = "ista"

    def __post_init__(self) -> None:
        found = None if self.regulariser is None else self.regulariser.name
        if found not in SPARSE:
            raise InputError(
                f"ista takes a regulariser that makes sparse ({', '.join(SPARSE)}), found "
                f"{found!r}; use proximal-gradient, which takes any"
            )


def contracting_laws(guarantee: Guarantee) -> Laws:
    """Those of an averaged map, and of a contraction where it is one.

    With constant q < 1, ‖z_{k+1} − z_k‖ ≤ (1 + q)‖z_k − z*‖ ≤ (1 + q) q^k ‖z₀ − z*‖ (Banach).
    """
    laws, q = averaged_laws(guarantee.averagedness), guarantee.lipschitz
    slow = laws.rate
    if q is None or q >= 1 or slow is None:
        return laws
    return replace(laws, rate=lambda k: min(slow(k), (1 + q) * q**k), rate_words="linear")
