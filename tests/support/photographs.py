"""Photographs as people have them: blurred with an unknown border, noisy, stored in a file."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pnp_recon.pictures.decoding import jpeg_components
from pnp_recon.pictures.samples import JpegComponent


def photograph(name: str = "astronaut", side: int = 136, top: int = 0, left: int = 150) -> Tensor:
    """A crop (1, C, side, side) of a picture that scikit-image bundles, in [0, 1]."""
    from skimage import data

    array = np.asarray(getattr(data, name)(), dtype=np.float32) / 255
    array = array[..., None] if array.ndim == 2 else array
    array = array[top : top + side, left : left + side]
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def blurred(x: Tensor, kernel: Tensor) -> Tensor:
    """k ∗ x where all of it is known: smaller by the kernel less one."""
    weights = kernel.to(x).flip(0, 1).expand(x.shape[1], 1, -1, -1)
    return torch.nn.functional.conv2d(x, weights, groups=x.shape[1])


def noise_like(y: Tensor, sigma: float, soft: bool = False, seed: int = 0) -> Tensor:
    """White noise, or the mean of 2 × 2 pixels of it, as a camera leaves it."""
    generator = torch.Generator().manual_seed(seed)
    height, width = y.shape[-2:]
    noise = torch.randn(*y.shape[:2], height + 1, width + 1, generator=generator)
    noise = torch.nn.functional.avg_pool2d(noise, 2, 1) if soft else noise[..., 1:, 1:]
    return sigma * noise / noise.std()


def eight_bit(y: Tensor) -> Image.Image:
    values = (y[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def through_jpeg(y: Tensor, quality: int) -> tuple[Tensor, tuple[JpegComponent, ...]]:
    """The picture as a JPEG file keeps it, and how the file quantises."""
    file = io.BytesIO()
    eight_bit(y).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        values = np.array(image, dtype=np.float32) / 255
        parts = jpeg_components(image)
    values = values[..., None] if values.ndim == 2 else values
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous(), parts
