"""Picture files: what goes in comes out, and what cannot be read or written says so in one line."""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pnp_recon import files, image_files, images
from pnp_recon.errors import InputError, OutputError
from pnp_recon.images import Picture, expand_inputs, read_picture, to_grey, write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]

# suffix, depth, alpha: every combination that is kept without loss
LOSSLESS = [
    *[(".png", depth, alpha) for depth in (8, 16) for alpha in (False, True)],
    *[(".tif", depth, alpha) for depth in (8, 16, 32) for alpha in (False, True)],
    *[(".webp", 8, alpha) for alpha in (False, True)],
    (".bmp", 8, False),
]


def random_picture(seed: int, channels: int, depth: int, alpha: bool, size: tuple[int, int]):
    """A picture whose values are steps of its depth, so that a lossless file returns them."""
    generator = torch.Generator().manual_seed(seed)
    stack = torch.rand((1, channels + alpha, *size), generator=generator, dtype=torch.float64)
    if depth < 32:
        stack = (stack * (2**depth - 1)).round() / (2**depth - 1)
    stack = stack.float()
    return Picture(
        pixels=stack[:, :channels],
        alpha=stack[:, channels:] if alpha else None,
        icc_profile=SRGB if channels == 3 else GREY_PROFILE,
        bit_depth=depth,
        mode="",
        source=Path("/nowhere"),
        sha256="",
    )


def save(path: Path, image: Image.Image, kind: str, **options: Any) -> Path:
    image.save(path, kind, **options)
    return path


