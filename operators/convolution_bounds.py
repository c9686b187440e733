"""What is proven of a convolution's numbers: error bounds of its products, and a gain attained.

All in float64, whatever the precision in which the operator runs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators import norms
from operators.borders import Axis, pad, pad_transpose
from operators.fourier import crop, fft_convolution_error, multiply, place


def enclosure(
    kernel: Tensor, rows: Axis, columns: Axis, v: Tensor, *, transpose: bool
) -> tuple[Tensor, Tensor]:
    """Entrywise bounds of A v or Aᵀ v for v >= 0, A the convolution with a kernel >= 0."""
    product, error = _by_long_fft(kernel, rows, columns, v, transpose)
    return (product - error).clamp_min(0), product + error


def normal_enclosure(kernel: Tensor, rows: Axis, columns: Axis, v: Tensor) -> tuple[Tensor, Tensor]:
    """Entrywise bounds of AᵀA v for v > 0.

    The error e1 of the first convolution is handed on multiplied by a column sum of A, at most
    ‖k‖₁ times the multiplicity of the padding; e2 is that of the transpose.
    """
    y, e1 = _by_long_fft(kernel, rows, columns, v, False)
    product, e2 = _by_long_fft(kernel, rows, columns, y, True)
    total = float(kernel.to(torch.float64).abs().sum())
    error = (_copies(rows, columns) * e1 * total + e2) * 1.01  # and the roundings of this line
    return product - error, product + error


def leading_wave(kernel: Tensor, grid: tuple[int, int], rows: Axis, columns: Axis) -> Tensor:
    """The cosine (H, W) that a kernel without borders would amplify most."""
    _, _, (row, column) = norms.peak_response(kernel, grid)
    i = torch.arange(rows.length, dtype=torch.float64, device=kernel.device)[:, None]
    j = torch.arange(columns.length, dtype=torch.float64, device=kernel.device)
    return torch.cos(2 * math.pi * (row * i / grid[0] + column * j / grid[1]))


def _copies(rows: Axis, columns: Axis) -> int:
    return rows.largest_multiplicity * columns.largest_multiplicity


def _by_long_fft(
    kernel: Tensor, rows: Axis, columns: Axis, v: Tensor, transpose: bool
) -> tuple[Tensor, float]:
    """A v or Aᵀ v by FFT on a power-of-two grid, and a bound of the error of each entry.

    In the transpose, folding adds the error up as often as a pixel was copied, and rounds as
    many times.
    """
    kernel, v = kernel.to(v.device, torch.float64), v.to(torch.float64)
    grid = tuple(1 << (axis.padded - 1).bit_length() for axis in (rows, columns))
    transform = torch.fft.rfft2(kernel, s=grid)
    unit = fft_convolution_error(float(torch.linalg.vector_norm(kernel)), grid)
    corner = (rows.taps - 1, columns.taps - 1)
    if not transpose:
        x = pad(v, rows, columns)
        y = crop(multiply(x, transform, grid), corner, (rows.outputs, columns.outputs))
        return y, 1.01 * unit * float(torch.linalg.vector_norm(x))
    z = multiply(place(v, corner, grid), transform.conj(), grid)
    z = crop(z, (0, 0), (rows.padded, columns.padded))
    x = pad_transpose(z, rows, columns)
    error = _copies(rows, columns) * unit * float(torch.linalg.vector_norm(v))
    error += (rows.taps + columns.taps) * norms.EPS * float(x.abs().max() + error)
    return x, 1.01 * error
