"""Picture quality against definitions written out anew, and the noise level against the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pnp_recon.errors import InputError
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.files import shipped
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.metrics import psnr, psnr_clean_peak, ssim


def pair(channels: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ref = torch.rand((2, channels, 24, 30), generator=generator, dtype=torch.float64)
    return ref + 0.1 * torch.randn(ref.shape, generator=generator, dtype=torch.float64), ref


def test_psnr_is_the_definition_per_picture():
    x, ref = pair()
    x[1] = ref[1] + 0.1
    expected = [-10 * math.log10(float(((x[0] - ref[0]) ** 2).mean())), 20.0]
    torch.testing.assert_close(psnr(x, ref), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(psnr(x, ref, peak=255.0) - psnr(x, ref), 2 * _db(255.0))
    # The twins: a mean over the batch, a crop, a rounding or clipping give other numbers.
    batch = -10 * torch.log10(((x - ref) ** 2).mean())
    assert (psnr(x, ref) - batch).abs().min() > 1e-3
    for changed in (x[..., 2:-2, 2:-2], (x * 255).round() / 255, x.clamp(0, 1)):
        other = psnr(changed, ref[..., 2:-2, 2:-2] if changed.shape != ref.shape else ref)
        assert (psnr(x, ref) - other).abs().max() > 1e-6


def _db(factor: float) -> torch.Tensor:
    return torch.full((2,), 10 * math.log10(factor), dtype=torch.float64)


def test_psnr_limits():
    x, ref = pair()
    assert psnr(ref, ref).tolist() == [math.inf, math.inf]
    x[0, 0, 0, 0] = torch.nan
    assert psnr(x, ref).isnan().tolist() == [True, False]
    assert psnr(x.float(), ref.float()).dtype == torch.float64
    for bad in ((x[:1], ref), (x[0], ref[0])):
        with pytest.raises(InputError, match="equal shapes"):
            psnr(*bad)
    with pytest.raises(InputError, match="peak"):
        psnr(x, ref, peak=0.0)


def test_psnr_with_the_peak_of_the_clean_picture():
    x, ref = pair()
    ref[1] *= 0.5
    peaks = torch.stack([ref[0].max(), ref[1].max()])
    torch.testing.assert_close(psnr_clean_peak(x, ref), psnr(x, ref) + 20 * torch.log10(peaks))
    assert psnr_clean_peak(x, 0 * ref).isnan().all()
    assert psnr_clean_peak(ref, ref).tolist() == [math.inf, math.inf]


def reference_ssim(x: np.ndarray, y: np.ndarray, sigma: float = 1.5) -> float:
    """Wang et al. 2004, equation 13, over the positions where the 11×11 window fits."""

    def blur(a: np.ndarray) -> np.ndarray:
        return gaussian_filter(a, sigma, truncate=3.5)

    values = []
    for a, b in zip(x, y, strict=True):
        ma, mb = blur(a), blur(b)
        va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        index = ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4)) / (
            (ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)
        )
        values.append(index[5:-5, 5:-5].mean())
    return float(np.mean(values))


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_the_definition_per_picture(channels):
    x, ref = pair(channels)
    expected = [reference_ssim(a.numpy(), b.numpy()) for a, b in zip(x, ref, strict=True)]
    torch.testing.assert_close(ssim(x, ref), torch.tensor(expected, dtype=torch.float64))
    other = reference_ssim(x[0].numpy(), ref[0].numpy(), sigma=2.0)
    assert abs(float(ssim(x, ref)[0]) - other) > 1e-4  # the twin: another window is noticed
    torch.testing.assert_close(ssim(ref, ref), torch.ones(2, dtype=torch.float64))


def test_ssim_of_tiny_pictures_is_nan():
    x, ref = pair()
    assert ssim(x[..., :10], ref[..., :10]).isnan().all()
    assert ssim(x[..., :11, :11], ref[..., :11, :11]).isfinite().all()
    with pytest.raises(InputError, match="equal shapes"):
        ssim(x[..., :9], ref)


def blurred_sample(name: str) -> torch.Tensor:
    """A sample picture after a horizontal motion of 9 pixels."""
    clean = read_picture(shipped(f"samples/{name}")).pixels.double()
    return clean.unfold(-1, 9, 1).mean(-1)


@pytest.mark.parametrize("level", [1, 2.55, 7.65, 12.75, 25])
@pytest.mark.parametrize("name", ["coffee.png", "camera.png"])
def test_noise_level_of_a_blurred_picture(name, level):
    clean = blurred_sample(name)
    generator = torch.Generator().manual_seed(int(level * 100))
    noise = torch.randn(clean.shape, generator=generator, dtype=torch.float64) * level / 255
    assert abs(estimate_noise_level(clean + noise) * 255 - level) < 0.15 + 0.01 * level
    rounded = ((clean + noise).clamp(0, 1) * 255).round() / 255
    assert abs(estimate_noise_level(rounded) * 255 - level) < 0.25 + 0.03 * level
    # The twin: the plain standard deviation is no estimate of it.
    assert float((clean + noise).std()) * 255 > level + 10


def test_noise_level_of_clipped_noise():
    """Three quarters saturated: windows there have less noise, and are left out."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.full((1, 1, 128, 128), 0.5)
    clean[..., 32:] = 1.3
    noise = 0.05 * torch.randn(clean.shape, generator=generator)
    assert estimate_noise_level((clean + noise).clamp(0, 1)) == pytest.approx(0.05, rel=0.1)


def test_noise_level_scales_and_ignores_what_is_not_finite():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, 3, 64, 64), generator=generator, dtype=torch.float64)
    assert estimate_noise_level(0.2 * x) == pytest.approx(0.2 * estimate_noise_level(x))
    broken = x.clone()
    broken[..., 5, 5] = torch.nan
    assert estimate_noise_level(broken) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (4, 50), (5, 5), (64, 64)])
def test_noise_level_of_tiny_and_flat_pictures(size):
    for value in (0.0, 0.3, 1.0):
        flat = torch.full((1, 3, *size), value)
        assert estimate_noise_level(flat) == pytest.approx(0, abs=1e-9)
    assert math.isfinite(estimate_noise_level(torch.rand((1, 1, *size), generator=seeded())))
    assert estimate_noise_level(torch.full((1, 1, *size), torch.nan)) == 0


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
