"""Noise is white, seeded by what it is for, and goes on where it is said to."""

from __future__ import annotations

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.problems import noise
from pnp_recon.problems.masks import _MASK_LEVEL, benchmark_mask, command_mask
from pnp_recon.problems.noise import noise_seed, noisy
from pnp_recon.problems.running import running_noise

ZEROS = torch.zeros(1, 1, 4, 5)


def test_commands_draw_the_same_in_every_precision() -> None:
    draw = noise.command_noise(3)
    assert torch.equal(draw(ZEROS), draw(ZEROS.double()).float())
    assert not torch.equal(draw(ZEROS), noise.standard_normal(ZEROS, 3))  # float32 draws others


def test_a_running_generator_goes_on() -> None:
    draw = running_noise(noise.seeded(7))
    assert not torch.equal(draw(ZEROS), draw(ZEROS))


def test_slices_of_two_runs_share_no_noise() -> None:
    seeds = {noise.scan_generator(k, s).initial_seed() for k in range(100) for s in range(9)}
    assert len(seeds) == 900


def test_a_mask_has_another_seed_than_the_noise_of_its_picture() -> None:
    assert benchmark_mask((4, 5), 0.5, 7).shape == (4, 5)
    levels = [k / 10 / 255 for k in range(2551)]
    assert noise_seed(_MASK_LEVEL, 7) not in {noise_seed(sigma, 7) for sigma in levels}


@pytest.mark.parametrize("kind", ["pixels", "blocks", "strokes"])
def test_masks_of_a_command_miss_the_share_that_was_asked_for(kind) -> None:
    mask = command_mask(kind, (120, 160), 0.4, 0)
    assert mask.shape == (120, 160)
    assert 1 - float(mask.double().mean()) == pytest.approx(0.4, abs=0.05)


def test_noise_is_seeded_white_and_not_clipped() -> None:
    x = torch.full((1, 1, 300, 300), 0.9)
    y = noisy(x, 25 / 255, 3)
    assert torch.equal(y, noisy(x, 25 / 255, 3))
    assert not torch.equal(y, noisy(x, 25 / 255, 4))
    assert float(y.max()) > 1
    noise = (y - x).double() * 255 / 25
    assert abs(float(noise.mean())) < 0.02
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert abs(float((noise[..., 1:] * noise[..., :-1]).mean())) < 0.02
    state = torch.get_rng_state()
    noisy(x, 0.1, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(noisy(x, 0.0, 0), x)
    torch.testing.assert_close(noisy(x.double(), 0.1, 7).float(), noisy(x, 0.1, 7))


def test_noise_seeds_differ() -> None:
    levels = [0, 1, 2.55, 5, 7.65, 12.75, 15, 17.85, 25, 38.25, 40, 50, 255]
    seeds = {noise_seed(level / 255, index) for level in levels for index in range(500)}
    assert len(seeds) == len(levels) * 500
    for sigma, index in ((-0.1, 0), (4.0, 0), (float("nan"), 0), (0.1, -1)):
        with pytest.raises(InputError, match="expected index"):
            noise_seed(sigma, index)


def test_another_seed_is_another_noise() -> None:
    """Compared in the 32 bits that torch's generator looks at."""
    x = torch.zeros(1, 1, 8, 8)
    assert torch.equal(noisy(x, 0.1, 3, seed=0), noisy(x, 0.1, 3))
    assert not torch.equal(noisy(x, 0.1, 3, seed=1), noisy(x, 0.1, 3))
    assert torch.equal(noisy(x, 0.1, 3, seed=1), noisy(x, 0.1, 3, seed=1))
    levels = (5, 15, 25, 50)
    triples = [(level / 255, i, s) for level in levels for i in range(500) for s in range(16)]
    assert len({noise_seed(*triple) % 2**32 for triple in triples}) == len(triples)
    noisy(x, 0.1, 10_000, 2**32 - 1)
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match="seed is"):
            noise_seed(0.1, 0, seed)


def test_the_seed_of_a_picture_is_that_of_torch() -> None:
    values = noisy(torch.zeros(1, 1, 1, 3), 1.0, 0).flatten()
    again = torch.randn((1, 1, 1, 3), generator=torch.Generator().manual_seed(255_000)).flatten()
    assert torch.equal(values, again)
