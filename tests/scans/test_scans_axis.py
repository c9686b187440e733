"""The rotation axis, found on a phantom with a known one and on a measured tooth."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from operators import RayTransform, ScanGeometry
from pnp_recon.errors import InputError
from pnp_recon.scans import find_axis, find_scan_axis, read_scan, to_line_integrals
from support.scans import half_turn, sinogram

# Beside the checkout, or beside a folder of checkouts.
PLACES = [folder / "shared/data/ct/tooth.h5" for folder in Path(__file__).resolve().parents]
TOOTH = next((place for place in PLACES if place.is_file()), PLACES[2])
DETECTORS = 160


def noisy(lines: torch.Tensor, part: float = 0.01) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(lines.shape, generator=generator, dtype=lines.dtype)
    return lines + part * lines.max() * noise


@pytest.mark.parametrize("axis", [79.5, 70.0, 74.13, 90.77])
def test_two_opposite_views(axis: float) -> None:
    lines = noisy(sinogram(torch.tensor([0.0, math.pi]), DETECTORS, axis))[0]
    found = find_axis(lines[0], lines[1])
    assert found.pixel == pytest.approx(axis, abs=0.05)
    assert found.offset == pytest.approx(axis - 79.5, abs=0.05)
    assert found.mismatch < 0.05


@pytest.mark.parametrize("axis", [79.5, 68.37])
@pytest.mark.parametrize("views", [90, 181])
def test_a_scan_that_ends_one_step_before_half_a_turn(axis: float, views: int) -> None:
    angles = half_turn(views)
    found = find_scan_axis(noisy(sinogram(angles, DETECTORS, axis)), angles)
    assert found.pixel == pytest.approx(axis, abs=0.1)


def test_the_last_step_matters() -> None:
    """Taken for opposite views, the first and the last one give another axis."""
    angles = half_turn(45)
    lines = sinogram(angles, DETECTORS, 68.37)
    assert abs(find_axis(lines[:, 0], lines[:, -1]).pixel - 68.37) > 0.15
    assert find_scan_axis(lines, angles).pixel == pytest.approx(68.37, abs=0.1)


def test_other_orders_and_ranges_of_angles() -> None:
    inclusive = math.pi * torch.arange(91, dtype=torch.float64) / 90
    full = half_turn(180) * 2 - 1.0
    shuffled = half_turn(120)[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    for angles in (inclusive, full, shuffled):
        found = find_scan_axis(noisy(sinogram(angles, DETECTORS, 85.2)), angles)
        assert found.pixel == pytest.approx(85.2, abs=0.1)


def test_an_object_larger_than_the_detector() -> None:
    angles = half_turn(180)
    lines = sinogram(angles, DETECTORS, 74.4)[..., 45:125]
    assert find_scan_axis(lines, angles).pixel == pytest.approx(29.4, abs=0.1)


def test_the_offset_is_the_one_of_the_scan_geometry() -> None:
    """In slices of a geometry with the offset found, the object lies where it is."""
    angles = half_turn(120)
    lines = sinogram(angles, DETECTORS, 68.37)
    offset = find_scan_axis(lines, angles).offset
    pictures = []
    for shift, place in ((offset, 68.37), (0.0, 79.5), (0.0, 68.37)):
        geometry = ScanGeometry("parallel", tuple(angles.tolist()), DETECTORS, axis_offset=shift)
        A = RayTransform(geometry, (1, DETECTORS, DETECTORS), storage="on_the_fly")
        pictures.append(A.fbp(sinogram(angles, DETECTORS, place).float()[None]))
    found, true, wrong = pictures
    assert float((found - true).norm() / true.norm()) < 0.08
    assert float((wrong - true).norm() / true.norm()) > 0.2


def test_views_that_do_not_fit_each_other_show_in_the_mismatch() -> None:
    generator = torch.Generator().manual_seed(0)
    first, last = torch.randn(2, DETECTORS, generator=generator)
    assert find_axis(first, last).mismatch > 0.2


def test_what_gives_no_axis_is_refused() -> None:
    angles = half_turn(90)
    lines = sinogram(angles, DETECTORS, 79.5)
    with pytest.raises(InputError, match=r"span 118°.* give the axis"):
        find_scan_axis(lines[:, :60], angles[:60])
    with pytest.raises(InputError, match="as many angles"):
        find_scan_axis(lines, angles[:60])
    with pytest.raises(InputError, match="nothing to register"):
        find_axis(torch.ones(50), torch.ones(50))
    with pytest.raises(InputError, match="at least 16"):
        find_axis(torch.rand(10), torch.rand(10))
    with pytest.raises(InputError, match="expected the same"):
        find_axis(torch.rand(20), torch.rand(30))
    with pytest.raises(InputError, match="not finite"):
        find_axis(torch.full((20,), math.nan), torch.rand(20))


@pytest.mark.skipif(not TOOTH.is_file(), reason=f"the measured scan {TOOTH} is not there")
def test_the_tooth() -> None:
    scan = read_scan(TOOTH)
    assert tuple(scan.data.shape) == (2, 181, 640)
    assert scan.kind == "counts"
    assert scan.angles is not None
    assert math.degrees(float(scan.angles[-1])) == pytest.approx(179.0055, abs=1e-3)
    done = to_line_integrals(scan)
    assert done.notes == []
    air = done.scan.data[:, :, :60]
    assert abs(float(air.mean())) < 0.01
    found = find_scan_axis(done.scan.data, scan.angles)
    assert found.pixel == pytest.approx(295.7, abs=0.4)
    assert found.mismatch < 1e-3
