"""Points for invertible blocks, and what dense Jacobians say about them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pnp_recon.networks.invertible.base import Invertible


def points(form: str, channels: int = 5, count: int = 3, spread: float = 2.0) -> Tensor:
    """Vectors (count, channels) or features (count, channels, 3, 4), float64."""
    shape = (count, channels) if form == "vectors" else (count, channels, 3, 4)
    generator = torch.Generator().manual_seed(1)
    return spread * torch.randn(shape, generator=generator, dtype=torch.float64)


def jacobian(function: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    found = torch.autograd.functional.jacobian(lambda z: function(z[None])[0], point)
    return found.reshape(-1, point.numel())


def determinants(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log|det| of the Jacobian at each sample, (B,)."""
    return torch.stack([torch.linalg.slogdet(jacobian(function, one))[1] for one in x])


def stretch(part: Invertible, x: Tensor) -> tuple[float, float]:
    """Largest and smallest ‖T'(x)v‖/‖v‖ over the points: dense singular values."""
    values = [torch.linalg.svdvals(jacobian(lambda z: part(z)[0], one)) for one in x]
    return float(torch.stack(values).max()), float(torch.stack(values).min())
