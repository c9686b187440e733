"""What a scan cannot be is refused, what it may not be is said; and a sound scan is let pass."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.scans import Scan, read_scan, to_line_integrals
from pnp_recon.scans.plausibility import below_air, odd_views, refuse_other_order
from support.pictures import assert_one_line
from support.scans import half_turn, sinogram, write_exchange

VIEWS, DETECTORS = 90, 64
LINES = sinogram(half_turn(VIEWS), DETECTORS, 31.5, 2.0).float()
SQUARE = sinogram(half_turn(DETECTORS), DETECTORS, 31.5, 2.0).float()


def scan_of(data: torch.Tensor, kind: str = "line integrals", **fields: object) -> Scan:
    given = {"angles": None, "flat": None, "dark": None, "kind_assumed": True, **fields}
    return Scan(data, kind=kind, source=Path("scan.h5"), key="", sha256="", **given)


# ---- kinds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((1000 * torch.exp(-LINES)).round(), "whole numbers from .* like counts"),
        (1000 * torch.exp(-LINES) + 0.25, "values up to 1000"),
        (torch.exp(-LINES), "like the part that is let through; say --kind intensities"),
        (torch.zeros(1, 9, 9), "all 81 values are 0"),
        (torch.full((1, 9, 9), 0.5), "all 81 values are 0.5"),
    ],
)
def test_what_cannot_be_line_integrals_is_refused(data: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        to_line_integrals(scan_of(data))
    assert_one_line(caught.value, "scan.h5")
    # Whoever says the kind is believed.
    if float(data.max()) > 0:
        assert torch.equal(to_line_integrals(scan_of(data, kind_assumed=False)).scan.data, data)


def test_line_integrals_pass_with_noise_offsets_and_truncation() -> None:
    noise = 0.02 * torch.randn(LINES.shape, generator=torch.Generator().manual_seed(0))
    for data in (LINES, LINES + noise, LINES[..., 20:44], 10 * LINES, LINES + 0.05):
        assert to_line_integrals(scan_of(data)).doubts == ()


def test_counts_of_nothing_are_refused_and_equal_counts_said() -> None:
    with pytest.raises(InputError, match="the detector saw nothing"):
        to_line_integrals(scan_of(torch.zeros(1, 9, 9), "counts"), 10.0)
    same = to_line_integrals(scan_of(torch.full((1, 9, 9), 7.0), "counts"), 10.0)
    assert "all values are 7" in same.doubts[0]


def test_counts_that_never_reach_air_are_doubted() -> None:
    assert "are the values counts" in to_line_integrals(scan_of(LINES, "counts"), 1e5).doubts[0]


def test_a_saturated_detector_is_said() -> None:
    counts = (8e4 * torch.exp(-LINES)).round()
    flat = torch.full((3, 1, DETECTORS), 65535.0)
    done = to_line_integrals(scan_of(counts.clamp_max(65535), "counts", flat=flat))
    assert "of the values are 65535, the end of the detector's scale" in done.doubts[0]
    assert "100.0% of the flat fields are 65535" in done.doubts[1]
    within = to_line_integrals(scan_of(counts * 0.8, "counts", flat=flat * 0.9))
    assert within.doubts == ()


# ---- axes and frames -----------------------------------------------------------------------


def test_transposed_axes_are_refused() -> None:
    with pytest.raises(InputError, match="say --order da, or --order ad if"):
        refuse_other_order(SQUARE.transpose(1, 2), "scan.npy")
    three = torch.cat([SQUARE, 1.5 * SQUARE, 0.5 * SQUARE] * 4)
    with pytest.raises(InputError, match="say --order sda"):
        refuse_other_order(three.transpose(1, 2), "scan.npy")


def test_the_right_order_passes() -> None:
    noise = 0.05 * torch.randn(SQUARE.shape, generator=torch.Generator().manual_seed(0))
    for data in (
        SQUARE,
        SQUARE + noise,
        SQUARE[..., 20:44],
        SQUARE[:, :20],
        torch.cat([LINES] * 9),
    ):
        refuse_other_order(data, "scan.npy")


def test_fields_among_the_views_are_said() -> None:
    assert odd_views(LINES) == []
    assert odd_views(LINES[..., 24:40]) == []
    mixed = LINES.clone()
    mixed[:, :3] = 0.001
    mixed[:, -2:] = 9.0
    flat, dark = odd_views(mixed)
    assert "views 0–2 look like flat fields" in flat
    assert "views 88–89 look like dark fields" in dark


def test_a_plate_that_is_seen_in_part_is_no_flat_field() -> None:
    """Its mass on the detector changes by a factor of ten, but not at once."""
    angle = half_turn(VIEWS)[:, None]
    seen = (1 / (angle.cos().abs() + 0.1)).float()[None].expand(1, VIEWS, 16)
    assert odd_views(seen) == []


# ---- angles --------------------------------------------------------------------------------


def test_radians_are_not_taken_for_degrees(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, sinogram=LINES[0].numpy(), theta=half_turn(VIEWS).numpy())
    with pytest.raises(InputError, match=r"90 views from 0 to 3\.107, taken for degrees"):
        read_scan(path)
    given = read_scan(path, angle_unit="rad").angles
    assert given is not None
    assert torch.allclose(given, half_turn(VIEWS))
    small = read_scan(path, angle_unit="deg").angles  # a limited angle, if somebody says so
    assert small is not None
    assert float(small[-1]) == pytest.approx(math.radians(3.107), abs=1e-4)


@pytest.mark.parametrize("turns", [np.arange(VIEWS) * 4.0, np.arange(VIEWS) * 0.1 - 4])
def test_degrees_are_not_taken_for_radians(tmp_path: Path, turns: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, sinogram=LINES[0].numpy(), angles=turns)
    if np.abs(turns).max() < 2 * math.pi:
        assert read_scan(path).angles is not None
        return
    with pytest.raises(InputError, match="no radians but degrees"):
        read_scan(path)
    assert read_scan(path, angle_unit="deg").angles is not None


def test_a_stated_unit_is_believed_and_doubted(tmp_path: Path) -> None:
    import h5py

    data = 1000 * np.exp(-LINES.numpy())
    path = write_exchange(
        tmp_path / "a.h5", data=data.transpose(1, 0, 2), data_white=data[:, :1], theta=half_turn(90)
    )
    with pytest.raises(InputError, match="taken for degrees"):
        read_scan(path)
    for unit, doubts in (("degrees", 1), ("rad", 0), ("radians", 0)):
        with h5py.File(path, "a") as file:
            file["exchange/theta"].attrs["units"] = unit
        assert len(read_scan(path).doubts) == doubts
    with h5py.File(path, "a") as file:
        file["exchange/theta"].attrs["units"] = "gon"
    with pytest.raises(InputError, match="expected degrees or radians"):
        read_scan(path)


def test_more_light_than_without_an_object_is_said() -> None:
    """Flat fields that are too dim, or a beam that drifts; not noise, and not a stripe."""
    largest = float(LINES.max())
    noise = 0.01 * largest
    noisy = LINES + noise * torch.randn(LINES.shape, generator=torch.Generator().manual_seed(0))
    striped = noisy.clone()
    striped[..., 5] -= 20 * noise
    for sound in (LINES, noisy, striped, LINES + largest):
        assert below_air(sound, noise) == []
    assert below_air(LINES - 5 * noise, 0.0) != []
    (said,) = below_air(noisy - 0.1 * largest, noise)
    assert "the line integrals lie below -" in said
