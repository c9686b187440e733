"""What every learned energy can do: its value, its exact gradient, and the denoiser made of it.

It knows pictures and noise levels; which network computes the energy, and what a solver does with
it, is not known here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import ClassVar

import torch
from torch import Tensor, nn

from pnp_recon.networks.configs import (
    CriticConfig,
    GradientStepConfig,
    PatchFlowConfig,
    RidgeConfig,
)
from pnp_recon.networks.finite import all_finite


class Energy(nn.Module, ABC):
    """A function R_σ of pictures x (B, C, H, W) in [0, 1], differentiable, one value a picture.

    The noise level σ is a float, or a tensor of shape (), (1,) or (B,). Everything is computed in
    the dtype of the picture, which must be that of the weights.
    """

    config: CriticConfig | GradientStepConfig | PatchFlowConfig | RidgeConfig
    # Arithmetic of inner layers, None for that of the picture; an energy may have no use for it.
    compute_dtype: torch.dtype | None = None
    # Is the denoiser x − ∇R_σ(x)?
    denoises_by_gradient_step: ClassVar[bool] = False

    @property
    def sound(self) -> bool:
        """Are its numbers finite, and the fixed ones such that it is smooth and not negative?"""
        return all_finite(self)

    @abstractmethod
    def value(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """R_σ(x) of every picture, (B,)."""

    @abstractmethod
    def value_and_gradient(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        """R_σ(x), (B,), and ∇R_σ(x), (B, C, H, W); ordinary tensor operations, no autograd."""

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """The denoiser that the energy was trained as, (B, C, H, W) to (B, C, H, W)."""

    def gradient(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """∇R_σ(x), (B, C, H, W)."""
        return self.value_and_gradient(x, sigma)[1]

    def inner_filters(self) -> list[nn.Parameter]:
        """The filters that an orthogonalised update may move in training."""
        return []

    def lipschitz(self, sigma: float) -> float | None:
        """A proven Lipschitz constant of ∇R_σ on pictures of every size; None: none is known."""
        return None

    def weak_convexity(self, sigma: float) -> float | None:
        """A proven ρ ≥ 0 for which R_σ + ρ/2 ‖·‖² is convex, or None, as `lipschitz`."""
        return None

    def bend(self, sigma: Tensor) -> Tensor:
        """About the largest curvature of R_σ at each level, (B,): no bound, training steps by it.

        Of a denoiser x − ∇R that is nearly averaging it is about 1; there is a little on top.
        """
        return torch.full_like(sigma, 1.4)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return self.denoise(x, sigma)

    def recipe(self) -> dict[str, object]:
        return {"class": type(self).__name__, **asdict(self.config)}


def as_levels(x: Tensor, sigma: Tensor | float) -> Tensor:
    """The noise level of every picture, (B,), like x."""
    if isinstance(sigma, Tensor):
        return sigma.to(x).reshape(-1).expand(len(x))
    return torch.full((len(x),), float(sigma), dtype=x.dtype, device=x.device)
