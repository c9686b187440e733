"""Weights that differ: what the best data count must not make the prior of the others stronger.

`tuning.LEAST_NOISE` keeps settings where they are for data almost without noise. With weights it is
the noisiest data that decide whether that is so: rays through air are next to exact in any scan.
"""

from __future__ import annotations

import pytest
import torch

from operators import Inpainting
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.tuning import (
    LEAST_NOISE,
    automatic,
    coupling,
    energy_choice,
    total_variation_weight,
)

SIZE = 8
DARK = (255 / 2.55) ** 2


def scan(bright: float) -> Problem:
    """Half of the data with noise of 2.55 grey levels, half with `bright` times its weight."""
    A = Inpainting(torch.ones((SIZE, SIZE), dtype=torch.bool))
    weights = torch.full((1, 1, SIZE, SIZE), DARK)
    weights[..., : SIZE // 2] *= bright
    y = torch.full((1, 1, SIZE, SIZE), 0.5)
    return Problem(A, y, fidelity=WeightedLeastSquares(A, y, weights))


def settings(problem: Problem, evenness: float) -> tuple[float, ...]:
    """Weights of priors at strength 1, level for level, in units of the fidelity."""
    noise, scale = problem.noise(), problem.scale
    energy = energy_choice(noise, scale, (0.0, 1.0), {}, evenness)
    split = automatic(noise, "pnp-hqs", scale, evenness)
    return (
        energy.weight(0.02),
        split.level**2 / split.coupling,
        1 / coupling(1.0, 1.0, noise, scale, evenness),
    )


def grown(heeded: bool) -> list[float]:
    """By what the weights grow where half of the data become 10⁶ times as good."""
    few, many = scan(1.0), scan(1e6)
    before = settings(few, few.evenness)
    after = settings(many, many.evenness if heeded else 1.0)
    return [b / a for a, b in zip(before, after, strict=True)]


def test_good_data_make_no_prior_stronger_for_the_others() -> None:
    assert max(grown(True)) <= 1.001


def test_the_floor_of_the_best_data_would() -> None:
    assert min(grown(False)) > 100


def test_total_variation_keeps_to_it_too() -> None:
    problem = scan(1e6)
    noise, scale = problem.noise(), problem.scale
    floored = total_variation_weight(noise, scale)
    assert total_variation_weight(noise, scale, problem.evenness) < floored / 10


def test_equal_weights_and_gaps_are_even() -> None:
    problem = scan(1.0)
    assert problem.evenness == pytest.approx(1.0, abs=1e-3)
    assert Problem(problem.A, problem.y, 0.01).evenness == 1.0
    weights = torch.full((1, 1, SIZE, SIZE), DARK)
    weights[..., 0] = 0.0  # not seen
    gaps = WeightedLeastSquares(problem.A, problem.y, weights)
    assert Problem(problem.A, problem.y, fidelity=gaps).evenness == pytest.approx(1.0, abs=1e-3)


def test_equal_weights_keep_the_floor() -> None:
    found = energy_choice(LEAST_NOISE / 50, 1.0, (0.0, 1.0), {}, scan(1.0).evenness)
    assert found.noise == pytest.approx(LEAST_NOISE, rel=1e-3)
