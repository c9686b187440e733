"""Validation of a denoiser in training: PSNR of its averaged weights on central crops.

The measuring protocol of results is elsewhere (whole pictures, certified weights).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnp_recon.pictures.crops import centre_crop
from pnp_recon.problems.noise import validation_noise

# Side of the central crop of a validation picture.
VALIDATION_SIDE = 128


def psnr_key(level: float) -> str:
    """The name of a validation level in logs and cards, such as psnr_25 for σ = 25/255."""
    return f"psnr_{round(level * 255, 2):g}"


@torch.no_grad()
def validation_psnr(
    network: nn.Module, pictures: Iterable[Tensor], levels: tuple[float, ...], device: str = "cpu"
) -> dict[str, float]:
    """Mean PSNR in dB on central crops, σ from `levels`, the noise seeded by the picture's index.

    Empty without pictures.
    """
    values: dict[str, list[float]] = {psnr_key(level): [] for level in levels}
    for index, picture in enumerate(pictures):
        clean = centre_crop(picture, VALIDATION_SIDE)[None].float().to(device) / 255
        for level in levels:
            noise = validation_noise(index)(clean)
            error = F.mse_loss(network(clean + level * noise, level).float(), clean)
            values[psnr_key(level)].append(float(-10 * torch.log10(error)))
    return {key: sum(found) / len(found) for key, found in values.items() if found}
