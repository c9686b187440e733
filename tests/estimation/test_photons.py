"""The variance of photon noise: right in the mean, blind to what is not known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pnp_recon.estimation.doubts import doubts
from pnp_recon.estimation.photons import photon_variance

SIDE, F64 = 64, torch.float64


def counts(mean: Tensor, seed: int = 0) -> Tensor:
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("photons", [5.0, 100.0])
@pytest.mark.parametrize("readout", [0.0, 4.0])
def test_it_is_that_of_the_counts(photons: float, readout: float) -> None:
    mean = torch.linspace(1, photons, SIDE, dtype=F64).expand(1, 1, SIDE, SIDE)
    found = photon_variance(counts(mean) / photons, photons, readout)
    true = (mean + readout) / photons**2
    assert float((found / true - 1).abs().mean()) < 0.25
    assert abs(float((found / true).mean()) - 1) < 0.05


def weighted_mean(y: Tensor, weights: Tensor) -> float:
    return float((weights * y).sum() / weights.sum())


def test_weights_by_neighbours_are_hardly_biased_and_by_each_count_they_are() -> None:
    y = counts(torch.full((1, 1, SIDE, SIDE), 10.0, dtype=F64))
    mean = float(y.mean())
    assert abs(weighted_mean(y, 1 / photon_variance(y, 1.0)) - mean) < 0.1
    assert weighted_mean(y, 1 / y.clamp_min(1)) < mean - 0.8


def test_what_is_not_known_is_not_looked_at() -> None:
    y = counts(torch.full((1, 3, SIDE, SIDE), 50.0, dtype=F64)) / 50
    known = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    known[..., 20:30, 20:30] = False
    lit = torch.where(known, y, y + 9)
    found, dull = (photon_variance(one, 50.0, known=known) for one in (lit, y))
    assert torch.equal(found, dull)
    assert not torch.equal(photon_variance(lit, 50.0), photon_variance(y, 50.0))


def test_darkness_has_a_variance() -> None:
    y = torch.zeros(1, 1, SIDE, SIDE)
    assert bool((photon_variance(y, 200.0) > 0).all())
    y[..., :8] = 1.0  # dark pixels do not count for thousands of bright ones
    assert float((1 / photon_variance(y, 1e5)).max() * photon_variance(y, 1e5).mean()) < 25


def test_doubts_about_counts_name_the_peak() -> None:
    y = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    kernel = torch.ones(1, 1)
    strong = doubts(y, y, kernel, torch.full_like(y, 0.3), 0.1, 200.0)
    assert any("3.0 times" in said and "22 as --peak" in said for said in strong)
    weak = doubts(y, y, kernel, torch.full_like(y, 0.01), 0.1, 200.0)
    assert any("raise --peak" in said for said in weak)
    assert not any("--sigma" in said for said in (*strong, *weak))
    plain = doubts(y, y, kernel, torch.full_like(y, 0.3), 0.1)
    assert any("--sigma" in said for said in plain)
