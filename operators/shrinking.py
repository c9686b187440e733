"""What a picture underwent that was made smaller: kernels for `Downsampling`, and where they lie.

A small pixel stands for a block of f×f large ones, as in every scaler whose pictures have the same
edges: the kernel's middle is that of the block, between two pixels where f is even, so that a
kernel that is symmetric about it has an even side there. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from operators.borders import Boundary
from operators.downsampling import Downsampling
from operators.errors import OperatorError
from operators.kernels import LARGEST_SIDE

# Standard deviation of the default Gaussian, in units of the factor: its response at the highest
# frequency that the small picture can hold is exp(−(0.4π)²/2) = 0.45.
WIDTH = 0.4
# Taps of a Gaussian on either side, in standard deviations.
REACH = 4.0


def bicubic(factor: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Keys' cubic with a = −½, stretched by f: how Pillow, MATLAB and many others shrink pictures.

    Keys 1981 (IEEE Trans. Acoust. Speech Signal Process. 29, eq. 15). `factor` ≥ 1. Returns
    (4f − f mod 2, the same), summing to one, with negative entries. Raises `OperatorError`.
    """
    _check_factor(factor)
    t = _offsets(4 * factor - factor % 2).abs() / factor
    near = (1.5 * t - 2.5) * t**2 + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    profile = torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))
    return _product(profile, dtype)


def gaussian(
    factor: int, width: float | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """A Gaussian of standard deviation `width` large pixels about the middle of a block.

    `width` > 0, default 0.4 f. Returns (n, n) with n ≡ f (mod 2), summing to one. Raises
    `OperatorError`.
    """
    _check_factor(factor)
    width = WIDTH * factor if width is None else width
    if not 0 < width <= LARGEST_SIDE:
        raise OperatorError(
            f"the width of a Gaussian is {width}; expected a number above 0, to {LARGEST_SIDE}"
        )
    side = 2 * math.ceil(REACH * width) + factor % 2
    offsets = _offsets(side)
    # Relative to the nearest tap, which alone is left of a very narrow one.
    exponent = 0.5 * (offsets**2 - offsets.square().min()) / width / width
    return _product(torch.exp(-exponent), dtype)


def box(factor: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The mean over a block: (f, f). Raises `OperatorError`."""
    _check_factor(factor)
    return _product(torch.ones(factor, dtype=torch.float64), dtype)


def filled(kernel: Tensor, factor: int) -> Tensor:
    """A kernel (kh, kw) with zeros around it, so that each side reaches over a block at least."""
    rows, columns = (max(0, math.ceil((factor - side) / 2)) for side in kernel.shape)
    return functional.pad(kernel, (columns, columns, rows, rows))


def origin(side: int, factor: int) -> int:
    """Where along an axis the origin of a kernel of `side` taps lies for `Downsampling`.

    Pixel 0 of the small picture then is about the middle of the first block of f large pixels;
    half a large pixel before it for an even f and an odd side, which have no middle in common.
    """
    return (side + factor - 2) // 2


def margin(side: int, factor: int) -> int:
    """How many large pixels lie before the first block where borders are not seen ('valid')."""
    return side - 1 - origin(side, factor)


def shrink(
    kernel: Tensor, factor: int, small: Sequence[int], boundary: Boundary = "valid"
) -> Downsampling:
    """The operator from large pictures to small ones of the shape `small`.

    Args:
        kernel: (kh, kw); see `filled`.
        factor: f ≥ 1.
        small: (C, h, w).
        boundary: with 'valid' the large picture has a margin around the f·h × f·w pixels of the
            blocks, as far as kernels reach, see `inside`; otherwise it has none.

    Raises:
        OperatorError: a kernel or a factor that `Downsampling` does not take.
    """
    _check_factor(factor)
    kernel = filled(kernel, factor)
    channels, *sides = small
    if boundary == "valid":
        large = [factor * (n - 1) + taps for n, taps in zip(sides, kernel.shape, strict=True)]
    else:
        large = [factor * n for n in sides]
    rows, columns = kernel.shape
    center = (origin(rows, factor), origin(columns, factor))
    return Downsampling(kernel, factor, (channels, *large), boundary, center=center)


def sides_seen(
    sides: Sequence[int], kernel: Tensor, factor: int, boundary: Boundary = "valid"
) -> list[int]:
    """How many small pixels (h, w) a large picture of `sides` (H, W) is enough for; 0 or less:
    for none."""
    if boundary != "valid":
        return [n // factor for n in sides]
    taps = filled(kernel, factor).shape
    return [(n - side) // factor + 1 for n, side in zip(sides, taps, strict=True)]


def inside(A: Downsampling) -> tuple[slice, slice]:
    """Rows and columns of the blocks in the large picture of an operator made by `shrink`."""
    if A.boundary != "valid":
        return slice(None), slice(None)
    places = []
    for taps, n in zip(A.kernel.shape, A.measurement_shape[1:], strict=True):
        first = margin(taps, A.factor)
        places.append(slice(first, first + A.factor * n))
    return places[0], places[1]


def _check_factor(factor: int) -> None:
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
        raise OperatorError(f"factor is {factor!r}; give a whole number >= 1")


def _offsets(side: int) -> Tensor:
    return torch.arange(side, dtype=torch.float64) - (side - 1) / 2


def _product(profile: Tensor, dtype: torch.dtype) -> Tensor:
    weights = torch.outer(profile, profile)
    return (weights / weights.sum()).to(dtype)
