"""The noise of a photograph by its kernel, by its file and by its brightness; each with a twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from operators import kernels
from pnp_recon.estimation.noise import (
    estimate_noise,
    estimate_noise_level,
    estimate_sharp_noise,
)
from pnp_recon.estimation.noise.brightness import brightness_noise
from pnp_recon.estimation.noise.estimate import BRIGHTNESS, JPEG, PALETTE, UNSEEN, WHITE
from pnp_recon.estimation.noise.palette import palette_noise
from pnp_recon.estimation.noise.quantised import quantisation_noise
from pnp_recon.estimation.noise.unseen import unseen_noise
from pnp_recon.estimation.spectrum import spectrum
from pnp_recon.pictures.colour import srgb_slope, srgb_to_linear
from support.photographs import blurred, eight_bit, noise_like, photograph, through_jpeg

MOTION = kernels.linear_motion(9, 30)
KERNELS = [MOTION, kernels.linear_motion(15, 0), kernels.disk(3), kernels.gaussian(1.6)]
NAMES = ["motion", "horizontal", "disk", "gaussian"]


def stored(y: Tensor) -> Tensor:
    """As 8 bit hold it."""
    return (y.clamp(0, 1) * 255).round() / 255


def true_error(y: Tensor, clean: Tensor) -> float:
    return 255 * float((y - clean).square().mean().sqrt())


# ---- where the kernel lets nothing through -------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@pytest.mark.parametrize("level", [1.0, 2.55, 7.65])
def test_white_noise_is_found_where_the_kernel_is_opaque(kernel: Tensor, level: float) -> None:
    clean = blurred(photograph(), kernel)
    y = stored(clean + noise_like(clean, level / 255))
    found = unseen_noise(y, kernel)
    assert found is not None
    assert 255 * found.level == pytest.approx(true_error(y, clean), rel=0.15, abs=0.1)
    assert found.spread < 0.05


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_soft_noise_is_found_that_the_highest_frequencies_do_not_hold(kernel: Tensor) -> None:
    clean = blurred(photograph(), kernel)
    y = stored(clean + noise_like(clean, 3.88 / 255, soft=True))
    found = unseen_noise(y, kernel)
    assert found is not None
    assert 255 * found.level == pytest.approx(3.88, rel=0.2)
    # The twin: what looks at the highest frequencies misses most of it.
    assert 255 * estimate_noise_level(y) < 0.5 * 3.88


def test_the_error_of_a_kernel_counts_as_noise() -> None:
    """The twin of a right kernel: at the frequencies that it blocks there is a picture."""
    clean = blurred(photograph(), MOTION)
    y = stored(clean + noise_like(clean, 1 / 255))
    right, wrong = (unseen_noise(y, k) for k in (MOTION, kernels.linear_motion(9, 120)))
    assert right is not None
    assert wrong is None or wrong.level > 1.5 * right.level


def test_a_kernel_that_blocks_nothing_and_pictures_too_small_say_nothing() -> None:
    y = photograph()
    assert unseen_noise(y, torch.ones(1, 1)) is None
    assert unseen_noise(y[..., :8, :8], MOTION) is None
    assert unseen_noise(torch.full_like(y, math.nan), MOTION) is None
    flat = unseen_noise(torch.full_like(y, 0.5), MOTION)
    assert flat is None or flat.level < 1e-6


def test_large_pictures_are_seen_in_blocks() -> None:
    clean = blurred(photograph("astronaut", 460, 0, 0), kernels.disk(3))
    y = stored(clean + noise_like(clean, 2 / 255))
    found = unseen_noise(y, kernels.disk(3))
    assert found is not None
    assert 255 * found.level == pytest.approx(true_error(y, clean), rel=0.1)


# ---- the tables of a JPEG file --------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [30, 50, 75, 95])
def test_the_error_of_a_jpeg_is_in_its_tables(quality: int, channels: int) -> None:
    clean = blurred(photograph(), MOTION)[:, :channels]
    y, parts = through_jpeg(clean, quality)
    found = quantisation_noise(y, parts)
    assert found is not None
    ratio = 255 * found / true_error(y, clean)
    assert 0.85 < ratio < 1.7  # too much rather than too little


@pytest.mark.parametrize("quality", [50, 75, 90])
@pytest.mark.parametrize("place", ["chelsea", "coffee"])
def test_a_kernel_says_which_coefficients_are_too_small_to_be_rounded(
    quality: int, place: str
) -> None:
    kernel = kernels.disk(4)
    clean = blurred(photograph(place), kernel)
    y, parts = through_jpeg(clean, quality)
    true = true_error(y, clean) / 255
    with_kernel, without = (quantisation_noise(y, parts, k) for k in (kernel, None))
    assert with_kernel is not None
    assert without is not None
    assert 0.85 < with_kernel / true < 1.35
    # The twin: a power law alone takes what the kernel stopped for lost in rounding.
    assert without > 1.1 * with_kernel
    assert abs(math.log(with_kernel / true)) < abs(math.log(without / true))
    # A kernel of one pixel stops nothing, and a copy of it for each channel is the same kernel.
    assert quantisation_noise(y, parts, torch.ones(1, 1)) == pytest.approx(without)
    assert quantisation_noise(y, parts, kernel.expand(3, -1, -1)) == pytest.approx(with_kernel)


def test_steps_alone_say_far_too_much() -> None:
    """The twin: most coefficients of a picture fall into the cell of zero."""
    clean = blurred(photograph(), MOTION)[:, :1]
    y, (part,) = through_jpeg(clean, 30)
    uniform = math.sqrt(sum(step**2 for step in part.steps) / 64 / 12)
    assert uniform > 3 * true_error(y, clean)


def test_tables_that_do_not_fit_say_nothing() -> None:
    y, parts = through_jpeg(photograph(), 75)
    assert quantisation_noise(y, parts[:2]) is None
    assert quantisation_noise(y[:, :1], parts) is None
    assert quantisation_noise(y[..., :4, :4], parts) is None


# ---- noise that grows with the brightness ---------------------------------------------------


def test_noise_of_photons_is_more_than_the_median_over_the_picture_says() -> None:
    # Most of it is dark, where there is little noise.
    light = torch.linspace(0.2, 1, 128)[:, None].expand(128, 128)[None, None].clone() ** 3 * 0.9
    deviation = (0.002 * light + 1e-6).sqrt()
    y = light + noise_like(light, 1.0) * deviation
    found, truth = brightness_noise(y), float(deviation.square().mean().sqrt())
    assert found == pytest.approx(truth, rel=0.1)
    assert estimate_noise_level(y) < 0.9 * truth  # the twin
    level = float(deviation.mean())
    assert brightness_noise(light + noise_like(light, level)) is None


# ---- one estimate ---------------------------------------------------------------------------


def test_the_larger_is_taken_and_said() -> None:
    clean = blurred(photograph(), MOTION)
    y, parts = through_jpeg(clean + noise_like(clean, 1 / 255), 50)
    found = estimate_noise(y, MOTION, parts)
    assert found.source == JPEG
    assert found.level == max(one.level for one in found.candidates)
    assert {UNSEEN, WHITE} <= {one.source for one in found.candidates}
    assert found.words.startswith(f"estimated from {JPEG}, ± 25%; ")
    assert UNSEEN in found.words
    # Without the tables the kernel sees more of it than the highest frequencies, and is less sure
    # of a picture without either.
    assert estimate_noise(y, MOTION).source == UNSEEN
    alone = estimate_noise(y)
    assert alone.source == WHITE
    assert alone.level < 0.5 * found.level


def test_texture_is_not_taken_for_noise_where_a_kernel_is_known() -> None:
    """Across a short motion a picture stays sharp, which the highest frequencies take for noise."""
    kernel = kernels.linear_motion(5, 0)
    clean = blurred(photograph("astronaut", 136, 300, 60), kernel)
    texture = noise_like(photograph("astronaut", 140, 0, 0), 0.1, seed=5)
    clean = clean + blurred(texture, kernel)[..., : clean.shape[-2], : clean.shape[-1]]
    y = stored(clean + noise_like(clean, 1 / 255))
    found = estimate_noise(y, kernel)
    assert found.source == UNSEEN
    assert 255 * found.level < 1.5 * true_error(y, clean)
    assert 255 * estimate_noise_level(y) > 2 * true_error(y, clean)  # the twin


def test_noise_of_stored_values_is_told_in_linear_light() -> None:
    clean = blurred(photograph(), MOTION)
    y, parts = through_jpeg(clean, 50)
    linear = estimate_noise(srgb_to_linear(y), None, parts, y, srgb_slope(y))
    assert linear.source == JPEG
    error = true_error(srgb_to_linear(y), srgb_to_linear(clean)) / 255
    assert 0.7 < linear.level / error < 1.8


def test_brightness_is_looked_at_beside_a_kernel_only() -> None:
    light = torch.linspace(0.2, 1, 128)[:, None].expand(128, 128)[None, None].clone() ** 3 * 0.9
    y = light + noise_like(light, 1.0) * (0.002 * light + 1e-6).sqrt()
    narrow = torch.tensor([[0.1, 0.8, 0.1]])
    assert estimate_noise(y, narrow).source == BRIGHTNESS
    assert estimate_noise(y).source == WHITE


def test_the_helper_stores_eight_bits() -> None:
    """What the files of these tests hold is what `stored` says."""
    import numpy as np

    y = photograph() + 0.001
    values = torch.from_numpy(np.array(eight_bit(y), dtype=np.float32) / 255)
    assert torch.allclose(values.permute(2, 0, 1)[None], stored(y))


def test_a_frequency_is_blocked_where_every_kernel_of_a_grid_blocks_it() -> None:
    seen = spectrum(torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert seen is not None
    across = kernels.linear_motion(9, 0, 11, dtype=torch.float64)
    field = torch.stack([across, across.T]).reshape(1, 2, 11, 11)
    passed = seen.passed(field)
    each = [seen.passed(kernel) for kernel in field[0]]
    torch.testing.assert_close(passed, torch.maximum(each[0], each[1]))
    assert bool((each[0] < 0.0025).sum() > 3 * (passed < 0.0025).sum())


# ---- few colours -------------------------------------------------------------------------------


def of_few_colours(y: Tensor, count: int) -> Tensor:
    """As a palette of so many colours holds it."""
    shown = eight_bit(y).convert("RGB").quantize(count).convert("RGB")
    return torch.from_numpy(np.asarray(shown).copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("colours", [16, 64, 256])
def test_a_palette_is_seen_by_how_far_its_colours_lie_apart(colours: int) -> None:
    clean = blurred(photograph(), MOTION)
    y = of_few_colours(clean, colours)
    found = estimate_noise(y, MOTION)
    assert found.source == PALETTE
    assert 0.6 < 255 * found.level / true_error(y, clean) < 2.6
    # The twin: every other source sees less than that.
    assert all(one.level < found.level for one in found.candidates[1:])


@pytest.mark.parametrize("colours", [32, 256])
def test_the_palette_of_a_sharp_picture_is_no_rounding(colours: int) -> None:
    clean = photograph()
    y = of_few_colours(clean, colours)
    found = estimate_sharp_noise(y, 8)
    assert found.source == PALETTE
    assert 0.6 < 255 * found.level / true_error(y, clean) < 2.6
    # The twins: what was said without it, and a file with all its colours.
    assert all(one.level < 0.5 * found.level for one in found.candidates[1:])
    assert estimate_sharp_noise(stored(clean), 8).source != PALETTE


def test_other_pictures_have_no_palette() -> None:
    clean = blurred(photograph(), MOTION)
    assert palette_noise(stored(clean)) is None
    assert palette_noise(stored(clean)[:, :1].expand(-1, 3, -1, -1)) is None  # grey, by rounding
    drawing = (clean * 3).round() / 3
    assert palette_noise(drawing) is None  # its colours lie too far apart
    assert palette_noise(of_few_colours(clean, 64)[..., :32, :32]) is None  # too few pixels