def save_tiff(path: Path, values: np.ndarray, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(path, values, **options)
    return path


def pillow_picture(size: tuple[int, int] = (7, 5), seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def assert_one_line(error: BaseException, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    for word in words:
        assert word in text


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


# ---- Bad input -----------------------------------------------------------------------------


def png_of(*chunks: bytes) -> bytes:
    parts = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    ]
    return image_files.PNG_SIGNATURE + b"".join(parts)


def header(width: int, height: int) -> bytes:
    return b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def tiff_bytes(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def pillow_bytes(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_picture((24, 20)).save(buffer, kind, **options)
    return buffer.getvalue()


BAD = {
    "empty.png": (b"", "empty"),
    "text.png": (b"hello, this is text\n", "text 'hello, this is t'"),
    "gif.png": (pillow_bytes("GIF"), "bytes 47 49 46"),
    "nan.tif": (tiff_bytes(np.array([[0.5, np.nan]], np.float32)), "1 values that are not finite"),
    "inf.tif": (tiff_bytes(np.array([[0.5, np.inf]], np.float32)), "not finite"),
    "counts.tif": (tiff_bytes(np.array([[0.5, 255]], np.float32)), "from 0.5 to 255"),
    "five.tif": (
        tiff_bytes(np.zeros((8, 9, 5), np.uint8), photometric="rgb", planarconfig="contig"),
        "5 channels",
    ),
    "pages.tif": (tiff_bytes(np.zeros((4, 8, 9), np.uint8), photometric="minisblack"), "4 pages"),
    "signed.tif": (tiff_bytes(np.zeros((8, 9), np.int16)), "int16"),
    "deep.tif": (tiff_bytes(np.zeros((8, 9), np.uint32)), "uint32"),
    "moving.webp": (
        pillow_bytes("WEBP", save_all=True, append_images=[pillow_picture((24, 20), 1)]),
        "2 frames",
    ),
    "bomb.png": (
        png_of(header(60_000, 60_000), b"IDAT" + zlib.compress(b"0"), b"IEND"),
        "60000×60000",
    ),
    "nothing.png": (png_of(header(0, 5), b"IDAT" + zlib.compress(b""), b"IEND"), "0×5"),
    "headless.tif": (b"II*\0\xff\xff\xff\xff", "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(tmp_path, name, capfd):
    data, word = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / name)
    assert_one_line(caught.value, name, "; ", word)
    assert capfd.readouterr() == ("", "")


COMPLETE = {
    "a.png": pillow_bytes("PNG"),
    "a.jpg": pillow_bytes("JPEG"),
    "a.bmp": pillow_bytes("BMP"),
    "a.webp": pillow_bytes("WEBP"),
    "plain.tif": tiff_bytes(np.arange(480, dtype=np.uint16).reshape(20, 24)),
    "packed.tif": tiff_bytes(np.arange(480, dtype=np.uint16).reshape(20, 24), compression="zlib"),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_truncated_file_is_never_filled_up(tmp_path, name, capfd):
    data = COMPLETE[name]
    path = tmp_path / name
    path.write_bytes(data)
    whole = read_picture(path).pixels
    refused = 0
    cuts = sorted({*range(1, 40), *range(40, len(data), max(1, len(data) // 25)), len(data) - 1})
    for cut in cuts:
        path.write_bytes(data[:cut])
        try:
            # A few last bytes may be padding; then every pixel must be there all the same.
            assert torch.equal(read_picture(path).pixels, whole)
        except InputError as error:
            assert_one_line(error, name, "; ")
            refused += 1
    assert refused >= len(cuts) - 2
    assert capfd.readouterr() == ("", "")


def test_a_flipped_byte_in_a_png_is_noticed(tmp_path):
    data = bytearray(COMPLETE["a.png"])
    for position in range(8, len(data), 37):
        broken = bytearray(data)
        broken[position] ^= 4
        (tmp_path / "a.png").write_bytes(broken)
        with pytest.raises(InputError, match=r"PNG|pixels"):
            read_picture(tmp_path / "a.png")


def test_missing_folder_and_forbidden_input(tmp_path, monkeypatch):
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "none.png")
    assert_one_line(caught.value, "does not exist")
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path)
    assert_one_line(caught.value, "is a folder")

    def refuse(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # tests may run as root, whom nothing stops
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "locked.png")
    assert_one_line(caught.value, "permission denied")


# ---- Writing whole or not at all -----------------------------------------------------------


def test_existing_files_are_kept_unless_asked(tmp_path):
    path = tmp_path / "a.png"
    write_picture(path, torch.zeros(1, 1, 3, 3))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_picture(path, torch.ones(1, 1, 3, 3))
    assert path.read_bytes() == before
    write_picture(path, torch.ones(1, 1, 3, 3), overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize("alias", ["same", "symbolic", "hard", "dots"])
def test_the_input_is_never_overwritten(tmp_path, alias):
    source = tmp_path / "a.png"
    write_picture(source, torch.zeros(1, 3, 3, 3))
    picture = read_picture(source)
    target = source
    if alias == "symbolic":
        target = tmp_path / "link.png"
        target.symlink_to(source)
    elif alias == "hard":
        target = tmp_path / "hard.png"
        os.link(source, target)
    elif alias == "dots":
        (tmp_path / "sub").mkdir()
        target = tmp_path / "sub" / ".." / "a.png"
    with pytest.raises(OutputError, match="input itself"):
        write_picture(target, picture.pixels + 1, picture, overwrite=True)
    assert files.sha256_of(source) == picture.sha256


def test_output_refusals(tmp_path, monkeypatch):
    pixels = torch.zeros(1, 3, 4, 4)
    (tmp_path / "folder.png").mkdir()
    for path, word in (
        (tmp_path / "missing" / "a.png", "does not exist"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "a.gif", "'.gif'"),
        (tmp_path / "a", "no suffix"),
        (tmp_path / ("a" * 300 + ".png"), "too long"),
        ("/proc/picture.png", "cannot write"),  # no file can be made there, not even by root
    ):
        with pytest.raises(OutputError) as caught:
            write_picture(path, pixels)
        assert_one_line(caught.value, word)
    with pytest.raises(OutputError, match="not finite"):
        write_picture(tmp_path / "a.png", pixels * torch.nan)
    for shape in ((3, 4, 4), (2, 3, 4, 4), (1, 2, 4, 4), (1, 3, 0, 4)):
        with pytest.raises(InputError, match="expected"):
            write_picture(tmp_path / "a.png", torch.zeros(shape))
    with pytest.raises(InputError, match="quality"):
        write_picture(tmp_path / "a.jpg", pixels, quality=0)
    with pytest.raises(OutputError, match="16383"):
        write_picture(tmp_path / "a.webp", torch.zeros(1, 1, 1, 16384))
    with pytest.raises(OutputError, match="JPEG does not hold"):
        write_picture(tmp_path / "a.jpg", torch.zeros(1, 1, 1, 70000))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_devices_are_not_replaced():
    with pytest.raises(OutputError, match="not a regular file"):
        files.atomic_write("/dev/null", b"x")
    assert not Path("/dev/null").is_file()


def naive_write(path: Path, data: Callable[[BinaryIO], object]) -> None:
    with open(path, "wb") as handle:
        data(handle)


@pytest.mark.parametrize("old", [None, b"the old picture"])
@pytest.mark.parametrize("failure", ["full", "interrupt", "rename"])
def test_atomic_write_fails_whole(tmp_path, monkeypatch, old, failure):
    path = tmp_path / "result.bin"
    if old is not None:
        path.write_bytes(old)

    def half(handle: BinaryIO) -> None:
        handle.write(b"half of the new")
        handle.flush()
        if failure == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if failure == "interrupt":
            raise KeyboardInterrupt

    if failure == "rename":

        def refuse(*names: Any) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(os, "replace", refuse)
    expected = KeyboardInterrupt if failure == "interrupt" else OutputError
    with pytest.raises(expected) as caught:
        files.atomic_write(path, half)
    if failure == "full":
        assert_one_line(caught.value, "the disk is full", "result.bin")
    if failure == "rename":
        assert_one_line(caught.value, "read-only")

    def state() -> dict[str, bytes]:
        return {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    untouched = {} if old is None else {"result.bin": old}
    assert state() == untouched
    if failure != "rename":  # the twin: a plain write is caught by the same check
        with pytest.raises((OSError, KeyboardInterrupt)):
            naive_write(path, half)
        assert state() != untouched


def test_picture_on_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_picture(tmp_path / "a.png", torch.zeros(1, 3, 4, 4))
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_follows_links_and_keeps_permissions(tmp_path):
    target = tmp_path / "target.txt"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    files.atomic_write(link, "new ä")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new ä"
    assert target.stat().st_mode & 0o777 == 0o640
    mask = os.umask(0o027)
    try:
        files.atomic_write(tmp_path / "fresh", b"x")
    finally:
        os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o640


# ---- Curves, grey, names -------------------------------------------------------------------


def test_srgb_curve():
    x = torch.linspace(-0.2, 1.2, 20001, dtype=torch.float64)
    linear = images.srgb_to_linear(x)
    # IEC 61966-2-1 rounds its two thresholds, which leaves a step of some 1e-8.
    torch.testing.assert_close(images.linear_to_srgb(linear), x, atol=1e-7, rtol=0)
    assert (linear.diff() > 0).all()
    known = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    light = torch.tensor([0.0, 0.04045 / 12.92, 0.21404114048223255, 1.0], dtype=torch.float64)
    torch.testing.assert_close(images.srgb_to_linear(known), light, atol=1e-12, rtol=0)
    assert (x**2.2 - linear)[x > 0].abs().max() > 1e-3  # the twin: plain gamma is another curve


@pytest.mark.parametrize("curve", [images.srgb_to_linear, images.linear_to_srgb])
def test_curves_have_finite_gradients(curve):
    x = torch.tensor([-0.1, 0.0, 0.001, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    curve(x).sum().backward()
    assert x.grad.isfinite().all()


def test_to_grey():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grey = to_grey(x)
    assert grey.shape == (2, 1, 4, 5)
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    torch.testing.assert_close(grey[:, 0], torch.einsum("bchw,c->bhw", x, weights))
    assert to_grey(grey) is grey
    with pytest.raises(InputError, match="C = 1 or 3"):
        to_grey(x[:, :2])


def test_expand_inputs(tmp_path):
    for name in ("b.png", "a.JPG", "c.txt", ".hidden.png", "sub/d.tif", "odd[1].png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")

    def names(*patterns: str) -> list[str]:
        return [path.name for path in expand_inputs(str(tmp_path / name) for name in patterns)]

    assert names(".") == ["a.JPG", "b.png", "odd[1].png"]
    assert names("*.png") == ["b.png", "odd[1].png"]
    assert names("c.txt", "b.png", "*.png") == ["c.txt", "b.png", "odd[1].png"]
    assert names("odd[1].png") == ["odd[1].png"]
    assert names("**/*.tif") == ["d.tif"]
    for pattern, word in (("*.bmp", "no picture matches"), ("none.png", "does not exist")):
        with pytest.raises(InputError) as caught:
            names(pattern)
        assert_one_line(caught.value, word)
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        names("void")
    with pytest.raises(InputError, match="no input"):
        expand_inputs([])
