"""How far a denoiser in bfloat16 is from itself in float32, measured; for its model card.

Measured, not bounded: bfloat16 carries no theorem (`denoisers.BFLOAT16`).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon.files import shipped
from pnp_recon.guarantees import none
from pnp_recon.pictures.colour import to_grey
from pnp_recon.priors.denoiser import Denoiser

# The card's field.
FIELD = "bf16_deviation"
LEVELS_255 = (5.0, 15.0, 25.0)
PICTURE = "coffee.png"
SIDE = 256


def bf16_deviation(
    network: nn.Module, channels: int, sigma_range: tuple[float, float]
) -> dict[str, Any]:
    """Root mean square and largest difference between bfloat16 and float32, in units of 1/255.

    Measured on the denoised central 256² pixels of a shipped picture with seeded noise, σ·255 = 5,
    15 and 25 as far as they lie in `sigma_range`, else at its upper end.

    Args:
        network: called as network(x, sigma), in evaluation mode, on a CPU; not changed.
        channels: 1 or 3.
        sigma_range: levels at which it may be used, [0, 1] scale.

    Returns:
        the card's field: levels, differences to three digits, and how they were measured.
    """
    network, clean = copy.deepcopy(network).float(), _picture(channels)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    low, high = (255 * level for level in sigma_range)
    levels = [level for level in LEVELS_255 if low <= level <= high] or [round(high, 6)]
    reason = none("for a measurement")
    exact = Denoiser(network, "exact", reason, channels)
    rounded = Denoiser(network, "rounded", reason, channels, precision="bfloat16")
    rmse, largest = [], []
    for level in levels:
        noisy = clean + level / 255 * noise
        with torch.no_grad():
            error = 255 * (rounded(noisy, level / 255) - exact(noisy, level / 255))
        rmse.append(float(f"{float(error.square().mean().sqrt()):.3g}"))
        largest.append(float(f"{float(error.abs().max()):.3g}"))
    return {
        "levels_255": levels,
        "rmse_255": rmse,
        "max_255": largest,
        "measured_on": f"{PICTURE}, central {SIDE}×{SIDE}, noise of seed 0; bfloat16 autocast "
        "against float32 on a CPU; no bound, and no guarantee in bfloat16",
    }


def is_deviation(field: Any) -> bool:
    """Whether a card's field is as `bf16_deviation` makes it; a card may lack it (None)."""
    if field is None:
        return True
    if not isinstance(field, dict):
        return False
    lists = [field.get(key) for key in ("levels_255", "rmse_255", "max_255")]
    return all(
        isinstance(values, list)
        and len(values) == len(lists[0] or []) > 0
        and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
        for values in lists
    )


def deviation_words(field: Any) -> str:
    """The field at its highest level in one line; empty where a card lacks it."""
    if field is None:
        return ""
    level, rmse, most = (field[key][-1] for key in ("levels_255", "rmse_255", "max_255"))
    return f"bfloat16 differs by {rmse:g}/255 RMS, {most:g}/255 at most (σ·255 = {level:g})"


def _picture(channels: int) -> Tensor:
    from pnp_recon.pictures.files import read_picture

    pixels = read_picture(shipped(f"samples/{PICTURE}")).pixels
    top, left = ((length - SIDE) // 2 for length in pixels.shape[-2:])
    pixels = pixels[..., top : top + SIDE, left : left + SIDE]
    return to_grey(pixels) if channels == 1 else pixels
