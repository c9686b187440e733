"""What cannot be read says so in one line."""

from __future__ import annotations

import errno
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from pnp_recon.errors import InputError
from pnp_recon.pictures import decoding as image_files
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.samples import FormatError
from support.pictures import assert_one_line, pillow_bytes, pillow_picture, tiff_bytes


def png_of(*chunks: bytes) -> bytes:
    parts = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    ]
    return image_files.PNG_SIGNATURE + b"".join(parts)


def header(width: int, height: int) -> bytes:
    return b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def nef() -> bytes:
    """A small preview with the sensor's numbers behind it, as Nikon, Sony and Pentax store them."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(np.zeros((8, 9, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1)
        file.write(np.zeros((32, 36), np.uint16), photometric="cfa")
    return buffer.getvalue()


BAD = {
    "empty.png": (b"", "empty"),
    "text.png": (b"hello, this is text\n", "text 'hello, this is t'"),
    "odd.png": (b"\x01\x02\x03\x04\x05", "bytes 01 02 03"),
    "moving.gif": (
        pillow_bytes("GIF", save_all=True, append_images=[pillow_picture((24, 20), 1)]),
        "pick one, counted from 0: 'moving.gif[0]'",
    ),
    "page.pdf": (b"%PDF-1.4\n", "export the page as PNG"),
    "film.mp4": (b"\0\0\0\x18ftypisom\0\0\0\0", "convert it to TIFF"),
    "a.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    "nan.tif": (tiff_bytes(np.array([[0.5, np.nan]], np.float32)), "1 values that are not finite"),
    "inf.tif": (tiff_bytes(np.array([[0.5, np.inf]], np.float32)), "not finite"),
    "counts.tif": (tiff_bytes(np.array([[0.5, 255]], np.float32)), "from 0.5 to 255"),
    "five.tif": (
        tiff_bytes(np.zeros((8, 9, 5), np.uint8), photometric="rgb", planarconfig="contig"),
        "5 channels",
    ),
    "pages.tif": (
        tiff_bytes(np.zeros((4, 8, 9), np.uint8), photometric="minisblack"),
        "4 pictures",
    ),
    "stack.tif": (
        tiff_bytes(np.zeros((4, 8, 9), np.uint8), photometric="minisblack"),
        "pick one, counted from 0: 'stack.tif[0]'",
    ),
    "long.tif": (tiff_bytes(np.zeros((8, 9), np.int64)), "int64"),
    "nodata.tif": (
        tiff_bytes(np.zeros((8, 9), np.float32), extratags=[(42113, "s", 0, "0", True)]),
        '72 values that it declares to be "no data"',
    ),
    "camera.dng": (
        tiff_bytes(np.zeros((8, 9), np.uint16), extratags=[(50706, "B", 4, (1, 4, 0, 0), True)]),
        'pip install "pnp-recon[photo]"',
    ),
    "camera.nef": (nef(), 'pip install "pnp-recon[photo]"'),
    "camera.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera raw file"),
    "camera.raf": (b"FUJIFILMCCD-RAW 0201", "camera raw file"),
    "phone.heic": (b"\0\0\0\x1cftypheic\0\0\0\0", "needs the package pillow-heif"),
    "moving.webp": (
        pillow_bytes("WEBP", save_all=True, append_images=[pillow_picture((24, 20), 1)]),
        "2 pictures",
    ),
    "bomb.png": (
        png_of(header(60_000, 60_000), b"IDAT" + zlib.compress(b"0"), b"IEND"),
        "60000×60000",
    ),
    "nothing.png": (png_of(header(0, 5), b"IDAT" + zlib.compress(b""), b"IEND"), "0×5"),
    "headless.tif": (b"II*\0\xff\xff\xff\xff", "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file(tmp_path, name, capfd, monkeypatch):
    for package in ("rawpy", "pillow_heif"):  # as if not installed
        monkeypatch.setitem(sys.modules, package, None)
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


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_a_missing_end_marker_is_a_note(tmp_path, options):
    data = pillow_bytes("JPEG", quality=90, **options)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    whole = read_picture(path)
    assert whole.notes == ()
    path.write_bytes(data + b"trailing words")
    assert read_picture(path).notes == ()
    path.write_bytes(data[:-2])
    cut = read_picture(path)
    assert torch.equal(cut.pixels, whole.pixels)
    (note,) = cut.notes
    assert note.startswith(f"{path} is a JPEG file without its end marker")
    path.write_bytes(data[:-40])  # the twin: pixels are gone with it
    with pytest.raises(InputError, match="part of its pixels is missing"):
        read_picture(path)


def test_a_coarse_scan_is_not_the_picture(tmp_path):
    """A progressive file that ends between two of its scans decodes to a blurred picture."""
    data = pillow_bytes("JPEG", quality=90, progressive=True)
    path = tmp_path / "a.jpg"
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        path.write_bytes(data[:at])
        with pytest.raises(InputError, match="part of its pixels is missing"):
            read_picture(path)


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


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("<COMPRESSION.CCITTFAX4: 4> requires the 'imagecodecs' package", "needs imagecodecs"),
        ("corrupted strip", r"is a damaged TIFF file \(corrupted strip\)"),
    ],
)
def test_a_missing_codec_is_no_damage(what: str, said: str) -> None:
    with pytest.raises(FormatError, match=said), image_files._reading("TIFF"):
        raise ValueError(what)
