"""Scans and slices from files, and slices to files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from picture_helpers import assert_one_line
from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import sha256_of
from pnp_recon.images import read_picture
from pnp_recon.scans import (
    Window,
    check_slices_target,
    read_dicom,
    read_scan,
    read_slice,
    write_slices,
)
from scan_helpers import write_exchange

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
    broken[0, 1, 2], broken[1, 0, 0] = np.nan, np.inf
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
        "2 values of 70 that are not finite": (write(folder / "broken.npy", broken), {}),
        "negative": (write(folder / "minus.npy", -STACK), {"kind": "counts"}),
        "theta holds 6 angles, the array has 2 slices, 5 angles": (angles, {}),
        "no radians": (degrees, {}),
        "angles holds 5 values of 5 that are not finite": (unknown_angle, {}),
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


# ---- slices --------------------------------------------------------------------------------


def write_dicom(path: Path, stored: np.ndarray, **changes: object) -> Path:
    """A CT slice as scanners write it; a change to None leaves the element out."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    elements = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": "1.2.3",
        "Modality": "CT",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "Rows": stored.shape[-2],
        "Columns": stored.shape[-1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "PixelSpacing": [0.75, 0.75],
        "PixelData": stored.astype("<i2").tobytes(),
        **changes,
    }
    for name, value in elements.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


STORED = np.array([[0, 500, 1000], [-2000, 10, 20]])


@pytest.mark.parametrize("name", ["slice.dcm", "IM0001"])
def test_dicom_in_hounsfield_units(tmp_path: Path, name: str) -> None:
    found = read_slice(write_dicom(tmp_path / name, STORED))
    expected = torch.tensor([[-1000.0, 0, 1000], [-1024, -980, -960]])  # padding becomes air
    assert torch.equal(found.values, expected[None, None])
    assert (found.unit, found.pixel_mm, found.name) == ("HU", 0.75, name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Modality": "MR"}, "of modality MR"),
        ({"RescaleSlope": None}, "no RescaleSlope"),
        ({"PixelSpacing": [0.5, 0.75]}, "0.5 × 0.75 mm; expected squares"),
        ({"PixelData": b"\0\0"}, "damaged or of another kind"),
    ],
)
def test_bad_dicom_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = write_dicom(tmp_path / "slice.dcm", STORED, **changes)
    with pytest.raises(InputError) as caught:
        read_dicom(path)
    assert_one_line(caught.value, words, str(path))


def test_dicom_without_pydicom_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dicom(tmp_path / "slice.dcm", STORED)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(InputError, match=r"install pnp-recon\[ct\]"):
        read_dicom(path)


def test_what_only_claims_to_be_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slice.dcm"
    path.write_text("no DICOM at all")
    with pytest.raises(InputError, match="cannot be read as"):
        read_slice(path)


def archive(path: Path) -> Path:
    images = (np.arange(4 * 6 * 6).reshape(4, 6, 6) * 10).astype(np.uint16)
    splits = np.array(["train", "val", "train", "val"])
    np.savez(path, img=images, split=splits, px_mm=np.array([1.0, 1.1, 1.2, 1.3]))
    return path


def test_slices_of_an_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "slices.npz")
    second = read_slice(path, 1, "val")
    assert second.values[0, 0, 0, 1] == 3 * 360 + 10 - 1024
    assert (second.unit, second.pixel_mm, second.name) == ("HU", 1.3, "slices.npz[3]")
    assert torch.equal(read_slice(path, 3).values, second.values)
    for index, split, words in (
        (None, None, "holds 4 slices"),
        (4, None, "expected 0 to 3"),
        (2, "val", "holds 2 slices of val; index 2 found, expected 0 to 1"),
        (-1, None, "index -1"),
        (0, "test", "expected one of train, val"),
    ):
        with pytest.raises(InputError) as caught:
            read_slice(path, index, split)
        assert_one_line(caught.value, words, str(path))


def test_pictures_are_slices_too(tmp_path: Path) -> None:
    path = tmp_path / "slice.png"
    values = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    Image.fromarray(values).save(path)
    found = read_slice(path)
    assert torch.allclose(found.values[0, 0], torch.from_numpy(values / 255).float())
    assert (found.unit, found.pixel_mm) == ("picture", None)
    with pytest.raises(InputError, match="holds one slice"):
        read_slice(path, 0)
    other = tmp_path / "slice.txt"
    other.write_text("text")
    with pytest.raises(InputError, match="is no slice"):
        read_slice(other)


# ---- writing -------------------------------------------------------------------------------


def test_physical_values_survive_in_npy_and_tiff(tmp_path: Path) -> None:
    values = torch.from_numpy(STACK) * 2000 - 1000
    for name in ("a.npy", "a.tif"):
        for slices in (values, values[:1]):
            path = tmp_path / f"{len(slices)}{name}"
            write_slices(path, slices.double())
            expected = slices.numpy() if len(slices) > 1 else slices[0].numpy()
            stored = np.load(path) if path.suffix == ".npy" else tifffile.imread(path)
            assert stored.dtype == np.float32
            assert np.array_equal(stored, expected)
            assert torch.equal(read_scan(path).data, slices)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_through_a_window(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.png"
    values = torch.tensor([[[-500.0, -100, 0, 100, 700]]])
    write_slices(path, values, Window(-100, 100), bits=bits)
    picture = read_picture(path)
    assert picture.bit_depth == bits
    half = round(0.5 * (2**bits - 1)) / (2**bits - 1)
    expected = torch.tensor([0, 0, half, 1, 1])
    assert torch.allclose(picture.pixels.flatten(), expected)


def test_nothing_is_overwritten_unasked_and_inputs_never(tmp_path: Path) -> None:
    source = write(tmp_path / "scan.npy", STACK)
    before = source.read_bytes()
    values = torch.zeros(1, 4, 4)
    with pytest.raises(OutputError, match="exists already"):
        write_slices(source, values)
    with pytest.raises(OutputError, match="the input itself"):
        write_slices(source, values, overwrite=True, inputs=[source])
    assert source.read_bytes() == before
    write_slices(source, values, overwrite=True)
    assert np.array_equal(np.load(source), values[0].numpy())


def test_bad_output_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    one, window = torch.zeros(1, 4, 4), Window(0, 1)
    for name, values, chosen, words in (
        ("a.jpg", one, window, "expected one of .npy"),
        ("a", one, window, "ends in nothing"),
        ("a.png", one, None, "give a window"),
        ("a.png", torch.zeros(2, 4, 4), window, "holds one slice, 2 were given"),
        ("a.npy", one / 0, None, "16 values of 16 are not finite"),
        ("no/a.npy", one, None, "does not exist"),
    ):
        with pytest.raises(OutputError) as caught:
            write_slices(tmp_path / name, values, chosen)
        assert_one_line(caught.value, words)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="8 or 16"):
        write_slices(tmp_path / "a.png", one, window, bits=12)
    with pytest.raises(InputError, match="slices, H, W"):
        write_slices(tmp_path / "a.npy", torch.zeros(4, 4))
    assert check_slices_target(tmp_path / "a.png", window) == (tmp_path / "a.png").resolve()
