"""Bytes of a picture file -> samples, for every format that is read.

Internal to `pnp_recon.pictures.files`, which is the public side; `encoding` is the way back.
Pillow reads the 8 bit formats, imagecodecs 16 bit PNG (Pillow would cut colour to 8 bit), tifffile
TIFF.
Knows nothing of tensors, paths or files on a disk.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

Samples = NDArray[np.float32]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Above this a picture cannot be worked on anyway, and a few bytes can claim to hold one.
MAX_PIXELS = 150_000_000


class FormatError(Exception):
    """What is wrong with the bytes, as half a sentence; `images` adds the name of the file."""


@dataclass(frozen=True)
class Decoded:
    """Samples (H, W, S) in [0, 1], S = 1, 2 (grey + alpha), 3 or 4 (RGB + alpha)."""

    samples: Samples
    bit_depth: int
    mode: str
    icc_profile: bytes | None = None
    orientation: int = 1


def sniff(data: bytes) -> str | None:
    """Format by the first bytes; the suffix of a file's name may be wrong."""
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    return None


def decode(data: bytes, kind: str) -> Decoded:
    """Samples of the picture, with its EXIF orientation already applied.

    Raises:
        FormatError: damaged, unsupported, or too large.
    """
    with _quiet():
        try:
            decoded = _decode_tiff(data) if kind == "TIFF" else _decode_pillow(data, kind)
        except FormatError:
            raise
        except MemoryError as error:
            raise FormatError("does not fit into memory; make it smaller") from error
        except Exception as error:
            # Decoders raise nearly anything on damaged bytes: SyntaxError, struct.error, ...
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            if isinstance(error, UnidentifiedImageError):  # its text shows a memory address
                detail = "its header is broken"
            raise FormatError(
                f"is a damaged {kind} file ({detail}); expected a complete one, copy or export "
                "it again"
            ) from error
    upright = np.ascontiguousarray(orient(decoded.samples, decoded.orientation))
    return replace(decoded, samples=upright)


