"""What cameras, phones and instruments hand over: ranges, gaps, notes, raw files."""

from __future__ import annotations

import io
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from pnp_recon.errors import InputError
from pnp_recon.pictures.files import read_picture, write_picture
from support.pictures import SRGB, pillow_picture, save, save_tiff

SUFFIXES = [".png", ".jpg", ".jfif", ".webp", ".tif"]


def steps(largest: float, dtype: type) -> np.ndarray:
    """A colour picture (6, 5, 3) that reaches from 0 to `largest`."""
    values = np.random.default_rng(0).random((6, 5, 3)) * 0.9
    values[0, 0] = (0, 1, 0.5)
    return np.rint(values * largest).astype(dtype) if dtype is not np.float32 else values * largest


@pytest.mark.parametrize(
    ("largest", "dtype", "high"),
    [
        (255, np.uint16, 255),
        (1023, np.uint16, 1023),
        (3900, np.uint16, 4095),
        (16000, np.uint16, 16383),
        (60000, np.uint16, 65535),
        (4095, np.int16, 4095),
        (4095, np.uint32, 4095),
        (2**20 - 1, np.int32, 2**20 - 1),
        (240, np.float32, 255),
        (4000, np.float32, 4095),
        (3e-5, np.float32, 3e-5),
        (7.5, np.float32, 7.5),
        (0.9, np.float32, 1),
    ],
)
def test_a_measurement_has_its_own_range(tmp_path, largest, dtype, high):
    values = steps(largest, dtype)
    path = save_tiff(tmp_path / "a.tif", values.astype(dtype), photometric="rgb")
    picture = read_picture(path, measured=True)
    found = picture.pixels[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, values / high, rtol=1e-6, atol=1e-7)
    write_picture(tmp_path / "b.tif", picture.pixels, picture)
    again = tifffile.imread(tmp_path / "b.tif")
    assert again.dtype == dtype
    np.testing.assert_allclose(again, tifffile.imread(path), rtol=1e-6)
    reference = save_tiff(tmp_path / "r.tif", (values / 2).astype(dtype), photometric="rgb")
    halved = read_picture(reference, like=picture).pixels  # the same unit, not stretched again
    assert float((2 * halved - picture.pixels).abs().max()) <= 1.01 / min(high, 1e5)


def test_alpha_has_no_range_of_its_own(tmp_path):
    values = np.concatenate([steps(3900, np.uint16), np.full((6, 5, 1), 65535, np.uint16)], -1)
    values[2, 3, 3] = 0
    path = save_tiff(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    picture = read_picture(path, measured=True)
    assert picture.value_range.high == 4095
    assert set(picture.alpha.unique().tolist()) == {0.0, 1.0}
    write_picture(tmp_path / "b.tif", picture.pixels, picture)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), values)


def test_8_bit_has_no_other_range(tmp_path):
    dark = save(tmp_path / "a.png", Image.fromarray(np.full((4, 4), 9, np.uint8)), "PNG")
    assert read_picture(dark, measured=True).value_range is None
    assert float(read_picture(dark, measured=True).pixels.max()) == pytest.approx(9 / 255)


def test_a_range_with_a_sign_begins_below_zero(tmp_path):
    values = np.array([[-1000, 0], [500, 3000]], np.int16)
    picture = read_picture(save_tiff(tmp_path / "ct.tif", values))
    assert (picture.value_range.low, picture.value_range.high) == (-1000, 4095)
    write_picture(tmp_path / "b.tif", picture.pixels, picture)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), values)
    (note,) = write_picture(tmp_path / "b.png", picture.pixels, picture)
    assert "PNG does not hold int16" in note
    noisy = np.array([[-0.01, 0.2], [0.5, 30.0]], np.float32)  # noise about zero is no sign
    assert read_picture(save_tiff(tmp_path / "n.tif", noisy), measured=True).value_range.low == 0


def test_a_library_call_guesses_no_scale(tmp_path):
    values = steps(3900, np.uint16)
    path = save_tiff(tmp_path / "a.tif", values, photometric="rgb")
    picture = read_picture(path)
    assert picture.value_range is None
    assert float(picture.pixels.max()) == pytest.approx(3900 / 65535)


# ---- gaps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [math.nan, math.inf, -9999.0, 1e38])
def test_what_is_missing_is_not_looked_at(tmp_path, gap):
    values = steps(0.9, np.float32).astype(np.float32)
    known = torch.ones(1, 6, 5, dtype=torch.bool)
    known[0, 2, 1:4] = False
    whole = save_tiff(tmp_path / "whole.tif", values, photometric="rgb")
    values[2, 1:4] = gap
    path = save_tiff(tmp_path / "a.tif", values, photometric="rgb")
    for measured in (False, True):
        picture = read_picture(path, known=known, measured=measured)
        assert torch.equal(picture.pixels, read_picture(whole).pixels * known)
    known[0, 2, 2] = True  # one gap too many
    if not math.isfinite(gap):
        with pytest.raises(InputError, match=r"holds 3 values that are not finite.* in the mask"):
            read_picture(path, known=known, measured=True)
    with pytest.raises(InputError, match=r"mask is 5×6 with 2 channels but .* 5×6, upright"):
        read_picture(path, known=torch.ones(2, 6, 5, dtype=torch.bool))


