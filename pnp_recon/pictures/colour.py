"""Curves and weights between colour representations, on tensors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pnp_recon.errors import InputError


def srgb_to_linear(x: Float[Tensor, ...]) -> Float[Tensor, ...]:
    """sRGB values -> linear light, [0, 1] -> [0, 1] (IEC 61966-2-1:1999).

    Continued as an odd function, so that noisy values below 0 stay finite and invertible.
    """
    size = x.abs()
    curve = ((size.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(size <= 0.04045, x / 12.92, curve * x.sign())


def linear_to_srgb(x: Float[Tensor, ...]) -> Float[Tensor, ...]:
    """Linear light -> sRGB values, the inverse of `srgb_to_linear` (IEC 61966-2-1:1999)."""
    size = x.abs()
    # Without the lower limit the gradient of the unused branch would be infinite at 0.
    curve = 1.055 * size.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(size <= 0.0031308, x * 12.92, curve * x.sign())


def to_grey(x: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B 1 H W"]:
    """Luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of (..., 3, H, W); grey passes through.

    Raises:
        InputError: neither 1 nor 3 channels.
    """
    if x.ndim < 3 or x.shape[-3] not in (1, 3):
        raise InputError(
            f"picture has shape {tuple(x.shape)}; expected (..., C, H, W) with C = 1 or 3"
        )
    if x.shape[-3] == 1:
        return x
    red, green, blue = x.split(1, -3)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def srgb_slope(x: Float[Tensor, ...]) -> float:
    """Root mean square of the derivative of `srgb_to_linear` over the values that are finite.

    What it makes of small errors of stored values.
    """
    size = x[x.isfinite()].double().abs()
    curve = 2.4 / 1.055 * ((size.clamp_min(0.04045) + 0.055) / 1.055) ** 1.4
    slope = torch.where(size <= 0.04045, 1 / 12.92, curve)
    return float(slope.square().mean().sqrt()) if size.numel() else 1.0
