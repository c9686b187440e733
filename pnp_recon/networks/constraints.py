"""Operator norms of convolution layers: a proven bound for certificates, an estimate for training.

A stride-1 convolution with zero or circular padding is a compression of the convolution on the
infinite grid, whose norm is max over frequencies of the largest singular value of the symbol
Ŵ(ω), the matrix of the filters' discrete-time Fourier transforms (Sedghi, Gupta, Long 2019).
For fixed unit vectors p, q the function pᴴŴ(ω)q is a trigonometric polynomial of degree
r = (k−1)/2 in each frequency, and such a polynomial exceeds its maximum on N > 2r equispaced
points by at most 1/cos(πr/N) (Ehlich, Zeller 1964), once for each of the two frequencies.
Hence, for every picture size,

    ‖W‖ ≤ max_{grid} σ_max(Ŵ) / (cos(π r₁/N) · cos(π r₂/N)).
"""

from __future__ import annotations

import math
import sys

import torch
import torch.nn.functional as F
from torch import Tensor

# Relative allowance for float64 rounding in the symbol and in the eigenvalue solver: both are
# backward stable with errors of order (channels · machine epsilon) ≈ 1e-13; this is far above it.
ROUNDING = 1e-9
# Filters are scaled where their largest entry is beyond 2 to this power, or below its inverse.
ORDINARY = 200


def conv_norm_bound(weight: Tensor, grid: int = 64) -> float:
    """Proven upper bound of the norm of x ↦ conv2d(x, weight), any picture size.

    Args:
        weight: filters (C_out, C_in, k₁, k₂), k odd; evaluated in float64.
        grid: number N of frequencies along each axis; raised to 4·max(k) where it is smaller.

    Returns:
        A number that no attained ‖W x‖/‖x‖ exceeds, for zero and for circular padding; above zero
        unless all filters are zero.

    Raises:
        ValueError: if the weight is not a finite 4-D tensor, or the bound exceeds float64.
    """
    if weight.dim() != 4 or not bool(torch.isfinite(weight).all()):
        raise ValueError("expected finite convolution filters of shape (C_out, C_in, k, k)")
    if weight.numel() == 0:
        raise ValueError(f"expected filters, found none: the shape is {tuple(weight.shape)}")
    w, exponent = _at_unit_size(weight.detach().to("cpu", torch.float64))
    k1, k2 = w.shape[-2:]
    n = max(grid, 4 * k1, 4 * k2)
    # The modulus of the symbol does not depend on where the filter is centred.
    symbol = torch.fft.rfft2(w, s=(n, n)).permute(2, 3, 0, 1).flatten(0, 1)
    if symbol.shape[1] > symbol.shape[2]:
        symbol = symbol.mH
    peak = 0.0
    for part in symbol.split(256):
        gram = part @ part.mH
        peak = max(peak, float(torch.linalg.eigvalsh(gram)[:, -1].max()))
    slack = math.cos(math.pi * (k1 - 1) / (2 * n)) * math.cos(math.pi * (k2 - 1) / (2 * n))
    unit = math.sqrt(max(peak, 0.0)) / slack * (1 + ROUNDING)
    if unit == 0:
        return 0.0
    try:
        bound = math.ldexp(unit, exponent)
        # Among the smallest numbers that float64 has, the last step rounds coarsely.
        return bound if bound > sys.float_info.min else math.nextafter(bound, math.inf)
    except OverflowError:
        raise ValueError(
            f"the norm of the filters is about {unit:.3g} times 2 to the {exponent}, more than "
            "float64 holds; scale them down"
        ) from None


def _at_unit_size(w: Tensor) -> tuple[Tensor, int]:
    """w / 2ᵉ and e, so that squares neither vanish nor overflow; e = 0 for ordinary sizes.

    It is exact, except for what is below 1e-300 of the largest entry, far below `ROUNDING`.
    """
    _, exponent = math.frexp(float(w.abs().max()))
    if abs(exponent) < ORDINARY:
        return w, 0
    half = torch.tensor(exponent // 2)  # 2 to the exponent itself need not be a float64
    return torch.ldexp(torch.ldexp(w, -half), half - exponent), exponent


def power_step(weight: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
    """One warm-started power iteration: an *estimate* (lower bound) that steers training only.

    Args:
        weight: filters (C_out, C_in, k, k).
        vector: current right singular vector (1, C_in, n, n), unit norm.

    Returns:
        The estimate, differentiable in the filters (Miyato et al. 2018), and the next vector.
    """
    pad = (weight.shape[-2] // 2, weight.shape[-1] // 2)
    with torch.autocast(weight.device.type, enabled=False):
        return _power_step(weight, vector, pad)


def _power_step(weight: Tensor, vector: Tensor, pad: tuple[int, int]) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        left = F.conv2d(vector, weight, padding=pad)
        left = left / left.norm().clamp_min(1e-12)
        vector = F.conv_transpose2d(left, weight, padding=pad)
        vector = vector / vector.norm().clamp_min(1e-12)
    return (left * F.conv2d(vector, weight, padding=pad)).sum(), vector
