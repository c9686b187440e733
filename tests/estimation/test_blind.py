"""The motion estimator on pictures that scikit-image bundles, and where it has to say no."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from operators.kernels import gaussian, linear_motion
from pnp_recon.errors import InputError
from pnp_recon.estimation.motion import MotionEstimate, estimate_motion

NOISE = 2.55 / 255


def picture(name: str) -> Tensor:
    """(1, C, H, W) in [0, 1], float32, at most 400 pixels a side."""
    from skimage import data

    array = np.asarray(getattr(data, name)(), dtype=np.float32) / 255
    array = array[..., None] if array.ndim == 2 else array
    array = array[:400, :400]
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def degrade(
    image: Tensor, kernel: Tensor, noise: float = NOISE, seed: int = 0, circular: bool = False
) -> Tensor:
    """Blur without wrap-around (the valid part is kept) or with it, and add noise."""
    if circular:
        radius = kernel.shape[0] // 2
        image = torch.nn.functional.pad(image, (radius,) * 4, mode="circular")
    weights = kernel.flip(0, 1).expand(image.shape[1], 1, -1, -1)
    blurred = torch.nn.functional.conv2d(image, weights, groups=image.shape[1])
    generator = torch.Generator().manual_seed(seed)
    return blurred + noise * torch.randn(blurred.shape, generator=generator)


def errors(estimate: MotionEstimate, length: float, angle: float) -> tuple[float, float]:
    difference = abs(estimate.angle - angle) % 180
    return min(difference, 180 - difference), abs(estimate.length - length)


@pytest.mark.parametrize(
    ("name", "length", "angle"),
    [
        ("camera", 15.0, 30.0),
        ("camera", 9.4, 117.0),
        ("astronaut", 22.7, 163.0),
        ("coins", 12.0, 91.0),
        ("rocket", 18.5, 0.0),
    ],
)
def test_a_motion_is_found(name: str, length: float, angle: float) -> None:
    blurred = degrade(picture(name), linear_motion(length, angle))
    estimate = estimate_motion(blurred, NOISE)
    angle_error, length_error = errors(estimate, length, angle)
    assert angle_error <= 3
    assert length_error <= 1.5
    assert estimate.confidence >= 0.5
    assert 0 <= estimate.angle < 180


def test_the_limits_notice_another_motion() -> None:
    """The twin: the error measure tells a turned or longer motion, and a mirrored angle, apart."""
    estimate = estimate_motion(degrade(picture("camera"), linear_motion(15, 30)), NOISE)
    assert errors(estimate, 15, 34)[0] > 3
    assert errors(estimate, 15, -30)[0] > 3
    assert errors(estimate, 17, 30)[1] > 1.5
    assert errors(estimate, 15, 210) == errors(estimate, 15, 30)


def test_a_wrapped_blur_with_unknown_noise_is_found() -> None:
    blurred = degrade(picture("camera"), linear_motion(20, 65), 3 * NOISE, circular=True)
    estimate = estimate_motion(blurred)
    assert errors(estimate, 20, 65)[0] <= 3
    assert errors(estimate, 20, 65)[1] <= 1.5
    assert estimate.confidence >= 0.5


def test_a_noise_level_given_too_low_does_no_harm() -> None:
    blurred = degrade(picture("astronaut"), linear_motion(13, 140))
    estimate = estimate_motion(blurred, NOISE / 3)
    assert errors(estimate, 13, 140)[0] <= 3
    assert errors(estimate, 13, 140)[1] <= 1.5


def test_clipping_and_rounding_to_8_bits_do_no_harm() -> None:
    blurred = degrade(picture("camera"), linear_motion(17, 12))
    stored = (blurred.clamp(0, 1) * 255).round() / 255
    angle_error, length_error = errors(estimate_motion(stored), 17, 12)
    assert angle_error <= 3
    assert length_error <= 1.5


def test_a_jpeg_file_does_no_harm() -> None:
    """Its noise is not white: the quantisation removes most of the high frequencies."""
    import io

    from PIL import Image

    blurred = degrade(picture("astronaut"), linear_motion(16, 50), NOISE / 2)
    levels = (blurred[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=85)
    stored = torch.from_numpy(np.array(Image.open(file), dtype=np.float32) / 255)
    estimate = estimate_motion(stored.permute(2, 0, 1)[None])
    assert errors(estimate, 16, 50)[0] <= 3
    assert errors(estimate, 16, 50)[1] <= 1.5
    assert estimate.confidence >= 0.5


@pytest.mark.parametrize("name", ["camera", "astronaut"])
def test_a_sharp_picture_has_a_low_confidence(name: str) -> None:
    assert estimate_motion(degrade(picture(name), torch.ones(1, 1)), NOISE).confidence < 0.5


def test_a_gaussian_blur_has_a_low_confidence() -> None:
    assert estimate_motion(degrade(picture("camera"), gaussian(2.0)), NOISE).confidence < 0.5


@pytest.mark.parametrize("sigma", [0.1, None])
def test_noise_alone_has_a_low_confidence(sigma: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    image = 0.5 + 0.1 * torch.randn(1, 1, 300, 300, generator=generator)
    assert estimate_motion(image, sigma).confidence < 0.25


def test_a_motion_that_drowns_in_noise_has_a_low_confidence() -> None:
    blurred = degrade(picture("camera"), linear_motion(15, 30), noise=1.0)
    assert estimate_motion(blurred, 1.0).confidence < 0.5


@pytest.mark.parametrize(
    "image",
    [
        torch.full((1, 3, 200, 150), 0.4),
        torch.zeros(1, 1, 64, 64),
        torch.rand(1, 1, 1, 1, generator=torch.Generator().manual_seed(0)),
        torch.rand(1, 3, 5, 300, generator=torch.Generator().manual_seed(0)),
        torch.full((1, 1, 64, 64), float("nan")),
    ],
    ids=["flat", "black", "one pixel", "strip", "nan"],
)
def test_nothing_to_see_is_no_motion(image: Tensor) -> None:
    estimate = estimate_motion(image, NOISE)
    assert estimate.length == 1
    assert estimate.confidence == 0


def test_small_and_odd_shapes_never_raise() -> None:
    draw = random.Random(0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        shape = (1, draw.choice([1, 3]), draw.randint(6, 70), draw.randint(6, 70))
        for sigma in (None, 0.0, 0.5):
            estimate = estimate_motion(torch.rand(shape, generator=generator), sigma)
            assert estimate.confidence < 0.5


def test_a_ramp_and_a_checkerboard_have_a_low_confidence() -> None:
    ramp = torch.linspace(0, 1, 128).expand(1, 1, 128, 128).contiguous()
    rows = torch.arange(128)
    board = ((rows[:, None] // 8 + rows // 8) % 2).float()[None, None]
    assert estimate_motion(ramp).confidence < 0.5
    assert estimate_motion(board).confidence < 0.5


def test_a_real_motion_blur_is_found_horizontal() -> None:
    """scikit-image's clock was photographed while the camera moved about horizontally."""
    estimate = estimate_motion(picture("clock"))
    assert errors(estimate, 0, 0)[0] <= 10


def test_the_estimate_is_frozen_deterministic_and_leaves_the_picture_alone() -> None:
    blurred = degrade(picture("coins"), linear_motion(11, 45))
    before = blurred.clone()
    first, second = estimate_motion(blurred, NOISE), estimate_motion(blurred, NOISE)
    assert first == second
    assert torch.equal(blurred, before)
    with pytest.raises(AttributeError):
        first.length = 2.0  # type: ignore[misc]


def test_a_batch_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(2, 1, 32, 32\)"):
        estimate_motion(torch.zeros(2, 1, 32, 32))
