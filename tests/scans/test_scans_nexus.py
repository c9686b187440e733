"""NXtomo: frames by their key, angles of all of them or of the projections, sizes of pixels."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.scans import read_scan

VIEWS, SLICES, DETECTORS = 24, 3, 20
COUNTS = np.random.default_rng(0).integers(100, 900, (VIEWS, SLICES, DETECTORS)).astype(np.uint16)
FLAT = np.full((3, SLICES, DETECTORS), 1000, np.uint16)
DEGREES = np.arange(VIEWS) * 7.5
EXPECTED = torch.from_numpy(COUNTS.astype(np.float32)).transpose(0, 1)


def check(path: Path) -> None:
    scan = read_scan(path)
    assert torch.equal(scan.data, EXPECTED)
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(np.deg2rad(DEGREES)))
    assert scan.flat is not None
    assert bool((scan.flat == 1000).all())
    assert tuple(scan.flat.shape) == (3, SLICES, DETECTORS)


def nxtomo(path: Path, units: str | None = "degrees") -> Path:
    key = np.r_[np.ones(3), np.zeros(VIEWS), np.full(2, 2), 3].astype(int)
    stack = np.zeros((len(key), SLICES, DETECTORS), np.uint16)
    stack[key == 1], stack[key == 0], stack[key == 2] = FLAT, COUNTS, 10
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry1/tomo_entry/instrument/detector")
        detector["data"], detector["image_key"] = stack, key
        turn = np.r_[np.zeros(3), DEGREES, np.zeros(3)]
        sample = file.create_group("entry1/tomo_entry/sample")
        sample["rotation_angle"] = turn if units != "rad" else np.deg2rad(turn)
        if units:
            sample["rotation_angle"].attrs["units"] = units
        file["entry1/tomo_entry/data/data"] = detector["data"]
        file["entry1/tomo_entry/data/image_key"] = h5py.SoftLink(detector.name + "/image_key")
    return path


@pytest.mark.parametrize("units", ["degrees", "rad", None])
def test_nxtomo(tmp_path: Path, units: str | None) -> None:
    path = nxtomo(tmp_path / "a.nxs", units)
    check(path)
    scan = read_scan(path, slices=slice(1, 2))
    assert scan.dark is not None
    assert bool((scan.dark == 10).all())
    assert tuple(scan.dark.shape) == (2, 1, DETECTORS)
    assert torch.equal(scan.data, EXPECTED[1:2])
    assert (scan.first, scan.total, scan.fields_among, scan.kind) == (1, SLICES, 6, "counts")


@pytest.mark.parametrize("turn", ["projections", "nan"])
def test_nxtomo_with_angles_of_its_projections_alone(tmp_path: Path, turn: str) -> None:
    path = nxtomo(tmp_path / "a.nxs")
    name = "entry1/tomo_entry/sample/rotation_angle"
    with h5py.File(path, "a") as file:
        del file[name]
        fields = np.full(3, np.nan)
        file[name] = DEGREES if turn == "projections" else np.r_[fields, DEGREES, fields]
    check(path)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = DEGREES[:-1]
    with pytest.raises(InputError, match=f"{VIEWS} of them projections"):
        read_scan(path)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ({"detector": (0.5, "mm")}, 0.5),
        ({"detector": (500.0, "µm")}, 0.5),
        ({"detector": (5e-4, "m"), "data": (0.5, "millimeter")}, 0.5),
        ({"detector": (5e-4, "")}, None),
        ({"detector": (0.0, "mm")}, None),
        ({"detector": (0.5, "mm"), "data": (0.1, "mm")}, None),
    ],
)
def test_nxtomo_states_its_pixels(
    tmp_path: Path, sizes: dict[str, tuple[float, str]], wanted: float | None
) -> None:
    path = nxtomo(tmp_path / "a.nxs")
    assert read_scan(path).detector_mm is None
    with h5py.File(path, "a") as file:
        for group, (value, units) in sizes.items():
            place = "instrument/detector" if group == "detector" else group
            file[f"entry1/tomo_entry/{place}/x_pixel_size"] = value
            file[f"entry1/tomo_entry/{place}/x_pixel_size"].attrs["units"] = units
    scan = read_scan(path)
    assert scan.detector_mm == (None if wanted is None else pytest.approx(wanted))
    assert len(scan.doubts) == (wanted is None)


def test_angles_that_do_not_turn_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", sinogram=COUNTS[:, 0] / np.float32(1000), theta=0 * DEGREES)
    with pytest.raises(InputError, match="nothing turned"):
        read_scan(tmp_path / "a.npz")
