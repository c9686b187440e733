"""Crops of the sample pictures, and noise."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"


def sample(channels: int, size: int = 64) -> Tensor:
    """A crop of a sample, (1, channels, size, size), float64."""
    name = "camera" if channels == 1 else "chelsea"
    pixels = read_picture(SAMPLES / f"{name}.png").pixels.double()
    pixels = to_grey(pixels) if channels == 1 and pixels.shape[1] == 3 else pixels
    return pixels[..., 100 : 100 + size, 150 : 150 + size].contiguous()


def noise(x: Tensor, seed: int = 0) -> Tensor:
    """White noise of standard deviation one, like x."""
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
