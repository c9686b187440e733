"""Optimisers that keep a structure of a dissipative flow, as `torch.optim.Optimizer`s.

u̇ = ∂T/∂p, ṗ = −∇J(u) − γp lets H = T(p) + J(u) fall by dH/dt = −γ⟨p, ∇T(p)⟩, and shrinks the
symplectic form: JᵀΩJ = e^{−γt}Ω. Steps that shrink it by the same factor everywhere are conformal
symplectic (França, Sulam, Robinson & Vidal 2020); heavy ball and relativistic descent are,
Nesterov's method is not. Itoh–Abe descent is of another kind: it takes no gradient, and J falls
for every step size.

They are for functions whose structure is of interest, not what this package trains with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pnp_recon.errors import InputError

Closure = Callable[[], Any]
# Least step of Itoh–Abe descent along an entry, relative to 1 + |entry|, and its inner bisections.
LEAST, BISECTIONS, DOUBLINGS = 1e-14, 60, 200


# ---- one step, as functions of position and momentum --------------------------------------------


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
    return u + h * p / (p.square().sum() + softening).sqrt(), p


def itoh_abe(value: Callable[[float], float], h: float, start: float) -> float:
    """s with value(s) + s²/h ≤ value(0), s = 0 where none was found: one entry moved by s.

    The exact step is s ≠ 0 with equality, −h times the discrete gradient. It is enclosed, and the
    end where the inequality holds is taken: so the function falls whatever h is, and however
    coarse the enclosure.

    Args:
        value: the function along the entry.
        h: the step size, > 0.
        start: the first length that is tried, on both sides, > 0; halved where it is too long.
    """
    base = value(0.0)

    def gain(s: float) -> float:
        return value(s) - base + s * s / h

    low, length = 0.0, start
    for _ in range(DOUBLINGS):
        low = next((s for s in (length, -length) if gain(s) < 0), 0.0)
        if low or length < LEAST:
            break
        length /= 4
    if not low:
        return 0.0
    high = 2 * low
    for _ in range(DOUBLINGS):
        if not gain(high) < 0:
            break
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if gain(middle) < 0 else (low, middle)
    return low


# ---- optimisers ---------------------------------------------------------------------------------


class _Momentum(torch.optim.Optimizer):
    """A momentum beside every parameter."""

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
        _positive(lr=lr, mass=mass)
        if not 0 <= lr * damping < 1:
            raise InputError(f"hγ is {lr * damping:g}; expected at least 0 and below 1")
        super().__init__(params, {"lr": lr, "damping": damping, "mass": mass})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = _evaluated(closure)
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
        _positive(lr=lr)
        if not 0 <= momentum < 1:
            raise InputError(f"momentum is {momentum:g}; expected at least 0 and below 1")
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One step; the result is the closure's at u + μp.

        Raises:
            InputError: no closure.
        """
        evaluate, before = _needed(closure), []
        for group in self.param_groups:
            for u in group["params"]:
                before.append(u.clone())
                if "momentum" in self.state[u]:
                    u.add_(self.state[u]["momentum"], alpha=group["momentum"])
        loss = _evaluated(evaluate)
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
        _positive(lr=lr, softening=softening)
        if not 0 <= damping < math.inf:
            raise InputError(f"damping is {damping:g}; expected at least 0")
        super().__init__(params, {"lr": lr, "damping": damping, "softening": softening})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        loss = _evaluated(closure)
        for group in self.param_groups:
            for u, p, slope in self._with_slopes(group):
                moved, momentum = relativistic(
                    u, p, slope, group["lr"], group["damping"], group["softening"]
                )
                u.copy_(moved), p.copy_(momentum)
        return loss


class ItohAbe(torch.optim.Optimizer):
    """Discrete gradient descent, entry by entry: the loss falls for every step size.

    Each entry moves by s with J(u + seᵢ) + s²/h ≤ J(u), and by no gradient; a step evaluates the
    closure, which must not call `backward`, about a hundred times for each entry. For few
    parameters, and losses without noise.

    Args:
        params: as every optimiser of torch takes them.
        lr: h > 0, as large as one likes.

    Source: Itoh & Abe 1988; Grimm, McLachlan, McLaren, Quispel & Schönlieb 2017.
    """

    def __init__(self, params: Any, lr: float) -> None:
        _positive(lr=lr)
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One sweep over all entries; the result is the loss before it.

        Raises:
            InputError: no closure.
        """
        evaluate = _needed(closure)
        loss = evaluate()
        for group in self.param_groups:
            for u in group["params"]:
                entries = u.view(-1)
                for i in range(len(entries)):
                    self._move(entries, i, group["lr"], evaluate)
        return loss

    def _move(self, entries: Tensor, i: int, h: float, evaluate: Closure) -> None:
        before = float(entries[i])

        def value(s: float) -> float:
            entries[i] = before + s
            return float(evaluate())

        entries[i] = before + itoh_abe(value, h, 1e-3 * (1 + abs(before)))


def _evaluated(closure: Closure | None) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _needed(closure: Closure | None) -> Closure:
    if closure is None:
        raise InputError("this optimiser evaluates the loss itself; give step() a closure")
    return closure


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value:g}; expected a finite number above 0")
