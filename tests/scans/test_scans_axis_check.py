"""The axis with how sure it is, among zingers, without opposite views, on a detector aside."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.scans import find_scan_axis, read_scan, to_line_integrals
from pnp_recon.scans.axis_check import best_slice, locate_axis
from pnp_recon.scans.zingers import find_zingers
from support.scans import half_turn, sinogram

PLACES = [folder / "shared/data/ct/tooth.h5" for folder in Path(__file__).resolve().parents]
TOOTH = next((place for place in PLACES if place.is_file()), PLACES[2])
DETECTORS, AXIS = 128, 57.3


def noisy(lines: torch.Tensor, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(lines.shape, generator=generator, dtype=lines.dtype)
    return lines + 0.01 * lines.max() * noise


def struck(lines: torch.Tensor, views: list[int], number: int) -> torch.Tensor:
    """`number` flashes in each of `views`: more photons, smaller line integrals."""
    out = lines.clone()
    generator = torch.Generator().manual_seed(2)
    for view in views:
        out[0, view, torch.randperm(DETECTORS, generator=generator)[:number]] -= 2 * lines.max()
    return out


@pytest.mark.parametrize("views", [90, 181])
def test_zingers_do_not_move_the_axis(views: int) -> None:
    lines = noisy(sinogram(half_turn(views), DETECTORS, AXIS))
    for places, number in (([0, 1, views - 1], 6), (list(range(0, views, 3)), 1)):
        found = locate_axis(struck(lines, places, number), half_turn(views))
        assert found.pixel == pytest.approx(AXIS, abs=0.1)
        assert found.sure


def test_without_the_filter_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from pnp_recon.scans import axis

    lines = struck(noisy(sinogram(half_turn(90), DETECTORS, AXIS)), [0, 1, 89], 6)
    monkeypatch.setattr(axis, "find_zingers", lambda one: (None, one))
    assert abs(find_scan_axis(lines, half_turn(90)).pixel - AXIS) > 0.25


def test_zingers_are_found_and_nothing_else() -> None:
    lines = noisy(sinogram(half_turn(90), DETECTORS, AXIS))
    assert int(find_zingers(lines)[0].sum()) == 0
    assert int(find_zingers(sinogram(half_turn(90), DETECTORS, AXIS))[0].sum()) == 0
    with_them = struck(lines, list(range(90)), 1)
    found, mended = find_zingers(with_them)
    assert torch.equal(found, with_them != lines)
    # At an edge the median of the neighbours is a little off.
    assert float((mended - lines).abs().max()) < 0.3 * float(lines.max())
    assert torch.equal(mended[~found], lines[~found])


@pytest.mark.parametrize("axis", [70.4, 95.1])
def test_a_full_turn_with_the_detector_to_one_side(axis: float) -> None:
    turns = 2 * half_turn(180)
    lines = noisy(sinogram(turns, DETECTORS + 32, axis))[..., 32:]
    found = locate_axis(lines, turns)
    assert found.pixel == pytest.approx(axis - 32, abs=0.15)
    assert found.sure


def test_without_opposite_views_the_centres_of_mass_serve() -> None:
    turns = half_turn(180)[:130]  # 130°
    lines = noisy(sinogram(turns, DETECTORS, AXIS))
    found = locate_axis(lines, turns)
    assert found.pixel == pytest.approx(AXIS, abs=0.25)
    assert math.isnan(found.mismatch)
    with pytest.raises(InputError, match="give the axis"):
        locate_axis(lines[..., 30:80], turns)  # mass is missing
    with pytest.raises(InputError, match="give the axis"):
        locate_axis(lines[:, :60], turns[:60])


def test_a_wrong_axis_is_not_the_best_slice() -> None:
    lines = noisy(sinogram(half_turn(90), DETECTORS, AXIS))
    for near in (AXIS - 1.7, AXIS, AXIS + 2.2):
        assert best_slice(lines, half_turn(90), near) == pytest.approx(AXIS, abs=0.25)
    assert best_slice(lines, half_turn(90), AXIS + 8) is None


def test_views_that_do_not_fit_are_not_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    lines = torch.rand(1, 90, DETECTORS, generator=generator, dtype=torch.float64)
    assert not locate_axis(lines, half_turn(90)).sure


@pytest.mark.skipif(not TOOTH.is_file(), reason=f"the measured scan {TOOTH} is not there")
def test_the_tooth_is_sure() -> None:
    scan = read_scan(TOOTH, slices=slice(0, 1))
    assert scan.angles is not None
    found = locate_axis(to_line_integrals(scan).scan.data, scan.angles)
    assert found.pixel == pytest.approx(295.9, abs=0.25)
    assert found.sure
