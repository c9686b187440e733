"""Heavy ball, Nesterov's method and relativistic descent: dissipative Hamiltonian flows in steps.

u̇ = ∂T/∂p, ṗ = −∇J(u) − γp lets H = T(p) + J(u) fall by dH/dt = −γ⟨p, ∇T(p)⟩, and shrinks the
symplectic form: JᵀΩJ = e^{−γt}Ω. Steps that shrink it by the same factor everywhere are conformal
symplectic (França, Sulam, Robinson & Vidal 2020); heavy ball and relativistic descent are,
Nesterov's method is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.closures import (
    Closure,
    Stepping,
    evaluated,
    needed,
    not_negative,
    positive,
)


def heavy_ball(
    u: Tensor, p: Tensor, slope: Tensor, h: float, damping: float, mass: float = 1.0
) -> tuple[Tensor, Tensor]:
    """p⁺ = (1 − hγ)p − h∇J(u), u⁺ = u + (h/m)p⁺: JᵀΩJ = (1 − hγ)Ω."""
    p = (1 - h * damping) * p - h * slope
    return u + (h / mass) * p, p


def relativistic(
    u: Tensor, p: Tensor, slope: Tensor, h: float, damping: float, softening: float = 1.0
) -> tuple[Tensor, Tensor]:
    """p⁺ = (p − h∇J(u))/(1 + hγ), u⁺ = u + hp⁺/√(‖p⁺‖² + ε): JᵀΩJ = Ω/(1 + hγ), ‖u⁺ − u‖ < h."""
    p = (p - h * slope) / (1 + h * damping)
    return u + h * p / (p.abs().square().sum() + softening).sqrt(), p


class _Momentum(Stepping):
    """A momentum beside every parameter."""

    takes_complex = True

    def _with_slopes(self, group: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for u in group["params"]:
            if u.grad is not None:
                if "momentum" not in self.state[u]:
                    self.state[u]["momentum"] = torch.zeros_like(u)
                yield u, self.state[u]["momentum"], u.grad


class HeavyBall(_Momentum):
    """`heavy_ball` of all parameters: SGD with the rate h²/m and the momentum 1 − hγ.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0.
        damping: γ with 0 ≤ hγ < 1.
        mass: m > 0.

    Source: Polyak 1964.
    """

    def __init__(self, params: Any, lr: float, damping: float, mass: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "damping": damping, "mass": mass})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        positive(mass=group["mass"])
        product = group["lr"] * group["damping"]
        if not 0 <= product < 1:
            raise InputError(f"hγ is {product:g}; expected at least 0 and below 1")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = evaluated(closure)
        for group in self.param_groups:
            for u, p, slope in self._with_slopes(group):
                moved, momentum = heavy_ball(
                    u, p, slope, group["lr"], group["damping"], group["mass"]
                )
                u.copy_(moved), p.copy_(momentum)
        return loss


class Nesterov(_Momentum):
    """p⁺ = μp − h∇J(u + μp), u⁺ = u + p⁺; the closure is called at u + μp.

    Not conformal symplectic: the form shrinks by a factor that depends on the Hessian.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0.
        momentum: μ in [0, 1).

    Source: Nesterov 1983, in the form of Sutskever et al. 2013.
    """

    def __init__(self, params: Any, lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if not 0 <= group["momentum"] < 1:
            raise InputError(f"momentum is {group['momentum']:g}; expected at least 0 and below 1")

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One step; the result is the closure's at u + μp.

        Raises:
            InputError: no closure.
        """
        evaluate, before = needed(closure), []
        for group in self.param_groups:
            for u in group["params"]:
                before.append(u.clone())
                if "momentum" in self.state[u]:
                    u.add_(self.state[u]["momentum"], alpha=group["momentum"])
        loss = evaluated(evaluate)
        places = iter(before)
        for group in self.param_groups:
            for u in group["params"]:
                u.copy_(next(places))
            for u, p, slope in self._with_slopes(group):
                p.mul_(group["momentum"]).sub_(slope, alpha=group["lr"])
                u.add_(p)
        return loss


class Relativistic(_Momentum):
    """`relativistic` of each parameter: no step moves a parameter by h or more.

    Args:
        params: as every optimiser of torch takes them; the norm is that of each tensor.
        lr: h > 0.
        damping: γ ≥ 0.
        softening: ε > 0; where it is large the method is heavy ball with m = √ε.

    Source: França, Sulam, Robinson & Vidal 2020.
    """

    def __init__(self, params: Any, lr: float, damping: float, softening: float = 1.0) -> None:
        super().__init__(params, {"lr": lr, "damping": damping, "softening": softening})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        positive(softening=group["softening"])
        not_negative(damping=group["damping"])

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = evaluated(closure)
        for group in self.param_groups:
            for u, p, slope in self._with_slopes(group):
                moved, momentum = relativistic(
                    u, p, slope, group["lr"], group["damping"], group["softening"]
                )
                u.copy_(moved), p.copy_(momentum)
        return loss
