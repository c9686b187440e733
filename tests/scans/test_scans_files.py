"""Scans from files: every format the right way up, and every bad file one clear line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.scans import (
    read_scan,
)
from support.pictures import assert_one_line
from support.scans import write_exchange

STACK = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)  # slices, angles, detectors
ANGLES = np.linspace(0, math.pi, 5, endpoint=False)


def write(path: Path, array: np.ndarray) -> Path:
    """`array` under the name sinogram, if the format has names."""
    kind = path.name.partition(".")[2]
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, sinogram=array, note=np.array("text"))
    elif kind == "v5.mat":
        from scipy.io import savemat

        savemat(path, {"sinogram": array, "note": "text"})
    elif kind in ("v73.mat", "h5"):
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("sinogram", data=array.T if kind == "v73.mat" else array)
            file["note"] = "text"
    else:
        tifffile.imwrite(path, array, photometric="minisblack")
    return path


FORMATS = ["a.npy", "a.npz", "a.v5.mat", "a.v73.mat", "a.h5", "a.tif"]


# ---- scans ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_stack_of_sinograms_the_right_way_up(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, STACK)
    scan = read_scan(path)
    assert torch.equal(scan.data, torch.from_numpy(STACK))
    assert (scan.kind, scan.angles, scan.flat, scan.dark) == ("line integrals", None, None, None)
    assert scan.sha256 == sha256_of(path)
    assert scan.key == ("" if name in ("a.npy", "a.tif") else "sinogram")


@pytest.mark.parametrize("name", FORMATS)
def test_projections_and_transposed_sinograms_by_their_order(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, np.ascontiguousarray(STACK.transpose(1, 0, 2)))
    assert torch.equal(read_scan(path, order="asd").data, torch.from_numpy(STACK))
    flat = write(tmp_path / f"flat_{name}", np.ascontiguousarray(STACK[0].T))
    assert torch.equal(read_scan(flat, order="da").data, torch.from_numpy(STACK[:1]))
    assert tuple(read_scan(flat).data.shape) == (1, 7, 5)


def test_whole_numbers_become_float32(tmp_path: Path) -> None:
    counts = np.arange(35, dtype=np.uint16).reshape(5, 7)
    scan = read_scan(write(tmp_path / "a.tif", counts), kind="counts")
    assert scan.data.dtype == torch.float32
    assert torch.equal(scan.data[0], torch.from_numpy(counts.astype(np.float32)))


def test_angles_and_fields_beside_the_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path, sinogram=STACK[0], angles_deg=np.rad2deg(ANGLES), white=STACK[0, :3], dark=STACK[0, 0]
    )
    scan = read_scan(path)
    assert scan.angles is not None
    assert scan.flat is not None
    assert scan.dark is not None
    assert torch.allclose(scan.angles, torch.from_numpy(ANGLES))
    assert tuple(scan.flat.shape) == (3, 1, 7)
    assert tuple(scan.dark.shape) == (1, 1, 7)
    assert scan.kind == "counts"


def exchange(path: Path, **changes: np.ndarray | None) -> Path:
    datasets = {
        "data": np.ascontiguousarray(STACK.transpose(1, 0, 2)),
        "data_white": STACK.transpose(1, 0, 2)[:3],
        "data_dark": np.zeros((2, 2, 7)),
        "theta": np.rad2deg(ANGLES),
        **changes,
    }
    return write_exchange(path, **{k: v for k, v in datasets.items() if v is not None})


def test_data_exchange(tmp_path: Path) -> None:
    scan = read_scan(exchange(tmp_path / "a.h5"))
    assert torch.equal(scan.data, torch.from_numpy(STACK))
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(ANGLES))
    assert scan.flat is not None
    assert torch.equal(scan.flat, torch.from_numpy(STACK[:, :3]).transpose(0, 1))
    assert (scan.kind, scan.key) == ("counts", "exchange/data")


def test_data_exchange_says_its_axes_and_units(tmp_path: Path) -> None:
    import h5py

    path = exchange(tmp_path / "a.h5", data=STACK, theta=ANGLES)
    with h5py.File(path, "a") as file:
        file["exchange/data"].attrs["axes"] = "y:theta:x"
        file["exchange/theta"].attrs["units"] = "radians"
    scan = read_scan(path)
    assert torch.equal(scan.data, torch.from_numpy(STACK))
    assert scan.angles is not None
    assert torch.allclose(scan.angles, torch.from_numpy(ANGLES))
    with h5py.File(path, "a") as file:
        file["exchange/data"].attrs["axes"] = "z:theta:x"
    with pytest.raises(InputError, match="expected theta, y and x"):
        read_scan(path)
    assert torch.equal(read_scan(path, order="sad").data, torch.from_numpy(STACK))


def test_data_exchange_without_flat_fields_needs_the_kind(tmp_path: Path) -> None:
    path = exchange(tmp_path / "a.h5", data_white=None)
    with pytest.raises(InputError, match="say the kind"):
        read_scan(path)
    assert read_scan(path, kind="intensities").kind == "intensities"


def test_several_arrays_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, first=STACK, second=STACK[0], level=np.array(1.0))
    for key in (None, "third"):
        with pytest.raises(InputError) as caught:
            read_scan(path, key=key)
        assert_one_line(caught.value, str(path), "first (2×5×7)", "second (5×7)")
    assert tuple(read_scan(path, key="second").data.shape) == (1, 5, 7)
    with pytest.raises(InputError, match="expected two dimensions"):
        read_scan(path, key="level")


def bad_scans(folder: Path) -> dict[str, tuple[Path, dict[str, str]]]:
    """What must be in the message -> the file and the options."""
    broken = STACK.copy()
    broken[0, :2, 2:], broken[0, 2, 2] = np.nan, np.inf
    angles = folder / "angles.npz"
    np.savez(angles, sinogram=STACK, theta=np.zeros(6))
    degrees = folder / "degrees.npz"
    np.savez(degrees, sinogram=STACK, angles=np.linspace(0, 179, 5))
    field = folder / "field.npz"
    np.savez(field, sinogram=STACK, flat=np.ones((3, 2, 8)))
    unknown_angle = folder / "nan.npz"
    np.savez(unknown_angle, sinogram=STACK, angles=np.full(5, np.nan))
    pickled = folder / "pickled.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    damaged = folder / "damaged.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 50)
    empty = folder / "empty.mat"
    empty.touch()
    plain = write(folder / "plain.npy", STACK)
    return {
        "values of 70 in all": (write(folder / "broken.npy", broken), {}),
        "negative": (write(folder / "minus.npy", -STACK), {"kind": "counts"}),
        "theta holds 6 angles, the array has 2 slices, 5 angles": (angles, {}),
        "no radians": (degrees, {}),
        "angles holds 5 angles of 5 that are not finite": (unknown_angle, {}),
        "flat has the shape (3, 2, 8)": (field, {}),
        "Python objects in dtype": (pickled, {}),
        "damaged or of another kind": (damaged, {}),
        "is empty": (empty, {}),
        "does not exist": (folder / "nowhere.npy", {}),
        "is a folder": (folder / "sub.h5", {}),
        "expected one of .npy": (folder / "sinogram.csv", {}),
        "order 'ad'": (plain, {"order": "ad"}),
        "in the order 'xyz'": (plain, {"order": "xyz"}),
        "kind is 'photons'": (plain, {"kind": "photons"}),
        "no array of 2 or 3 dimensions": (write(folder / "line.npy", STACK[0, 0]), {}),
        "colour picture": (write(folder / "rgb.tif", np.zeros((4, 4, 3), np.uint8)), {}),
    }


def test_bad_scans_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sub.h5").mkdir()
    colour = tmp_path / "rgb.tif"
    cases = bad_scans(tmp_path)
    tifffile.imwrite(colour, np.zeros((4, 4, 3), np.uint8), photometric="rgb")
    for words, (path, options) in cases.items():
        with pytest.raises(InputError) as caught:
            read_scan(path, **options)  # type: ignore[arg-type]
        assert_one_line(caught.value, words)
        assert caught.value.exit_code == 2


def test_a_scan_larger_than_the_memory_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.npy", STACK)
    needed = STACK.size * (4 + 8)
    monkeypatch.setattr("pnp_recon.scans.arrays.available_bytes", lambda: needed)
    assert read_scan(path).data.numel() == STACK.size
    monkeypatch.setattr("pnp_recon.scans.arrays.available_bytes", lambda: needed - 1)
    with pytest.raises(InputError, match=r"needs about .* of memory, .* are free"):
        read_scan(path)
