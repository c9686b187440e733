"""FISTA: proximal gradient steps from extrapolated points, x⁺ = T y, y = x + β(x − x₋).

Each step applies A once and Aᵀ once: A x is kept, and that of y is extrapolated from two of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from operators.conjugate_gradient import image_dots, per_image
from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.solvers.convex.gradient import Descent, ProximalGradient
from pnp_recon.solvers.convex.objective import at_most
from pnp_recon.solvers.core.solver import Step, norms
from pnp_recon.solvers.core.theorem import Accelerated, Constant, Theorem, unproven

UPPER_BOUND = "f(x⁺) ≤ f(y) + ⟨∇f(y), x⁺ − y⟩ + L/2 ‖x⁺ − y‖² (ratio)"


@dataclass(frozen=True, kw_only=True)
class Momentum(Descent):
    """What FISTA remembers besides: the point before, A x of both, and k of each picture."""

    before: Tensor
    seen: Tensor
    seen_before: Tensor
    count: Tensor


@dataclass(frozen=True)
class FISTA(ProximalGradient):
    """x⁺ = prox_{τg}(y − τ∇f(y)), y = x + β(x − x₋); τ in (0, 1/L).

    Momentum counts the modulus m of g alone: that of f, where one is known at all, is mostly so
    small that restarts are faster.

    With m = 0, β = (k − 1)/(k + a) after k steps (Chambolle & Dossal 2015): F(x_k) − F* ≤
    a²‖x₀ − x*‖²/(2τ(k + a − 1)²), and the iterates converge. With `restart`, k starts anew in
    every picture where ⟨y − x⁺, x⁺ − x⟩ > 0 (O'Donoghue & Candès 2015, eq. 12). Convergence
    outlives any rule of restarting: see docs/variational.md. With m > 0, β = (√κ − 1)/(√κ + 1),
    κ = 1 + 1/(τm), and F(x_k) − F* ≤ (1 − 1/√κ)^k (F(x₀) − F* + m/2 ‖x₀ − x*‖²) (Beck 2017,
    Thm 10.42, with m/2 ‖·‖² moved from g to f, which changes neither step nor objective).

    Attributes:
        a: > 2.
        restart: as above, for m = 0.
    """

    a: float = 3.0
    restart: bool = True
    name = "fista"
    _reach: ClassVar[float] = 1.0
    _share: ClassVar[float] = 0.99

    def __post_init__(self) -> None:
        if not 2 < self.a < math.inf:
            raise InputError(f"a of FISTA must be a number > 2, found {self.a}")

    def _covered(self, constants: tuple[Constant, ...]) -> Theorem:
        held = guarantees.none("a map with momentum is not averaged")
        if not self.objective.exact:
            reason = (
                f"the proximal map of '{self.regulariser.name}' is a loop of its own, whose error "  # type: ignore[union-attr]
                "FISTA's theorem does not cover; use proximal-gradient, drs or pdhg"
            )
            return unproven(reason, constants)
        if self.objective.prior_convexity > 0:
            factor = 1 - 1 / math.sqrt(self._condition)
            words = f"objective and iterates converge linearly, factor {factor:.6g} of F − F*"
            source = "Beck 2017, Thm 10.42"
        else:
            words = "the iterates converge to a minimiser of f + g" + self.objective.existence()
            source = "Chambolle & Dossal 2015, Thm 4.1"
            if self.restart:
                source += "; across restarts, whose points are Fejér monotone, docs/variational.md"
            else:
                words += ", F − F* = O(1/k²)"
        premises = self.objective.premises(smooth=True)
        return Accelerated(f"FISTA: {words} ({source})", held, constants, premises, UPPER_BOUND)

    @property
    def _condition(self) -> float:
        """κ."""
        return 1 + 1 / (self.step_size * self.objective.prior_convexity)

    def step(self, state: Descent, iteration: int) -> Step[Descent]:
        z = state.z
        held = state if isinstance(state, Momentum) else self._fresh(state)
        beta = self._beta(held)
        y = z + beta * (z - held.before)
        slope = per_image(beta.flatten(), held.seen) if isinstance(beta, Tensor) else beta
        image = held.seen + slope * (held.seen - held.seen_before)
        gradient = self.fidelity.gradient_at(y, image)
        x, error, memory = self._advance(y, gradient, iteration, state.memory)
        after = self.fidelity.A.A(x)
        count = held.count + 1
        if self.restart:
            uphill = image_dots(y - x, x - z) > 0
            count = torch.where(uphill, torch.zeros_like(count), count)
        moved = Momentum(
            z=x,
            image=after,
            memory=memory,
            before=z,
            seen=after,
            seen_before=held.seen,
            count=count,
        )
        ratio = self._upper_bound(y, image, gradient, x, after)
        return Step(moved, error, norms(x - y), ratio)

    def at(self, state: Descent, z: Tensor) -> Descent:
        return state if z is state.z else Descent(z, memory=state.memory)

    def _fresh(self, state: Descent) -> Momentum:
        z = state.z
        image = self.fidelity.A.A(z)
        count = torch.zeros(z.shape[0], dtype=z.dtype, device=z.device)
        return Momentum(
            z=z,
            image=image,
            memory=state.memory,
            before=z,
            seen=image,
            seen_before=image,
            count=count,
        )

    def _beta(self, state: Momentum) -> Tensor | float:
        if self.objective.prior_convexity > 0:
            root = math.sqrt(self._condition)
            return (root - 1) / (root + 1)
        k = state.count
        return per_image((k - 1).clamp_min(0) / (k + self.a), state.z)

    def _upper_bound(
        self, y: Tensor, image: Tensor, gradient: Tensor, x: Tensor, after: Tensor
    ) -> Tensor | None:
        """Both sides of `UPPER_BOUND`, which a Lipschitz constant that is none breaks."""
        objective = self.objective
        if objective.missing(smooth=True) is not None:
            return None
        change = x - y
        old, new = self.fidelity.value_at(y, image), self.fidelity.value_at(x, after)
        right = old + image_dots(gradient, change) + self.smoothness / 2 * norms(change).square()
        return at_most(new, right + objective.rounding(y, image, old + new))
