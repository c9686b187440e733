"""Where a search for pictures that a map moves apart begins: directions and far pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from operators.conjugate_gradient import per_image


def far_points(z: Tensor, first: Tensor) -> Sequence[Tensor]:
    """Pictures (B, C, H, W) far from z: pairs with them see what no derivative at z does."""
    grey = torch.full_like(z, 0.5)
    return (grey, z.flip(-1), first, torch.zeros_like(z), 1 - z, torch.ones_like(z))


def unit(d: Tensor) -> Tensor:
    """(B, C, H, W) as unit vectors (B, N)."""
    flat = d.flatten(1)
    return flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(1e-30)


def noise(z: Tensor, seed: int) -> Tensor:
    """The same for every picture of a batch: what is found does not depend on its company."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(z.shape[1:], generator=generator).to(z).expand_as(z)


def _coarse(z: Tensor, seed: int) -> Tensor:
    """Noise of low frequencies, and a little of the others: no direction is left out for good."""
    small = F.adaptive_avg_pool2d(noise(z, seed), (min(z.shape[-2], 6), min(z.shape[-1], 6)))
    wide = F.interpolate(small, z.shape[-2:], mode="bilinear", align_corners=False)
    wide = wide / wide.std().clamp_min(1e-30)
    return wide + 0.1 * noise(z, seed + 1)


def _fine(z: Tensor, seed: int) -> Tensor:
    """Noise times a checkerboard's signs, smoothed before: high frequencies."""
    rows, columns = (torch.arange(side, device=z.device) for side in z.shape[-2:])
    signs = (1 - 2 * ((rows[:, None] + columns) % 2)).to(z)
    return _coarse(z, seed) * signs


def _place(z: Tensor, seed: int) -> Tensor:
    """Noise where the picture changes most: denoisers do most there."""
    detail = (z - F.avg_pool2d(z, 3, 1, 1, count_include_pad=False)).abs().mean(1, keepdim=True)
    wide = F.avg_pool2d(detail, 5, 1, 2)
    return noise(z, seed) * per_image(1 / wide.amax((1, 2, 3)).clamp_min(1e-30), wide) * wide


def _itself(z: Tensor, seed: int) -> Tensor:
    return z - 0.5 + 1e-3 * noise(z, seed)


# Noise is the last: the chain goes on from it, and it has a part in every direction.
SEEDS = (_coarse, _itself, _fine, _place, noise)
