"""Convolution by FFT: lengths, placing and cropping on a grid, and a bound of the rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

EPS = torch.finfo(torch.float64).eps


def next_smooth(n: int) -> int:
    """The smallest number >= n without a prime factor above 5: lengths that FFTs are fast at."""
    while not is_smooth(n):
        n += 1
    return n


def is_smooth(n: int) -> bool:
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n == 1


def fft_convolution_error(kernel_norm: float, grid: Sequence[int]) -> float:
    """Entrywise error of a float64 cyclic convolution by FFT, per unit of the image's norm.

    Percival 2003 (Math. Comp. 72, Theorem 5.1): on 2ⁿ points the error of x∗y is below
    ‖x‖‖y‖ ((1+u)³ⁿ (1+√5 u)³ⁿ⁺¹ (1+β)³ⁿ − 1), u the unit round-off and β the error of the twiddle
    factors. Two further levels stand for the packing of real data and the result is doubled, so
    that a library only needs to be no worse than twice the textbook algorithm.
    """
    u = EPS / 2
    n = math.ceil(math.log2(math.prod(grid))) + 2
    growth = 3 * n * math.log1p(u) + (3 * n + 1) * math.log1p(math.sqrt(5) * u)
    return 2 * kernel_norm * math.expm1(growth + 3 * n * math.log1p(2 * u))


def rfft2(x: Tensor, grid: Sequence[int] | None = None) -> Tensor:
    """`torch.fft.rfft2` along one axis after the other.

    The fused call was measured to cost 8 ms more, whatever the size, as soon as torch uses two
    threads (torch 2.15 on a CPU): an inner solve makes dozens of them.
    """
    rows, columns = (None, None) if grid is None else grid
    return torch.fft.fft(torch.fft.rfft(x, n=columns, dim=-1), n=rows, dim=-2)


def multiply(x: Tensor, transform: Tensor, grid: Sequence[int]) -> Tensor:
    """Fill x (..., h, w) with zeros to the grid, multiply its rfft2, and transform back."""
    return torch.fft.irfft2(rfft2(x, grid) * transform, s=tuple(grid))


def crop(x: Tensor, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The part of x (..., P, Q) of this size whose first pixel is `corner`."""
    return x[..., corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]


def place(x: Tensor, corner: tuple[int, int], grid: Sequence[int]) -> Tensor:
    """The transpose of `crop`: x at `corner` of a grid of zeros."""
    below = grid[0] - corner[0] - x.shape[-2]
    right = grid[1] - corner[1] - x.shape[-1]
    return functional.pad(x, (corner[1], right, corner[0], below))