def test_declared_gaps(tmp_path):
    values = steps(60000, np.uint16)
    values[2, 1:4] = 7
    tag = (42113, "s", 0, "7", True)
    path = save_tiff(tmp_path / "map.tif", values, photometric="rgb", extratags=[tag])
    known = torch.ones(1, 6, 5, dtype=torch.bool)
    with pytest.raises(InputError, match=r'9 values that it declares to be "no data"'):
        read_picture(path)
    known[0, 2, 1:4] = False
    assert bool((read_picture(path, known=known).pixels[..., 2, 1:4] == 0).all())


# ---- notes of the camera --------------------------------------------------------------------


def camera_notes() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x8298] = "Maker", "Model", "Somebody"
    exif[0x0112] = 6
    exif[0x8769] = {
        0x829A: IFDRational(1, 50),
        0x9003: "2024:05:06 07:08:09",
        0xA002: 99,
        0x927C: b"maker",
    }
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    return exif


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
def test_notes_profile_and_resolution_are_kept(tmp_path, source, target):
    kind = {".jfif": "JPEG", ".jpg": "JPEG", ".tif": "TIFF"}.get(source, source[1:].upper())
    options = {} if kind == "WEBP" else {"dpi": (300, 200)}
    path = save(
        tmp_path / f"a{source}", pillow_picture(), kind,
        exif=camera_notes().tobytes(), icc_profile=SRGB, **options,
    )  # fmt: skip
    picture = read_picture(path)
    assert picture.pixels.shape[-2:] == (7, 5)  # turned
    for depth in (8, 16) if target in (".png", ".tif") else (8,):
        out = tmp_path / f"b{depth}{target}"
        write_picture(out, picture.pixels, replace(picture, bit_depth=depth))
        again = read_picture(out)
        assert again.icc_profile == SRGB
        assert again.exif == picture.exif
        if kind != "WEBP" and target != ".webp":
            assert again.dpi == pytest.approx((300, 200), rel=1e-3)
        assert again.pixels.shape == picture.pixels.shape
        notes = Image.Exif()
        notes.load(again.exif)
        assert notes[0x010F] == "Maker"
        assert 0x0112 not in notes
        inner = notes.get_ifd(0x8769)
        assert inner[0x829A] == pytest.approx(0.02)
        assert inner[0x9003] == "2024:05:06 07:08:09"
        assert not {0xA002, 0x927C} & set(inner)
        assert notes.get_ifd(0x8825)[1] == "N"


def test_thumbnails_are_not_kept(tmp_path):
    """A camera's block with a second directory, in which the old picture lies in small."""
    thumbnail = io.BytesIO()
    pillow_picture((8, 8)).save(thumbnail, "JPEG")
    block = bytearray(camera_notes().tobytes())
    assert thumbnail.getvalue() not in block
    exif = bytes(block) + thumbnail.getvalue()
    path = save(tmp_path / "a.jpg", pillow_picture(), "JPEG", exif=exif)
    picture = read_picture(path)
    write_picture(tmp_path / "b.jpg", picture.pixels, picture)
    assert thumbnail.getvalue() in path.read_bytes()
    assert thumbnail.getvalue() not in (tmp_path / "b.jpg").read_bytes()


def test_broken_notes_cost_nothing(tmp_path):
    path = save(tmp_path / "a.jpg", pillow_picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\0")
    picture = read_picture(path)
    assert picture.exif is None
    assert picture.pixels.shape == (1, 3, 5, 7)


# ---- more formats ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_gif(tmp_path, mode):
    image = pillow_picture().quantize(9).convert("RGB").convert(mode)
    path = save(tmp_path / "a.gif", image, "GIF")
    expected = np.asarray(image.convert("L" if mode == "L" else "RGB")) / 255
    found = read_picture(path).pixels[0].permute(1, 2, 0).numpy().squeeze()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_raw_is_developed_by_rawpy(tmp_path, monkeypatch):
    developed = np.full((4, 6, 3), 1234, np.uint16)

    class Raw:
        sizes = SimpleNamespace(width=6, height=4)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def postprocess(self, **options):
            assert options["output_bps"] == 16
            return developed

    monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=lambda _: Raw()))
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201")
    picture = read_picture(tmp_path / "a.raf")
    assert picture.bit_depth == 16
    assert torch.allclose(picture.pixels, torch.tensor(1234 / 65535))


def test_a_dng_is_developed(tmp_path):
    pytest.importorskip("rawpy")
    sensor = np.random.default_rng(0).integers(500, 3500, (64, 96)).astype(np.uint16)
    matrix = [n for row in np.eye(3, dtype=int) for one in row for n in (int(one), 1)]
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (33421, "H", 2, (2, 2), True),  # the mosaic: red, green, green, blue
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Maker Model", True),
        (50717, "I", 1, 4095, True),
        (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, (1, 1) * 3, True),
    ]
    path = save_tiff(tmp_path / "a.dng", sensor, photometric="cfa", extratags=tags)
    picture = read_picture(path)
    assert (picture.mode, picture.bit_depth, picture.pixels.shape) == ("raw", 16, (1, 3, 64, 96))
    assert 0.5 < float(picture.pixels.mean()) < 0.9  # the mean of 2000 of 4095, by the sRGB curve


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    path = Path(tmp_path / "a.heic")
    heif.from_pillow(pillow_picture((64, 48))).save(path, quality=90, exif=camera_notes().tobytes())
    picture = read_picture(path)
    assert picture.pixels.shape == (1, 3, 64, 48)  # turned once
    assert picture.exif is not None
