"""Norms of a picture's gradient, pixel by pixel: how directions and channels are coupled.

A gradient p (B, 2, C, H, W) holds at every pixel a 2 × C matrix J. The norms of J:

* isotropic: Σ_c ‖J_c‖₂, every channel by itself (Rudin, Osher & Fatemi 1992);
* vectorial: ‖J‖_F, so that the channels share their edges (Blomgren & Chan 1998, there with the
  root outside the sum over pixels; in this form Bresson & Chan 2008);
* nuclear: σ₁ + σ₂, so that they share directions, too (Holt 2014).

With one channel all three agree. The dual norms are max_c ‖J_c‖₂, ‖J‖_F and σ₁, and the proximal
map of the conjugate is the projection onto their ball.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.proximal.base import Regulariser, checked_step, checked_weight, no_error

Coupling = Literal["isotropic", "vectorial", "nuclear"]
COUPLINGS: tuple[Coupling, ...] = get_args(Coupling)


def pixel_norms(p: Tensor, coupling: Coupling) -> Tensor:
    """The norm at every pixel, (B, C, H, W) if isotropic, else (B, 1, H, W)."""
    if coupling != "nuclear":
        return _squares(p, coupling).squeeze(1).sqrt()
    # (σ₁ + σ₂)² = ‖J‖_F² + 2 √det(J Jᵀ)
    return (_squares(p, "vectorial").squeeze(1) + 2 * _determinant(p).sqrt().unsqueeze(1)).sqrt()


def project(p: Tensor, radius: float, coupling: Coupling) -> Tensor:
    """The nearest point whose dual norm is at most `radius` in every pixel."""
    if coupling == "nuclear" and p.shape[2] > 1:
        return _clip_singular_values(p, radius)
    return p * _shrink(_squares(p, coupling), radius)


def _squares(p: Tensor, coupling: Coupling) -> Tensor:
    """‖J_c‖² (B, 1, C, H, W), or, where the channels are coupled, ‖J‖_F² (B, 1, 1, H, W).

    A sum of squares along these axes is forty times as fast as `vector_norm` on the CPU.
    """
    return p.square().sum(1 if coupling == "isotropic" else (1, 2), keepdim=True)


def _shrink(square: Tensor, radius: float) -> Tensor:
    """min(1, radius/size) for sizes whose squares are given."""
    if radius == 0:
        return torch.zeros_like(square)
    floor = max(radius * radius, torch.finfo(square.dtype).tiny)
    return square.clamp_min(floor).rsqrt_().mul_(radius)


def _determinant(p: Tensor) -> Tensor:
    """(σ₁σ₂)² = det(J Jᵀ), (B, H, W), as the sum of the squared 2 × 2 minors (Cauchy–Binet).

    ac − b² of the Gram matrix would lose its digits where the two rows are parallel, as they are
    along every clean edge.
    """
    down, across = p[:, 0], p[:, 1]
    total = torch.zeros_like(down[:, 0])
    for i, j in itertools.combinations(range(p.shape[2]), 2):
        minor = down[:, i] * across[:, j] - down[:, j] * across[:, i]
        total = total + minor.square()
    return total


def _clip_singular_values(p: Tensor, radius: float) -> Tensor:
    """V min(S, radius) Wᵀ for J = V S Wᵀ, through the 2 × 2 Gram matrix J Jᵀ."""
    down, across = p[:, 0], p[:, 1]
    a, c = down.square().sum(1), across.square().sum(1)
    b = (down * across).sum(1)
    half = 0.5 * (a - c)
    spread = torch.hypot(half, b)  # (σ₁² − σ₂²)/2
    first = 0.5 * (a + c) + spread  # σ₁²
    tiny = torch.finfo(p.dtype).tiny
    h1, h2 = _shrink(first, radius), _shrink(_determinant(p) / first.clamp_min(tiny), radius)
    # M = h₁v₁v₁ᵀ + h₂v₂v₂ᵀ in terms of the reflection v₁v₁ᵀ − v₂v₂ᵀ, which is (half, b)/spread.
    mean, difference = 0.5 * (h1 + h2), 0.5 * (h1 - h2) / spread.clamp_min(tiny)
    diagonal, off = (difference * half).unsqueeze(1), (difference * b).unsqueeze(1)
    mean = mean.unsqueeze(1)
    return torch.stack(
        ((mean + diagonal) * down + off * across, off * down + (mean - diagonal) * across), dim=1
    )


@dataclass(frozen=True)
class GradientNorm(Regulariser):
    """weight·Σ_pixels ‖J‖ of gradients (B, 2, C, H, W): what total variation is outside of ∇."""

    weight: float
    coupling: Coupling = "isotropic"
    name: ClassVar[str] = "gradient-norm"
    finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_weight(self.weight, "weight of total variation")
        if self.coupling not in COUPLINGS:
            raise InputError(f"coupling is {self.coupling!r}; choose one of {', '.join(COUPLINGS)}")

    def value(self, x: Tensor) -> Tensor:
        return self.weight * pixel_norms(x, self.coupling).flatten(1).sum(1)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        """By Moreau's identity: what the projection takes away."""
        return x - project(x, checked_step(step) * self.weight, self.coupling), no_error(x)

    def conjugate_prox(self, u: Tensor, step: float) -> Tensor:
        """The projection onto the dual ball of radius `weight`, whatever the step."""
        checked_step(step)
        return project(u, self.weight, self.coupling)
