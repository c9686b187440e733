"""Critical points of ½‖Ax − y‖² + λR_σ(x), and the derivative of an error there.

At a critical point x the total derivative of a loss with respect to the weights of R is that of
−λ⟨v, ∇R_σ(x)⟩ with (AᵀA + λ∇²R_σ(x)) v = dloss/dx: the implicit function theorem. The equation is
solved by conjugate gradients, with products with the Hessian from one more reverse pass. With the
identity in place of ∇²R the direction is wrong, and training diverged (scripts/accelerator).
Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.networks.energies.energy import Energy
from pnp_recon.training.energy.denoising import expected_error
from pnp_recon.training.energy.problems import Restoration

# Continuation: from this level down to σ in so many steps; c = RATIO (σ/level)².
TOP, STAGES, RATIO = 40 / 255, 6, 0.25
# Share of the iterations to the critical point that may be coarse, and their relative change
# at which they end; that of the others.
COARSE, COARSE_CHANGE, CHANGE = 0.4, 1e-3, 2e-4
# Preconditioner of the adjoint equation: (AᵀA + λ BEND)⁻¹.
BEND = 0.7
# The adjoint is solved to this reduction of r·M⁻¹r; a picture is left out where it stays above.
SOLVED, ACCEPTED = 1e-4, 0.3
# Errors below this (50 dB) do not draw all attention to themselves.
LEAST_ERROR = 1e-5


def dots(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)


@torch.no_grad()
def continuation(energy: Energy, problem: Restoration) -> Tensor:
    """A start: half-quadratic splitting with falling noise levels (Zhang et al. 2017)."""
    data, level = problem.data, problem.level
    x = data.guess
    for i in range(STAGES):
        part = i / (STAGES - 1)
        now = TOP ** (1 - part) * level**part
        c = RATIO * (level / now).square()[:, None, None, None]
        x = z = data.inverse(data.back + c * x, c)
        if i < STAGES - 1:
            x = z - energy.gradient(z, now)
    return x


@torch.no_grad()
def critical_point(
    energy: Energy, problem: Restoration, start: Tensor, iterations: int, change: float = CHANGE
) -> Tensor:
    """Accelerated forward-backward steps with restarts, the proximal map of the data's term.

    Ends where the iterates change by less than `change` relatively.
    """
    data, weight, sigma = problem.data, problem.weight, problem.level
    x = v = start
    t = torch.ones_like(weight)
    bend = energy.bend(sigma)[:, None, None, None] * weight  # 1/τ
    for _ in range(iterations):
        z = v - weight / bend * energy.gradient(v, sigma)
        new = data.inverse(bend * z + data.back, bend)
        t = torch.where(dots(v - new, new - x) > 0, torch.ones_like(t), t)
        larger = (1 + (1 + 4 * t * t).sqrt()) / 2
        moved = float((new - x).norm() / new.norm())
        v = new + (t - 1) / larger * (new - x)
        x, t = new, larger
        if moved < change:
            break
    return x


@dataclass(frozen=True, eq=False)
class Adjoint:
    """The solution v (B, C, H, W) of the adjoint equation; 0 for pictures that were left out.

    Attributes:
        solution: v.
        gradient: ∇R_σ(x), to be differentiated with respect to the weights.
        solved: which pictures were not left out, (B, 1, 1, 1).
    """

    solution: Tensor
    gradient: Tensor
    solved: Tensor


def adjoint(
    energy: Energy,
    problem: Restoration,
    x: Tensor,
    slope: Tensor,
    iterations: int,
    solved: float = SOLVED,
) -> Adjoint:
    """(AᵀA + λ∇²R)v = slope by preconditioned conjugate gradients, each picture by itself.

    A picture is done where r·M⁻¹r is `solved` times what it was. Its iteration ends as well where
    its curvature is not positive: x is then no minimum.
    """
    data, weight = problem.data, problem.weight
    point = x.detach().requires_grad_(True)
    with torch.enable_grad():
        gradient = energy.gradient(point, problem.level)

    def hessian(u: Tensor) -> Tensor:
        (bent,) = torch.autograd.grad(gradient, point, u, retain_graph=True)
        return data.gram(u) + weight * bent

    v, r = torch.zeros_like(slope), slope
    z = p = data.inverse(r, weight * BEND)
    first = size = dots(r, z)
    live = torch.ones_like(size)
    for _ in range(iterations):
        bent = hessian(p)
        curvature = dots(p, bent)
        live = live * (curvature > 1e-12 * dots(p, p)) * (size > solved * first)
        if not bool(live.any()):
            break
        step = live * size / curvature.clamp_min(1e-30)
        v, r = v + step * p, r - step * bent
        z = data.inverse(r, weight * BEND)
        new = dots(r, z)
        p = torch.where(live > 0, z + new / size.clamp_min(1e-30) * p, p)
        size = torch.where(live > 0, new, size)
    good = (size < ACCEPTED * first).to(v)
    return Adjoint((v * good).detach(), gradient, good)


@dataclass(frozen=True)
class Effort:
    """Iterations to the critical point and of the adjoint; whether the first ones are coarse."""

    solve: int
    adjoint: int
    coarse: bool = False


def reached(energy: Energy, problem: Restoration, effort: Effort) -> Tensor:
    """A critical point, nearly, from the continuation."""
    with _coarse(energy, effort.coarse):
        x = continuation(energy, problem)
        first = round(COARSE * effort.solve)
        x = critical_point(energy, problem, x, first, COARSE_CHANGE)
    return critical_point(energy, problem, x, effort.solve - first)


@torch.no_grad()
def shown(energy: Energy, problem: Restoration, x: Tensor) -> Tensor:
    """What `solvers.descent` shows of a critical point x: itself, or x + (AᵀA x − Aᵀy)/λ.

    The latter for an energy whose denoiser is the gradient step: at x it is x − ∇R_σ(x).
    """
    return energy.denoise(x, problem.level) if energy.denoises_by_gradient_step else x


def critical_loss(
    energy: Energy, problem: Restoration, clean: Tensor, effort: Effort
) -> tuple[Tensor, Tensor]:
    """½ log of the squared error at the critical point, relative to the expected denoising error.

    Returns:
        What is differentiated, and the loss.
    """
    x = reached(energy, problem, effort)
    return loss_at(energy, problem, x, clean, effort.adjoint)


def loss_at(
    energy: Energy,
    problem: Restoration,
    x: Tensor,
    clean: Tensor,
    iterations: int,
    solved: float = SOLVED,
) -> tuple[Tensor, Tensor]:
    """`critical_loss` at a critical point x that is known.

    The error is that of what is `shown` of it, and so is its derivative with respect to x.
    """
    error = shown(energy, problem, x) - clean
    square = error.square().mean((1, 2, 3), keepdim=True)
    slope = error / square.clamp_min(LEAST_ERROR) / error[0].numel()
    if energy.denoises_by_gradient_step:
        slope = slope + problem.data.gram(slope) / problem.weight
    found = adjoint(energy, problem, x, slope, iterations, solved)
    differentiated = -(found.gradient * (problem.weight * found.solution)).sum() / len(x)
    value = 0.5 * torch.log(square.flatten() / expected_error(problem.level)).mean()
    return differentiated, value


@contextmanager
def _coarse(energy: Energy, wanted: bool) -> Iterator[None]:
    before = energy.compute_dtype
    energy.compute_dtype = torch.bfloat16 if wanted else before
    try:
        yield
    finally:
        energy.compute_dtype = before
