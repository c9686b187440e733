"""Pictures and files that the tests of `pnp_recon.pictures.files` share."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image, ImageCms

from pnp_recon.pictures.files import Picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]


def random_picture(seed: int, channels: int, depth: int, alpha: bool, size: tuple[int, int]):
    """A picture whose values are steps of its depth, so that a lossless file returns them."""
    generator = torch.Generator().manual_seed(seed)
    stack = torch.rand((1, channels + alpha, *size), generator=generator, dtype=torch.float64)
    if depth < 32:
        stack = (stack * (2**depth - 1)).round() / (2**depth - 1)
    stack = stack.float()
    return Picture(
        pixels=stack[:, :channels],
        alpha=stack[:, channels:] if alpha else None,
        icc_profile=SRGB if channels == 3 else GREY_PROFILE,
        bit_depth=depth,
        mode="",
        source=Path("/nowhere"),
        sha256="",
    )


def edges(side: int = 200, seed: int = 3) -> torch.Tensor:
    """A picture (side, side) of 60 rectangles and discs in random greys."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.full((side, side), 0.5)
    for index in range(60):
        y, x, a, b, grey = torch.rand(5, generator=generator).tolist()
        dy, dx = (rows - y * side).abs(), (columns - x * side).abs()
        inside = (dy < 4 + 26 * a) & (dx < 4 + 26 * b)
        if index % 2:
            inside = dy**2 + dx**2 < (4 + 20 * a) ** 2
        picture = torch.where(inside, torch.tensor(0.1 + 0.8 * grey), picture)
    return picture


def save(path: Path, image: Image.Image, kind: str, **options: Any) -> Path:
    image.save(path, kind, **options)
    return path


def save_tiff(path: Path, values: np.ndarray, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(path, values, **options)
    return path


def pillow_picture(size: tuple[int, int] = (7, 5), seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def assert_one_line(error: BaseException, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    for word in words:
        assert word in text


def tiff_bytes(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def pillow_bytes(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_picture((24, 20)).save(buffer, kind, **options)
    return buffer.getvalue()
