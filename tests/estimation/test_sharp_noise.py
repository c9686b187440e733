"""The noise of pictures that were made smaller: texture is not taken for it."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor

from pnp_recon.estimation.noise import estimate_noise_level, estimate_sharp_noise
from pnp_recon.estimation.noise.estimate import JPEG
from pnp_recon.estimation.noise.sharp import ROUNDING, SMOOTH
from pnp_recon.files import shipped
from support.photographs import noise_like

PICTURES = ["chelsea", "coffee"]


def small(name: str) -> Tensor:
    """A shipped picture at half its size, rounded to 8 bits."""
    with Image.open(shipped(f"samples/{name}.png")) as opened:
        image = opened.convert("RGB")
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.reshape(image.height, image.width, 3).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("name", PICTURES)
def test_a_clean_small_picture_has_little_noise(name: str) -> None:
    y = small(name)
    found = estimate_sharp_noise(y, 8)
    assert 255 * found.level < 1.5
    assert found.level < estimate_noise_level(y)  # the twin takes texture for noise
    assert {one.source for one in found.candidates} == {ROUNDING, SMOOTH}


@pytest.mark.parametrize("name", PICTURES)
def test_strong_noise_is_found(name: str) -> None:
    y = small(name)
    found = estimate_sharp_noise((y + noise_like(y, 12.75 / 255)).clamp(0, 1), 8)
    assert 255 * found.level == pytest.approx(12.75, rel=0.2)
    assert found.source == SMOOTH


def test_rounding_is_the_least() -> None:
    flat = torch.full((1, 1, 64, 64), 0.5)
    assert 255 * estimate_sharp_noise(flat, 8).level == pytest.approx(12**-0.5)
    assert 65535 * estimate_sharp_noise(flat, 16).level == pytest.approx(12**-0.5)
    assert estimate_sharp_noise(flat, 32).level == 0
    assert estimate_sharp_noise(torch.rand(1, 1, 10, 10), 8).source == ROUNDING  # too small to tell


def test_the_tables_of_a_jpeg_file_count() -> None:
    from pnp_recon.pictures.samples import JpegComponent

    coarse = [JpegComponent((40,) * 64, (1, 1))]
    y = small("chelsea")[:, :1]
    found = estimate_sharp_noise(y, 8, coarse)
    assert found.source == JPEG
    assert found.level > estimate_sharp_noise(y, 8).level
