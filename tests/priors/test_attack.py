"""The attack on things whose answer is known."""

from __future__ import annotations

import pytest
import torch

from pnp_recon.priors.attack import attack, search


def test_search_finds_the_norm_of_a_linear_map() -> None:
    scales = torch.linspace(0.1, 1.7, 64).reshape(1, 1, 8, 8)
    x = torch.rand(1, 1, 8, 8)
    found = search(lambda z: scales * z, x, 60)
    assert 1.65 < found <= 1.7 + 1e-3


@pytest.mark.parametrize("gradients", [False, True])
def test_attack_stays_below_the_constant_of_a_contraction(gradients: bool) -> None:
    x = torch.rand(1, 1, 8, 8)
    assert attack(lambda z: 0.8 * z.clamp(0, 1), x, 20, gradients=gradients) <= 0.8 + 1e-4


def test_gradients_find_a_steep_spot_that_the_search_misses() -> None:
    # Steep only where a value exceeds 0.9; the start lies below.
    def steep(z: torch.Tensor) -> torch.Tensor:
        return 0.5 * z + 4 * (z - 0.9).clamp_min(0)

    x = torch.full((1, 1, 8, 8), 0.8)
    assert search(steep, x, 30) < 0.6
    assert attack(steep, x, 60, gradients=True) > 1


def test_an_attack_on_what_overflows_ends() -> None:
    x = torch.rand(1, 1, 4, 4)
    assert search(lambda z: 1e30 * z, x, 5) > 1e20
