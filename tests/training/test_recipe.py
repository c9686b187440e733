"""Recipes: patches, schedule, ranges."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.training.denoiser.patches import random_patches
from pnp_recon.training.recipe import learning_rate_factor
from support.training import RECIPE, pictures


def test_patches_take_all_eight_symmetries_equally_often():
    picture = torch.arange(16, dtype=torch.uint8).reshape(1, 4, 4)
    turned = [torch.rot90(picture, k, (1, 2)) for k in range(4)]
    expected = {tuple(p.flatten().tolist()) for t in turned for p in (t, t.flip(2))}
    generator = torch.Generator().manual_seed(0)
    patches = (random_patches([picture], 800, 4, generator) * 255).round().int()
    found = Counter(tuple(patch.flatten().tolist()) for patch in patches)
    assert set(found) == expected
    # Binomial with mean 100: five standard deviations.
    assert all(abs(count - 100) < 48 for count in found.values())


def test_patches_are_seeded_and_cover_the_picture():
    images = pictures(2, 3)
    draw = [random_patches(images, 6, 8, torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    assert draw[0].shape == (6, 3, 8, 8)
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    corners = torch.zeros(1, 9, 9, dtype=torch.uint8)
    corners[0, 0, 0] = corners[0, 8, 8] = 255
    hits = random_patches([corners], 200, 8, torch.Generator().manual_seed(0)).amax((1, 2, 3))
    assert 0 < hits.mean() < 1  # the first and the last position are both drawn, and others too


def test_patch_larger_than_a_picture_is_refused():
    with pytest.raises(InputError, match="32×32 is smaller than the patch of 40×40"):
        random_patches(pictures(), 1, 40, torch.Generator())


def test_learning_rate_warms_up_then_falls_to_one_percent():
    recipe = replace(RECIPE, steps=100, warmup=10)
    factors = [learning_rate_factor(step, recipe) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * (k + 1) for k in range(10)])
    assert factors[10] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(factors[10:]))
    assert factors[100] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sigma_max": 25.0}, "write 25/255, not 25"),
        ({"sigma_min": 0.0}, "sigma-min is 0"),
        ({"sigma_max": math.nan}, "sigma-max is nan"),
        ({"sigma_min": 0.2, "sigma_max": 0.1}, "swap them"),
        ({"steps": 0}, "steps is 0"),
        ({"patch": -1}, "patch is -1"),
        ({"learning_rate": math.inf}, "learning rate inf"),
        ({"ema": 1.0}, "ema 1"),
    ],
)
def test_recipe_refuses_values_outside_their_range(change, words):
    with pytest.raises(InputError, match=words):
        replace(RECIPE, **change)


def test_validation_levels_lie_in_the_trained_range():
    assert RECIPE.validation_levels() == (5 / 255, 15 / 255, 25 / 255)
    narrow = replace(RECIPE, sigma_min=4 / 255, sigma_max=9 / 255)
    assert narrow.validation_levels() == (5 / 255,)
    between = replace(RECIPE, sigma_min=6 / 255, sigma_max=6 / 255)
    assert between.validation_levels() == pytest.approx((6 / 255,))
