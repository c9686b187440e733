"""Slices to simulate from (DICOM, archives, pictures), and reconstructed slices to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp_recon.errors import InputError, OutputError
from pnp_recon.pictures.files import read_picture
from pnp_recon.scans import (
    Window,
    check_slices_target,
    read_dicom,
    read_scan,
    read_slice,
    write_slices,
)
from support.pictures import assert_one_line
from support.slices import write_dicom

STACK = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)


# ---- slices --------------------------------------------------------------------------------


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
        ({"RescaleSlope": 0}, "RescaleSlope of 0"),
        ({"RescaleSlope": -1}, "expected a number above 0"),
        ({"RescaleSlope": 1000}, "denser than all metal"),
        ({"RescaleType": "Z_EFF"}, "in the unit Z_EFF"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "is a localizer"),
    ],
)
def test_bad_dicom_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = write_dicom(tmp_path / "slice.dcm", STORED, **changes)
    with pytest.raises(InputError) as caught:
        read_dicom(path)
    assert_one_line(caught.value, words, str(path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"RescaleType": "HU"}, ""),
        ({"RescaleType": "US"}, "unspecified"),
        ({"RescaleIntercept": 4000}, "the lowest value is 0 HU"),
        ({"RescaleSlope": 0.001}, "nothing to see"),
    ],
)
def test_doubtful_hounsfield_units(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    doubts = read_slice(write_dicom(tmp_path / "slice.dcm", STORED, **changes)).doubts
    assert len(doubts) == bool(words)
    assert words in " ".join(doubts)


def test_arrays_are_slices_in_a_unit_that_fits(tmp_path: Path) -> None:
    hounsfield = np.array([[-1000.0, 40.0], [1200.0, -80.0]])
    path = tmp_path / "a.npy"
    np.save(path, hounsfield.astype(np.int16))
    found = read_slice(path)
    assert (found.unit, found.pixel_mm) == ("HU", None)
    assert np.array_equal(found.values[0, 0].numpy(), hounsfield)
    assert read_slice(path, unit="1/mm").unit == "HU"  # no attenuation is as negative
    np.save(path, np.stack([hounsfield, hounsfield - 5]))
    assert read_slice(path, 1).name == "a.npy[1]"
    for index in (None, 2):
        with pytest.raises(InputError, match="holds 2 slices"):
            read_slice(path, index)
    np.save(path, hounsfield / 4000 + 0.5)
    assert read_slice(path).unit == "picture"
    assert read_slice(path, unit="1/mm").unit == "1/mm"
    (doubt,) = read_slice(path, unit="HU").doubts
    assert "neither air" in doubt
    np.save(path, hounsfield + 1024)
    with pytest.raises(InputError, match="say the unit"):
        read_slice(path)


def test_padding_of_dicom_is_air(tmp_path: Path) -> None:
    """Also where it would be bright, and where its bits are read as another sign."""
    for padding, limit in ((1000, None), (500, 1000), (-2000, None)):
        more = {} if limit is None else {"PixelPaddingRangeLimit": limit}
        path = write_dicom(tmp_path / "slice.dcm", STORED, PixelPaddingValue=padding, **more)
        padded = (padding <= STORED) & ((padding if limit is None else limit) >= STORED)
        assert torch.equal(
            read_dicom(path).values[0, 0] == -1024, torch.from_numpy(padded | (STORED == -2000))
        )


def test_frames_of_dicom_by_their_number(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    stack = np.stack([STORED, STORED + 1, STORED + 2])
    frames = []
    for number in range(3):
        transform, frame = Dataset(), Dataset()
        transform.RescaleSlope, transform.RescaleIntercept = 1 + number, -1000
        frame.PixelValueTransformationSequence = [transform]
        frames.append(frame)
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.5]
    shared.PixelMeasuresSequence = [measures]
    changes = {
        "NumberOfFrames": 3,
        "RescaleSlope": None,
        "RescaleIntercept": None,
        "PixelSpacing": None,
        "PerFrameFunctionalGroupsSequence": frames,
        "SharedFunctionalGroupsSequence": [shared],
    }
    path = write_dicom(tmp_path / "slice.dcm", stack, **changes)
    found = read_slice(path, 2)
    expected = torch.tensor(np.maximum((STORED + 2) * 3.0 - 1000, -1024)).float()
    assert torch.equal(found.values[0, 0], expected)
    assert (found.pixel_mm, found.name) == (0.5, "slice.dcm[2]")
    for index, words in ((None, "none was given"), (3, "3 found")):
        with pytest.raises(InputError) as caught:
            read_slice(path, index)
        assert_one_line(caught.value, "holds 3 frames; give --index 0 to 2", words)
    with pytest.raises(InputError, match="leave out the index"):
        read_slice(write_dicom(tmp_path / "one.dcm", STORED), 1)


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless"])
def test_compressed_dicom(tmp_path: Path, syntax: str) -> None:
    """Run-length encoding needs nothing, the others pylibjpeg, which [ct] installs."""
    import pydicom
    from pydicom import uid

    plain = write_dicom(tmp_path / "slice.dcm", np.tile(STORED, (32, 16)))
    dataset = pydicom.dcmread(plain)
    if syntax == "JPEG2000Lossless":
        pytest.importorskip("openjpeg", reason="pylibjpeg-openjpeg is not installed")
    if syntax == "JPEGLSLossless":
        codecs = pytest.importorskip("imagecodecs")
        pytest.importorskip("libjpeg", reason="pylibjpeg-libjpeg is not installed")
        coded = codecs.jpegls_encode(dataset.pixel_array.view(np.uint16))
        dataset.PixelData = pydicom.encaps.encapsulate([bytes(coded)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    else:
        dataset.compress(getattr(uid, syntax), generate_instance_uid=False)
    dataset.save_as(tmp_path / "small.dcm")
    assert torch.equal(read_dicom(tmp_path / "small.dcm").values, read_dicom(plain).values)


def test_compression_that_nothing_decodes_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydicom
    from pydicom.uid import JPEG2000Lossless

    def nothing(self: object) -> None:
        raise RuntimeError("no plugin")

    path = write_dicom(tmp_path / "slice.dcm", STORED)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0\0"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(path)
    monkeypatch.setattr(pydicom.dataset.Dataset, "pixel_array", property(nothing))
    with pytest.raises(InputError, match=r"JPEG 2000 .*install pylibjpeg with pnp-recon\[ct\]"):
        read_dicom(path)


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
    source = tmp_path / "scan.npy"
    np.save(source, STACK)
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