def orient(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an EXIF orientation (Exif 2.32, tag 274: 1 to 8; others mean upright)."""
    transposed = samples.swapaxes(0, 1)
    return {
        2: samples[:, ::-1],
        3: samples[::-1, ::-1],
        4: samples[::-1],
        5: transposed,
        6: transposed[:, ::-1],
        7: transposed[::-1, ::-1],
        8: transposed[::-1],
    }.get(orientation, samples)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning or log line of a library reaches the user: we judge the result ourselves."""
    tiff_log = logging.getLogger("tifffile")
    disabled, tiff_log.disabled = tiff_log.disabled, True
    truncated, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tiff_log.disabled = disabled
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise FormatError(f"has no pixels ({width}×{height}); expected at least one")
    if width * height > MAX_PIXELS:
        raise FormatError(
            f"claims to hold {width}×{height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "read, crop it or make it smaller"
        )


def _scaled(values: NDArray[Any], largest: int) -> Samples:
    """Integers 0..largest -> float32 in [0, 1], correctly rounded."""
    return (values / np.float64(largest)).astype(np.float32)


def _without_black(cmyk: Samples) -> Samples:
    """CMYK (H, W, 4) -> RGB by R = (1 − C)(1 − K): the plain rule, no colour management."""
    return (1 - cmyk[..., :3]) * (1 - cmyk[..., 3:4])


# ---- PNG, JPEG, WebP, BMP ------------------------------------------------------------------


def _decode_pillow(data: bytes, kind: str) -> Decoded:
    deep = False
    if kind == "PNG":
        bits, width, height = _check_png(data)
        _check_size(width, height)
        deep = bits == 16
    try:
        opened = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError:
        raise FormatError(
            f"claims to hold more than {MAX_PIXELS // 10**6} million pixels; crop it or make it "
            "smaller"
        ) from None
    with opened as image:
        _check_size(*image.size)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and kind != "JPEG":  # further JPEG frames are a camera's previews
            raise FormatError(f"is an animation of {frames} frames; save one of them as a picture")
        image.load()
        icc = image.info.get("icc_profile") or None
        orientation = int(image.getexif().get(0x0112, 1))
        mode = image.mode
        if deep:
            return _deep_png(data, icc, orientation)
        if mode == "CMYK":
            samples = _without_black(_scaled(np.asarray(image), 255))
            return Decoded(samples, 8, mode, None, orientation)  # its profile is for CMYK
        return Decoded(_scaled(_expanded(image), 255), 8, mode, icc, orientation)


def _expanded(image: Image.Image) -> NDArray[np.uint8]:
    """8 bit samples (H, W, S): palettes and single bits expanded, grey left grey."""
    alpha = image.has_transparency_data
    if image.mode in ("1", "L", "LA"):
        if not alpha:
            return np.asarray(image.convert("L"))[..., None]
        return np.asarray(image.convert("RGBA"))[..., 2:]  # R = G = B: keep one of them and alpha
    values = np.asarray(image.convert("RGBA" if alpha else "RGB"))
    if image.mode in ("P", "PA") and (np.ptp(values[..., :3], axis=-1) == 0).all():
        return values[..., 2:]  # a palette of greys is a grey picture
    return values


def _check_png(data: bytes) -> tuple[int, int, int]:
    """Bits per sample, width, height; every critical chunk must be there with its checksum."""
    position, header, last = len(PNG_SIGNATURE), b"", b""
    while position + 12 <= len(data) and last != b"IEND":
        length, last = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if len(checksum) < 4:
            break
        critical = not last[0] & 0x20
        if critical and struct.pack(">I", zlib.crc32(last + body)) != checksum:
            raise FormatError(
                f"is a damaged PNG file (wrong checksum at byte {position}); expected a complete "
                "one, copy or export it again"
            )
        if last == b"IHDR":
            header = body
        position += 12 + length
    if last != b"IEND" or len(header) != 13:
        raise FormatError(
            f"is a truncated PNG file ({len(data)} bytes, no end found); expected a complete one, "
            "copy or export it again"
        )
    width, height, bits = struct.unpack_from(">IIB", header)
    return bits, width, height


def _deep_png(data: bytes, icc: bytes | None, orientation: int) -> Decoded:
    import imagecodecs

    values = imagecodecs.png_decode(data)
    values = values[..., None] if values.ndim == 2 else values
    mode = {1: "L;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[values.shape[-1]]
    return Decoded(_scaled(values, 65535), 16, mode, icc, orientation)


# ---- TIFF ----------------------------------------------------------------------------------


def _decode_tiff(data: bytes) -> Decoded:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages: list[Any] = [
            page for page in tiff.pages if not _is_preview(page)
        ]  # previews do not count
        if not pages:
            raise FormatError(
                "is a damaged TIFF file (no page found); expected a complete one, copy or export "
                "it again"
            )
        if len(pages) > 1:
            raise FormatError(
                f"is a TIFF file of {len(pages)} pages; expected one, save the page that you want "
                "as its own file"
            )
        page = pages[0]
        photometric, colours = _check_tiff(page, len(data))
        values = page.asarray()
        values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values
        samples, depth = _tiff_samples(values[..., None] if values.ndim == 2 else values, page)
        if photometric == "PALETTE":
            # The file keeps 8 bit entries as 16 bit words, padded or repeated by its writer.
            table = np.moveaxis(np.asarray(page.colormap), 0, -1) >> 8
            samples, depth = _scaled(table, 255)[values], 8
        associated = [int(kind) for kind in page.extrasamples] == [1]
        icc = page.tags[34675].value if 34675 in page.tags else None
        orientation = int(page.tags[274].value) if 274 in page.tags else 1
    colour, alpha = samples[..., :colours], samples[..., colours:]
    if photometric == "MINISWHITE":
        colour = 1 - colour
    if photometric == "SEPARATED":
        colour, icc = _without_black(colour), None  # its profile is for CMYK
    if associated:  # the colours were multiplied by alpha
        colour = np.where(alpha > 0, colour / np.maximum(alpha, 1e-6), 0).clip(0, 1)
    mode = f"{photometric};{page.dtype}" + (";alpha" if alpha.size else "")
    samples = np.concatenate([colour, alpha], -1).astype(np.float32)
    return Decoded(samples, depth, mode, icc, orientation)


def _is_preview(page: Any) -> bool:
    return bool(page.is_reduced)


_TIFF_COLOURS = {
    "MINISBLACK": 1,
    "MINISWHITE": 1,
    "PALETTE": 3,
    "RGB": 3,
    "YCBCR": 3,
    "SEPARATED": 4,
}


def _check_tiff(page: Any, length: int) -> tuple[str, int]:
    """Photometric interpretation and its number of colours; refuses before anything is unpacked."""
    _check_size(page.imagewidth, page.imagelength)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    ends = [start + count for start, count in parts]
    if not ends or max(ends) > length:
        raise FormatError(
            f"is a truncated TIFF file ({length} bytes); expected a complete one, copy or export "
            "it again"
        )
    if not set(page.axes) <= set("YXS"):
        raise FormatError(f"is a volume (axes {page.axes}); expected one flat picture")
    kind = getattr(page.photometric, "name", str(page.photometric))
    colours = _TIFF_COLOURS.get(kind, 0)
    stored = 1 if kind == "PALETTE" else colours
    extra = page.samplesperpixel - stored
    # Only JPEG data in YCbCr comes back as RGB.
    unconverted = kind == "YCBCR" and int(page.compression) not in (6, 7)
    if not colours or unconverted or extra not in ((0,) if kind == "PALETTE" else (0, 1)):
        raise FormatError(
            f"has {page.samplesperpixel} channels of kind {kind}; expected 1 (grey) or 3 (RGB), "
            "with or without alpha, export it so"
        )
    return kind, colours


def _tiff_samples(values: NDArray[Any], page: Any) -> tuple[Samples, int]:
    """Samples as float32 and the depth to write again: 8, 16 or 32 (float)."""
    if values.dtype.kind == "f":
        return values.astype(np.float32), 32
    bits = 1 if values.dtype.kind == "b" else int(page.bitspersample)
    if values.dtype.kind not in "bu" or bits > 16:
        raise FormatError(
            f"holds {values.dtype} samples; expected unsigned integers of up to 16 bit or floats, "
            "export it so"
        )
    return _scaled(values, 2**bits - 1), 8 if bits <= 8 else 16
