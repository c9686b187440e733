"""How far a decoded JPEG picture lies from what was encoded, from its tables and zeros alone.

The error of a coefficient that is not zero is uniform in its cell. Most are zero, and lie much
nearer to it than a uniform error would say: coefficients are taken for Laplacian (Reininger &
Gibson 1983) with a scale that falls with the frequency, b = s·ρ^−γ; s and γ are those for which
the number of zeros at each frequency is the most likely.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_U, _V = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
# Of the DC coefficient no zeros are counted: it is as wide as the lowest other ones, at least.
_RHO = np.maximum(np.hypot(_U, _V), 0.5)
_FALLS = np.arange(0.6, 3.6, 0.1)
_SCALES = np.exp(np.arange(0, 8, 0.1))


def quantisation_level(values: NDArray[np.int16], table: NDArray[np.uint16]) -> float:
    """Standard deviation of the error of one pixel of the plane, [0, 1] scale.

    Args:
        values: (rows, columns, 8, 8) quantised coefficients.
        table: (8, 8), widths of cells in units of 1/255.
    """
    widths = table.astype(np.float64)
    zeros = (values == 0).mean((0, 1))
    inside = np.minimum(
        _zero_cell(_scales(zeros, values.shape[:2], widths), widths), widths**2 / 12
    )
    variance = zeros * inside + (1 - zeros) * widths**2 / 12
    return float(np.sqrt(variance.mean()) / 255)


def _scales(zeros: Array, shape: tuple[int, ...], widths: Array) -> Array:
    """The Laplacian scale at every frequency (8, 8), by maximum likelihood."""
    count = float(np.prod(shape))
    k = zeros.ravel()[1:] * count
    b = _SCALES[None, :, None] * _RHO.ravel()[1:] ** -_FALLS[:, None, None]
    a = widths.ravel()[1:] / 2 / b  # P(zero) = 1 − exp(−a)
    likelihood = (k * np.log(np.maximum(-np.expm1(-a), 1e-300)) - (count - k) * a).sum(-1)
    fall, scale = np.unravel_index(np.argmax(likelihood), likelihood.shape)
    return np.asarray(_SCALES[scale] * _RHO ** -_FALLS[fall])


def _zero_cell(b: Array, widths: Array) -> Array:
    """Variance of a Laplacian that is known to lie within half a width of zero."""
    a = widths / 2 / b
    return np.asarray(b**2 * (2 - np.exp(-a) * (a * a + 2 * a + 2)) / -np.expm1(-a))
