"""Clipped pixels are found, and are left out where the noise is looked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators import kernels
from pnp_recon.estimation.clipping import MOST, are_clipped, clipped_pixels, outshone
from pnp_recon.estimation.noise import estimate_noise
from pnp_recon.estimation.noise.unseen import unseen_noise
from pnp_recon.problems.simulate import blur
from support.photographs import blurred, noise_like, photograph

KERNEL = kernels.linear_motion(9, 30)


def lamps(kernel: Tensor = KERNEL, side: int = 4) -> tuple[Tensor, Tensor]:
    """A blurred picture with two lamps as 8 bit hold it, and without them, unclipped."""
    x = 0.2 + 0.6 * photograph()
    with_lamps = x.clone()
    with_lamps[..., 20 : 20 + side, 20:24] = with_lamps[..., 60:63, 110 : 110 + side] = 8.0
    noise = noise_like(blurred(x, kernel), 1 / 255)
    y = ((blurred(with_lamps, kernel) + noise).clamp(0, 1) * 255).round() / 255
    return y, blurred(x, kernel) + noise


def test_clipped_pixels_and_their_neighbours_are_found() -> None:
    y, _ = lamps()
    found = clipped_pixels(y, 8)
    assert found is not None
    assert found.shape == (1, 1, *y.shape[-2:])
    assert bool(found[(y >= 1).all(1, keepdim=True)].all())
    assert 0.005 < float(found.float().mean()) < 0.05
    # The twin: a channel by itself, and no neighbours, is less.
    assert int(found.sum()) > 1.3 * int((y >= 1).any(1).sum())


def test_the_streak_of_a_lamp_is_clipped_and_a_dash_is_not() -> None:
    page = torch.full((1, 1, 64, 64), 0.3)
    page[..., 20, 30:40] = 1.0
    page[..., 50, 10:14] = 1.0  # as noise makes them
    found = clipped_pixels(page, 8)
    assert found is not None
    assert bool(found[..., 20, 31:39].all())
    assert not bool(found[..., 45:, :].any())


def test_what_is_no_clipping() -> None:
    y, plain = lamps()
    assert clipped_pixels(plain.clamp(0.01, 0.99), 8) is None
    assert clipped_pixels(y, 32) is None
    page = torch.ones(1, 1, 64, 64)
    page[..., 20:30, 20:50] = 0.2
    assert clipped_pixels(page, 8) is None  # paper is white
    page[..., 40, 40:43] = 0.0
    assert clipped_pixels(page, 8) is None  # as noise makes them
    page[..., 40:43, 40:43] = 0.0
    black = clipped_pixels(page, 8)
    assert black is not None
    assert 0 < float(black.float().mean()) < MOST


def test_where_much_is_white_the_halo_tells_light_from_paper() -> None:
    x = 0.1 + 0.5 * photograph()
    sheet = torch.zeros_like(x)
    sheet[..., 20:60, 30:80] = 1
    A = blur(KERNEL, tuple(x.shape[1:]), "valid")
    for white, lit in ((1.0, False), (8.0, True)):
        seen = blurred(torch.where(sheet > 0, white, x), KERNEL)
        y = ((seen + noise_like(seen, 1 / 255)).clamp(0, 1) * 255).round() / 255
        found = clipped_pixels(y, 8)
        assert found is not None
        assert float(found.float().mean()) > MOST
        assert are_clipped(A, y, found, 1 / 255) is lit
    y, _ = lamps()
    few = clipped_pixels(y, 8)
    assert few is not None
    assert are_clipped(A, y, few, 1.0)  # few are believed whatever lies around them


def test_lamps_do_not_count_as_noise() -> None:
    y, _ = lamps()
    found = estimate_noise(y, KERNEL, clipped=clipped_pixels(y, 8))
    assert 255 * found.level == pytest.approx(1.04, rel=0.3)
    blind = estimate_noise(y, KERNEL)
    assert blind.level > 1.5 * found.level  # the twin
    everywhere = torch.ones(1, 1, *y.shape[-2:], dtype=torch.bool)
    assert unseen_noise(y, KERNEL, everywhere) is None


def test_the_halo_of_a_lamp_is_left_out_and_nothing_else() -> None:
    kernel = kernels.disk(3)
    y, plain = lamps(kernel, side=1)
    found = clipped_pixels(y, 8)
    assert found is not None
    rows, columns = (side + 6 for side in y.shape[-2:])
    A = blur(kernel, (y.shape[1], rows, columns), "valid")
    out = outshone(A, y, found, 1 / 255)
    assert bool(out[found].all())
    assert int(out.sum()) > int(found.sum())
    assert float(out.float().mean()) < 0.1
    # What is left out is lit by the lamps, most of it at least.
    lit = ((y - plain).abs() > 4 / 255).any(1, keepdim=True)
    assert float(lit[out & ~found].float().mean()) > 0.5
    # The twin: where all is explained by a picture in [0, 1], nothing more is left out.
    assert torch.equal(outshone(A, plain, found, 1 / 255), found)
