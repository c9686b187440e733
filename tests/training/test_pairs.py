"""Pairs of a simulated scan and a picture: shapes, window, noise statistics, seeds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from operators import ScanGeometry, attenuation, parallel_beam
from pnp_recon.errors import InputError
from pnp_recon.scans import hounsfield_window
from pnp_recon.scans.counts import SMALLEST_COUNT
from pnp_recon.training.unrolled.pairs import pooled, simulated_scans
from pnp_recon.training.unrolled.trainer import Pairs

SIDE = 16
SCAN = parallel_beam(12, SIDE, pixel_mm=2.0)


def slices(count: int, side: int = SIDE) -> Tensor:
    """Discs of water and bone in air, (count, 1, side, side) in HU, float64."""
    t = torch.linspace(-1, 1, side, dtype=torch.float64)
    radius = (t[:, None] ** 2 + t**2).sqrt()
    one = torch.where(radius < 0.8, 40.0, -1000.0).double()
    return torch.stack([one + 600 * (radius < 0.15 + 0.15 * k) for k in range(count)])[:, None]


def weighted_noise(scan: ScanGeometry, incident: float) -> Tensor:
    """(p − mean of p)·√count of many noisy scans of one slice: about standard normal."""
    window, slice_hu = hounsfield_window(), slices(1)
    A, pairs = simulated_scans(slice_hu.expand(200, -1, -1, -1), scan, incident)
    clean = A.A(attenuation(slice_hu))
    noise = window.width * (pairs.measurements - A.A(window.to_unit(attenuation(slice_hu))))
    return noise * (incident * torch.exp(-clean)).sqrt()


def test_shapes_types_and_window():
    A, pairs = simulated_scans(slices(3), SCAN, 1e4)
    assert pairs.measurements.shape == (3, *A.measurement_shape)
    assert pairs.pictures.shape == (3, 1, SIDE, SIDE)
    assert pairs.measurements.dtype == pairs.pictures.dtype == torch.float64
    assert simulated_scans(slices(1).float(), SCAN, 1e4)[1].measurements.dtype == torch.float32
    assert len(pairs) == 3
    assert float(pairs.pictures.min()) == pytest.approx(24 / 2524)
    extreme = torch.tensor([[-3024.0, 3000.0], [-1024.0, 1500.0]]).repeat(8, 8)[None, None]
    clipped = simulated_scans(extreme, SCAN, 1e4)[1].pictures
    assert clipped.unique().tolist() == pytest.approx([0.0, 1.0], abs=1e-6)


def test_without_noise_the_operator_maps_pictures_to_measurements():
    """So many photons that hardly any noise is left."""
    A, pairs = simulated_scans(slices(2), SCAN, 1e13)
    error = float((A.A(pairs.pictures) - pairs.measurements).abs().max())
    assert error < 1e-4
    # Twin: the measurements of the other slice are seen to be others.
    assert float((A.A(pairs.pictures.flip(0)) - pairs.measurements).abs().max()) > 0.1


def test_noise_variance_is_one_over_the_count():
    scores = weighted_noise(SCAN, 1e4)
    assert float(scores.var()) == pytest.approx(1, abs=0.02)  # 50 000 numbers
    assert abs(float(scores.mean())) < 0.03
    # Twin: with few photons the variance is not that of the first order any more.
    assert abs(float(weighted_noise(SCAN, 6.0).var()) - 1) > 0.1


def test_a_ray_without_a_photon_is_finite():
    dense = torch.full((1, 1, SIDE, SIDE), 1500.0)
    thick = parallel_beam(12, SIDE, pixel_mm=40.0)
    A, pairs = simulated_scans(dense, thick, 10.0)
    window = hounsfield_window()
    floor = A.A(torch.full((1, 1, SIDE, SIDE), window.low))
    lines = window.width * pairs.measurements + floor
    darkest = math.log(10 / SMALLEST_COUNT)
    assert bool(torch.isfinite(lines).all())
    assert float(lines.max()) == pytest.approx(darkest, rel=1e-4)
    assert float((lines > darkest - 1e-3).double().mean()) > 0.3


def test_the_noise_of_a_slice_follows_from_seed_and_index_alone():
    all_slices = slices(4)
    _, full = simulated_scans(all_slices, SCAN, 1e4, seed=3)
    _, part = simulated_scans(all_slices[[2, 0]], SCAN, 1e4, seed=3, indices=[2, 0])
    assert torch.equal(part.measurements, full.measurements[[2, 0]])
    _, other = simulated_scans(all_slices, SCAN, 1e4, seed=4)
    assert not torch.equal(other.measurements, full.measurements)
    _, alike = simulated_scans(all_slices[:1].repeat(2, 1, 1, 1), SCAN, 1e4)
    assert not torch.equal(alike.measurements[0], alike.measurements[1])


def test_pooling_takes_means_and_refuses_what_does_not_fit():
    fine = slices(2, 32)
    coarse = pooled(fine, 16)
    assert coarse.shape == (2, 1, 16, 16)
    assert float(coarse[0, 0, 3, 5]) == pytest.approx(float(fine[0, 0, 6:8, 10:12].mean()))
    assert torch.equal(pooled(fine, 32), fine)
    for bad in (24, 0, 64):
        with pytest.raises(InputError, match="multiple of the size"):
            pooled(fine, bad)
    with pytest.raises(InputError, match="32×16 pixels"):
        pooled(fine[..., :16], 16)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 slices and 1 different"):
        simulated_scans(slices(2), SCAN, 1e4, indices=[1, 1])
    with pytest.raises(InputError, match="at least one slice"):
        simulated_scans(slices(1)[:0], SCAN, 1e4)
    with pytest.raises(InputError, match="2 measurements and 3 pictures"):
        Pairs(torch.zeros(2, 1, 4, 4), torch.zeros(3, 1, 4, 4))
    with pytest.raises(InputError, match="not finite"):
        simulated_scans(slices(1) * math.nan, SCAN, 1e4)
