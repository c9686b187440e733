"""The radius of a defocus: found where rings are, refused where none are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from operators.kernels import disk, gaussian, linear_motion
from pnp_recon.errors import InputError
from pnp_recon.estimation.defocus import _smeared, estimate_defocus
from pnp_recon.estimation.power import periodogram
from support.pictures import edges

NOISE = 1 / 255


def photographed(kernel: Tensor, seed: int = 0) -> Tensor:
    """(1, 1, H, W): what a camera sees of a picture of edges, rounded to 8 bit."""
    seen = functional.conv2d(edges(200, seed)[None, None], kernel[None, None])
    noise = torch.randn(seen.shape, generator=torch.Generator().manual_seed(seed))
    return (255 * (seen + NOISE * noise)).round().clamp(0, 255) / 255


@pytest.mark.parametrize("radius", [2.0, 3.3, 5.0, 8.5])
def test_a_radius_is_found(radius: float) -> None:
    found = estimate_defocus(photographed(disk(radius), 1))
    assert found.radius == pytest.approx(radius, abs=0.3)
    assert found.confidence > 0.5


@pytest.mark.parametrize("kernel", [torch.ones(1, 1), gaussian(2.5), linear_motion(9, 30)])
def test_other_pictures_are_refused(kernel: Tensor) -> None:
    assert estimate_defocus(photographed(kernel)).confidence < 0.5


def test_the_noise_that_is_given_counts() -> None:
    found = estimate_defocus(photographed(disk(4.0)), sigma=NOISE)
    assert found.radius == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(
    "picture", [torch.full((1, 1, 64, 64), 0.5), torch.rand(1, 3, 6, 6), torch.rand(1, 1, 2, 90)]
)
def test_nothing_to_see(picture: Tensor) -> None:
    assert estimate_defocus(picture).confidence < 0.5


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="expected"):
        estimate_defocus(torch.rand(2, 1, 64, 64))


def test_a_kernel_as_a_window_shows_it() -> None:
    """White noise through a kernel has the power that is foretold, window and all."""
    kernel = disk(4.0, dtype=torch.float64)
    noise = torch.randn(400, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = functional.conv2d(noise[None, None], kernel[None, None])[0, 0]
    spectrum = periodogram(seen, 64, None, thin=1)
    ratio = spectrum.log_power.exp() / _smeared(kernel, spectrum)
    strong = _smeared(kernel, spectrum) > 1e-3
    assert float(ratio[strong].median()) == pytest.approx(1.0, abs=0.1)
    # Without the window the zeros are deeper than any periodogram shows.
    bare = torch.fft.rfft2(kernel, s=(64, 64)).abs().square()
    assert float(bare.min()) < 0.5 * float(_smeared(kernel, spectrum).min())
