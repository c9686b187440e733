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


def largest_square(response: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The square of the largest Schatten-32 norm of a transfer function over frequencies.

    Args:
        response: the impulse response of W, (C, out, pixels).
        cos, sin: see `waves`.
    """
    re = (response @ cos).permute(2, 1, 0)  # (frequencies, out, C)
    im = (response @ sin).permute(2, 1, 0)
    real, imag = re.mT @ re + im.mT @ im, re.mT @ im - im.mT @ re
    gram = torch.cat((torch.cat((real, -imag), -1), torch.cat((imag, real), -1)), -2)
    trace = diagonal_sum(gram) + 1e-12
    m, log = gram / trace, torch.zeros_like(trace)
    for _ in range(5):  # afterwards (gram/trace)³² = m exp(log)
        m = m @ m
        size = diagonal_sum(m) + 1e-30
        m, log = m / size, 2 * log + size.log()
    # Every singular value occurs twice in the real form, hence the root of two.
    return (trace * torch.exp(log / 32) * 2 ** (-1 / 32)).max()
