"""Frequencies at which the transfer function of filters is looked at, for normalising them.

An estimate for training; what is proven of filters is in `bounds`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The transfer function of W is bounded on a grid of so many frequencies in each direction.
FREQUENCIES = 32


def waves(width: int) -> tuple[Tensor, Tensor]:
    """cos and sin of the frequencies of half the grid at the pixels of a filter, (pixels, F)."""
    n = FREQUENCIES
    ky, kx = torch.meshgrid(torch.arange(n), torch.arange(n // 2 + 1), indexing="ij")
    y, x = torch.meshgrid(torch.arange(width), torch.arange(width), indexing="ij")
    pixels = ky.reshape(-1, 1) * y.reshape(1, -1) + kx.reshape(-1, 1) * x.reshape(1, -1)
    phase = 2 * math.pi / n * pixels
    return phase.cos().T.contiguous(), phase.sin().T.contiguous()


def diagonal_sum(m: Tensor) -> Tensor:
    return m.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
