"""Picture files: what goes in comes out, upright, in every depth, with alpha and profile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pnp_recon import files
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture, write_picture
from support.pictures import GREY_PROFILE, SRGB, pillow_picture, random_picture, save, save_tiff

# suffix, depth, alpha: every combination that is kept without loss
LOSSLESS = [
    *[(".png", depth, alpha) for depth in (8, 16) for alpha in (False, True)],
    *[(".tif", depth, alpha) for depth in (8, 16, 32) for alpha in (False, True)],
    *[(".webp", 8, alpha) for alpha in (False, True)],
    (".bmp", 8, False),
]


# ---- Round trips ---------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "depth", "alpha"), LOSSLESS)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**20),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_round_trip(tmp_path, suffix, depth, alpha, seed, channels, height, width):
    picture = random_picture(seed, channels, depth, alpha, (height, width))
    path = tmp_path / f"picture{suffix}"
    notes = write_picture(path, picture.pixels, picture, overwrite=True, quality=100)
    again = read_picture(path)

    assert again.bit_depth == depth
    expected = picture.pixels.expand(-1, 3, -1, -1) if suffix == ".webp" else picture.pixels
    assert torch.equal(again.pixels, expected)
    assert again.pixels.dtype == torch.float32
    assert again.pixels.is_contiguous()
    if alpha:
        assert torch.equal(again.alpha, picture.alpha)
    else:
        assert again.alpha is None
    if suffix == ".bmp":
        assert notes == ["BMP does not hold an ICC profile: dropped"]
    elif suffix == ".webp" and channels == 1:
        assert notes == ["the ICC profile is for GRAY, the picture is not: dropped"]
    else:
        assert notes == []
        assert again.icc_profile == picture.icc_profile
    assert list(tmp_path.iterdir()) == [path]
    assert again.sha256 == files.sha256_of(path)


def test_round_trip_notices_lost_bits(tmp_path):
    """The twin: a writer that cuts 16 bit to 8 does not pass for a faithful one."""
    picture = random_picture(0, 3, 16, False, (4, 4))
    write_picture(tmp_path / "cut.png", picture.pixels, replace(picture, bit_depth=8))
    assert not torch.equal(read_picture(tmp_path / "cut.png").pixels, picture.pixels)


@pytest.mark.parametrize(
    ("name", "how", "lossy"),
    [
        ("a.webp", {"quality": 80}, "WebP"),
        ("b.webp", {"quality": 80, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}, "WebP"),
        ("c.webp", {"lossless": True}, ""),
        ("d.png", {}, ""),
        ("e.jpg", {"quality": 80}, ""),  # its tables tell
    ],
)
def test_what_a_file_lost_without_a_trace_is_known_to_be_unknown(tmp_path, name, how, lossy):
    values = np.random.default_rng(0).integers(0, 255, (32, 33, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / name, **how)
    assert read_picture(tmp_path / name).lossy == lossy


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats_stay_close(tmp_path, suffix, channels):
    ramp = torch.linspace(0, 1, 64).expand(1, channels, 48, 64).contiguous()
    assert write_picture(tmp_path / f"a{suffix}", ramp) == []
    again = read_picture(tmp_path / f"a{suffix}")
    assert again.pixels.shape[1] == (3 if suffix == ".webp" else channels)
    assert (again.pixels - ramp).abs().max() < 0.03


def test_float_tiff_keeps_unclipped_values(tmp_path):
    pixels = torch.tensor([[[[-0.25, 0.5], [1.25, 1e-7]]]])
    like = replace(random_picture(0, 1, 32, False, (2, 2)), icc_profile=None)
    write_picture(tmp_path / "a.tiff", pixels, like)
    assert torch.equal(read_picture(tmp_path / "a.tiff").pixels, pixels)
    write_picture(tmp_path / "a.png", pixels)
    assert read_picture(tmp_path / "a.png").pixels.flatten().tolist()[0::2] == [0.0, 1.0]


def test_pillow_reads_the_same_16_bit_grey(tmp_path):
    """Another program sees what we wrote: no agreement of two mistakes of ours."""
    picture = random_picture(3, 1, 16, False, (6, 5))
    for suffix in (".png", ".tif"):
        write_picture(tmp_path / f"a{suffix}", picture.pixels, picture)
        with Image.open(tmp_path / f"a{suffix}") as image:
            values = np.asarray(image).astype(np.float64) / 65535
            assert image.info["icc_profile"] == GREY_PROFILE
        np.testing.assert_allclose(values, picture.pixels[0, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("suffix", "depth", "alpha", "words"),
    [
        (".jpg", 8, True, ["alpha"]),
        (".jpg", 16, True, ["16 bit", "alpha"]),
        (".bmp", 16, False, ["16 bit", "ICC"]),
        (".webp", 16, True, ["16 bit"]),
        (".png", 32, False, ["float"]),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path, suffix, depth, alpha, words):
    picture = random_picture(1, 3, depth, alpha, (5, 6))
    notes = write_picture(tmp_path / f"a{suffix}", picture.pixels, picture, quality=100)
    assert len(notes) == len(words)
    for note, word in zip(notes, words, strict=True):
        assert word in note
    assert read_picture(tmp_path / f"a{suffix}").bit_depth == (16 if depth == 32 else 8)


def test_alpha_and_profile_of_another_picture_are_dropped(tmp_path):
    picture = random_picture(1, 3, 8, True, (5, 6))
    notes = write_picture(tmp_path / "a.png", to_grey(picture.pixels)[..., 1:, :], picture)
    assert ["alpha" in notes[0], "ICC" in notes[1], len(notes)] == [True, True, 2]
    assert read_picture(tmp_path / "a.png").icc_profile is None


# ---- Orientation, profiles, modes ----------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_orientation_is_applied_once(tmp_path, orientation, suffix):
    image = pillow_picture()
    tag = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF"}[suffix[1:]]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if tag == "WEBP" else {}
    path = save(tmp_path / f"turned{suffix}", image, tag, exif=exif, **options)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    picture = read_picture(path)
    found = (picture.pixels[0].permute(1, 2, 0) * 255).round().numpy()
    np.testing.assert_array_equal(found, expected)
    if orientation > 1:  # the twin: the picture as stored is another one
        assert found.shape != (5, 7, 3) or (found != np.asarray(image)).any()

    write_picture(tmp_path / f"again{suffix}", picture.pixels, picture, quality=100)
    with Image.open(tmp_path / f"again{suffix}") as stored:
        assert stored.getexif().get(0x0112, 1) == 1
        assert (stored.height, stored.width) == tuple(picture.pixels.shape[-2:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_icc_profile_is_read_and_kept(tmp_path, kind):
    suffix = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp"}[kind]
    picture = read_picture(save(tmp_path / f"a{suffix}", pillow_picture(), kind, icc_profile=SRGB))
    assert picture.icc_profile == SRGB
    write_picture(tmp_path / f"b{suffix}", picture.pixels, picture)
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert image.info["icc_profile"] == SRGB


def test_palettes_and_bits_are_expanded(tmp_path):
    image = pillow_picture()
    palette = image.quantize(8)
    colour = np.asarray(palette.convert("RGB")).transpose(2, 0, 1) / 255
    for name, kind in (("p.png", "PNG"), ("p.tif", "TIFF"), ("p.bmp", "BMP")):
        picture = read_picture(save(tmp_path / name, palette, kind))
        np.testing.assert_allclose(picture.pixels[0], colour, atol=1e-7)
        assert (picture.bit_depth, picture.alpha) == (8, None)

    bits = image.convert("1")
    grey = np.asarray(bits.convert("L"))[None] / 255
    save(tmp_path / "1.png", bits, "PNG")
    save(tmp_path / "1.tif", bits, "TIFF", compression="group4")
    save(tmp_path / "1.bmp", bits, "BMP")
    for name in ("1.png", "1.tif", "1.bmp"):
        np.testing.assert_array_equal(read_picture(tmp_path / name).pixels[0], grey)

    greys = image.convert("L").quantize(8)
    assert read_picture(save(tmp_path / "g.png", greys, "PNG")).pixels.shape == (1, 1, 5, 7)
    seen = read_picture(save(tmp_path / "t.png", palette, "PNG", transparency=3))
    np.testing.assert_array_equal(seen.alpha[0, 0] == 0, np.asarray(palette) == 3)


def test_white_is_zero_and_premultiplied_alpha(tmp_path):
    values = np.array([[[51, 102], [10, 0]]], np.uint8)
    path = save_tiff(
        tmp_path / "a.tif",
        values,
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    picture = read_picture(path)
    np.testing.assert_allclose(picture.pixels.flatten(), [0.5, 0], atol=1e-6)
    path = save_tiff(tmp_path / "b.tif", values[..., 0], photometric="miniswhite")
    np.testing.assert_allclose(read_picture(path).pixels.flatten(), 1 - values[0, :, 0] / 255, 1e-6)


def test_planar_tiff_equals_interleaved(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 3), dtype=np.uint16)
    one = save_tiff(tmp_path / "one.tif", values, photometric="rgb")
    two = save_tiff(
        tmp_path / "two.tif", values.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    assert torch.equal(read_picture(one).pixels, read_picture(two).pixels)


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.tif", "TIFF")])
def test_cmyk_by_the_plain_rule(tmp_path, name, kind):
    ink = np.full((16, 16, 4), (64, 128, 0, 51), np.uint8)
    path = save(tmp_path / name, Image.fromarray(ink, "CMYK"), kind, icc_profile=SRGB)
    picture = read_picture(path)
    expected = (1 - np.array([64, 128, 0]) / 255) * (1 - 51 / 255)
    np.testing.assert_allclose(picture.pixels[0, :, 8, 8], expected, atol=0.02)
    assert picture.icc_profile is None
    assert len(picture.notes) == 1
    assert picture.notes[0].startswith(f"{path} is in CMYK; it was read as RGB")
    plain = save(tmp_path / f"rgb_{name}", Image.fromarray(ink[..., :3], "RGB"), kind)
    assert not read_picture(plain).notes  # the twin


def test_camera_previews_are_passed_over(tmp_path):
    image = pillow_picture((16, 16))
    path = save(tmp_path / "a.jpg", image, "MPO", save_all=True, append_images=[image.rotate(90)])
    assert read_picture(path).pixels.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.jpg", "a.webp"])
def test_narrow_pictures_are_read(tmp_path, size, name):
    write_picture(tmp_path / name, torch.full((1, 3, *size), 0.5))
    assert read_picture(tmp_path / name).pixels.shape == (1, 3, *size)


def test_the_name_does_not_decide(tmp_path):
    save(tmp_path / "really_png.jpg", pillow_picture(), "PNG")
    assert read_picture(tmp_path / "really_png.jpg").pixels.shape == (1, 3, 5, 7)


@pytest.mark.parametrize(("quality", "subsampling"), [(30, 2), (95, 0)])
def test_a_jpeg_hands_on_how_it_quantises(tmp_path, quality, subsampling):
    path = tmp_path / "a.jpg"
    grey = np.linspace(0, 255, 48 * 40).reshape(48, 40).astype(np.uint8)
    Image.fromarray(np.stack([grey, grey, grey], -1)).save(
        path, quality=quality, subsampling=subsampling
    )
    luma, *chroma = read_picture(path).jpeg
    assert len(chroma) == 2
    assert {len(part.steps) for part in (luma, *chroma)} == {64}
    assert luma.sampling == ((2, 2) if subsampling else (1, 1))
    assert chroma[0].sampling == (1, 1)
    # Annex K's table, scaled as the Independent JPEG Group does: 16 for the constant, 99 last.
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    assert luma.steps[0] == (16 * scale + 50) // 100
    assert luma.steps[-1] == min(255, (99 * scale + 50) // 100)
    # Row by row: the third of a row (10 in Annex K) and the third of a column (14) differ.
    assert (luma.steps[2], luma.steps[16]) == ((10 * scale + 50) // 100, (14 * scale + 50) // 100)


def test_other_files_have_no_jpeg_tables(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    assert read_picture(path).jpeg == ()
