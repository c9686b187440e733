"""A result is held against its input: what is said, and what is not said of a good one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators import kernels
from pnp_recon.estimation.doubts import EXCESS, blocked_power, doubts, variation
from support.photographs import blurred, noise_like, photograph

KERNEL = kernels.linear_motion(9, 30)


def inverse(y: Tensor, kernel: Tensor, weight: float) -> Tensor:
    """Wiener's filter with a white prior, under a circular border."""
    padded = torch.zeros(y.shape[-2:])
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    centre = kernel.shape[-1] // 2
    response = torch.fft.fft2(padded.roll((-centre, -centre), (0, 1)))
    estimate = torch.fft.fft2(y) * response.conj() / (response.abs().square() + weight)
    return torch.fft.ifft2(estimate).real.clamp(0, 1)


def seen(x: Tensor) -> tuple[Tensor, Tensor]:
    """Truth and photograph, of one size."""
    reach = KERNEL.shape[-1] // 2
    y = blurred(x, KERNEL)
    return x[..., reach:-reach, reach:-reach], (y + noise_like(y, 2 / 255)).clamp(0, 1)


def test_the_truth_is_not_doubted() -> None:
    for name in ("astronaut", "camera", "chelsea"):
        truth, y = seen(photograph(name))
        residual = noise_like(y, 2 / 255)
        assert doubts(y, truth, KERNEL, residual, 2 / 255) == ()


def test_amplified_noise_is_told_without_the_truth() -> None:
    truth, y = seen(photograph())
    worse = inverse(y, KERNEL, 1e-4)
    assert (worse - truth).square().mean() > (y - truth).square().mean()
    (said,) = doubts(y, worse, KERNEL, noise_like(y, 2 / 255), 2 / 255)
    assert "may be worse than the input" in said
    assert "--strength" in said
    assert (blocked_power(truth, KERNEL) or 9) < EXCESS < (blocked_power(worse, KERNEL) or 0)


def test_the_ringing_of_a_wrong_kernel_is_told() -> None:
    truth, y = seen(photograph())
    other = kernels.linear_motion(9, 120)
    rung = inverse(y, other, 1e-3)
    assert any("worse" in said for said in doubts(y, rung, other, 0 * y, 2 / 255))
    assert not any("worse" in said for said in doubts(y, truth, other, 0 * y, 2 / 255))


def test_a_residual_above_the_noise_is_told_with_its_level() -> None:
    truth, y = seen(photograph())
    (said,) = doubts(y, truth, KERNEL, noise_like(y, 8 / 255), 2 / 255)
    assert "4.0 times the noise level" in said
    assert "about 8/255 as --sigma" in said
    assert doubts(y, truth, KERNEL, noise_like(y, 3 / 255), 2 / 255) == ()


def test_a_residual_far_below_the_noise_is_told() -> None:
    truth, y = seen(photograph())
    (said,) = doubts(y, truth, KERNEL, noise_like(y, 0.2 / 255), 2 / 255)
    assert "to 0.1 of the noise level" in said
    assert "raise --strength" in said
    # A prior that leaves some of the noise in the picture is no reason for doubt.
    assert doubts(y, truth, KERNEL, noise_like(y, 0.8 / 255), 2 / 255) == ()


def test_a_result_that_is_no_sharper_is_told() -> None:
    _, y = seen(photograph())
    smooth = torch.nn.functional.avg_pool2d(y, 3, 1, 1)
    assert variation(smooth) < variation(y)
    (said,) = doubts(y, smooth, KERNEL, noise_like(y, 2 / 255), 2 / 255)
    assert "no sharper than the input" in said


def test_noise_of_the_input_is_not_sharpness() -> None:
    truth, y = seen(photograph())
    noisy = y + noise_like(y, 12 / 255)
    assert noisy.diff(dim=-1).abs().mean() > truth.diff(dim=-1).abs().mean()
    assert variation(noisy) < variation(truth)


def test_strong_noise_of_the_input_does_not_hide_that_the_result_is_sharper() -> None:
    # Counts of photons, 50 at white: the result gained 5 dB, and was said to be no sharper.
    truth, y = seen(photograph())
    noise = 40 / 255
    noisy = y + noise_like(y, noise)
    assert variation(noisy) > variation(truth)  # so that what follows could fail
    assert variation(noisy, noise) == pytest.approx(variation(y), rel=0.1)
    assert doubts(noisy, truth, KERNEL, noise_like(y, noise), noise) == ()
    (said,) = doubts(noisy, 0.9 * y, KERNEL, noise_like(y, noise), noise)
    assert "no sharper than the input" in said


def test_a_level_far_above_the_noise_hides_nothing() -> None:
    # A clean picture smoothed as if it were noisy: the level that was given is not in it.
    _, y = seen(photograph())
    smooth = torch.nn.functional.avg_pool2d(y, 5, 1, 2)
    assert variation(smooth) > variation(y, 20 / 255)  # had the level been believed
    (said,) = doubts(y, smooth, KERNEL, noise_like(y, 20 / 255), 20 / 255)
    assert "no sharper than the input" in said


def test_pictures_and_kernels_that_tell_nothing() -> None:
    y = photograph()
    assert blocked_power(y, torch.ones(1, 1)) is None
    assert blocked_power(y[..., :8, :8], KERNEL) is None
    assert blocked_power(torch.full_like(y, torch.nan), KERNEL) is None


def test_no_strength_is_advised_where_there_is_no_prior() -> None:
    _, y = seen(photograph())
    worse, fitted = inverse(y, KERNEL, 1e-4), noise_like(y, 0.2 / 255)
    smooth = torch.full_like(y, 0.5)
    for prior in (True, False):  # True is the twin
        for shown in (worse, smooth):
            said = doubts(y, shown, KERNEL, fitted, 2 / 255, prior=prior)
            assert len(said) == 2
            assert all(("--strength" in words) == prior for words in said)
            assert all(("--max-iter" in words) != prior for words in said)
