"""Bytes of a picture file -> the numbers in it: the one decoder of pictures, masks and kernels.

Internal to `pnp_recon.pictures`: `files` makes pictures of the numbers, `kernels` and `masks` take
them as they are; `encoding` is the way back.
Pillow reads the 8 bit formats, imagecodecs 16 bit PNG (Pillow would cut colour to 8 bit), tifffile
TIFF, and two optional packages HEIC and the raw files of cameras (`optional`).
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
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from pnp_recon.pictures import exif
from pnp_recon.pictures.jpeg import with_end
from pnp_recon.pictures.optional import decode_raw, open_heif, raw_signature
from pnp_recon.pictures.samples import (
    FROM_CMYK,
    MAX_PIXELS,
    Decoded,
    FormatError,
    JpegComponent,
    check_frame,
    check_size,
    scaled,
    without_black,
)
from pnp_recon.pictures.tiff import decode_tiff, is_camera_raw

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXPECTED = "PNG, JPEG, TIFF, WebP, BMP, GIF, HEIC or a camera raw file"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1")


def sniff(data: bytes) -> str | None:
    """Format by the first bytes; the suffix of a file's name may be wrong."""
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if raw_signature(data):
        return "RAW"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF"
    return None


def decode(data: bytes, kind: str, frame: int | None = None) -> Decoded:
    """The picture, with its EXIF orientation already applied.

    Args:
        frame: which of several it is, counted from 0; None: there is one only.

    Raises:
        FormatError: damaged, unsupported, or too large; several pictures, or not as many.
    """
    with _reading(kind):
        if kind == "RAW" or (kind == "TIFF" and is_camera_raw(data)):
            check_frame("a camera raw file", 1, frame)
            decoded = decode_raw(data)
        elif kind == "TIFF":
            decoded = decode_tiff(data, frame)
        else:
            decoded = _decode_pillow(data, kind, frame)
    turn = decoded.orientation
    upright = np.ascontiguousarray(orient(decoded.values, turn))
    missing = None if decoded.missing is None else orient(decoded.missing, turn)
    return replace(decoded, values=upright, missing=missing, orientation=1)


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
def _reading(kind: str) -> Iterator[None]:
    """Whatever a library raises becomes a FormatError."""
    with _quiet():
        try:
            yield
        except FormatError:
            raise
        except MemoryError as error:
            raise FormatError("does not fit into memory; make it smaller") from error
        except Exception as error:
            # Decoders raise nearly anything on damaged bytes: SyntaxError, struct.error, ...
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            if isinstance(error, UnidentifiedImageError):  # its text shows a memory address
                detail = "its header is broken"
            if "requires the 'imagecodecs' package" in detail:
                raise FormatError(
                    f"is a {kind} file whose compression needs imagecodecs, which is not "
                    "installed; install it, or export the picture without compression"
                ) from error
            raise FormatError(
                f"is a damaged {kind} file ({detail}); expected a complete one, copy or export "
                "it again"
            ) from error


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


# ---- PNG, JPEG, WebP, BMP, GIF, HEIC -------------------------------------------------------


@contextmanager
def _opened(
    data: bytes, kind: str, frame: int | None
) -> Iterator[tuple[Image.Image, bool, tuple[str, ...]]]:
    """The loaded image, whether it is one of 16 bit, which Pillow would cut down, and notes."""
    deep = False
    notes: tuple[str, ...] = ()
    if kind == "PNG":
        bits, width, height = _check_png(data)
        check_size(width, height)
        deep = bits == 16
    if kind == "JPEG":
        data, notes = with_end(data)
    with _unpacked(data, kind) as image:
        frames = getattr(image, "n_frames", 1)
        if frame is not None or kind in ("PNG", "WEBP", "GIF"):  # others add previews and the like
            image.seek(check_frame(f"a {kind} file", frames, frame))
            deep = deep and not frame
        image.load()
        yield image, deep, notes


def _unpacked(data: bytes, kind: str) -> Image.Image:
    try:
        stream = io.BytesIO(data)
        image = open_heif(stream) if kind == "HEIF" else Image.open(stream, formats=(kind,))
    except Image.DecompressionBombError:
        raise FormatError(
            f"claims to hold more than {MAX_PIXELS // 10**6} million pixels; crop it or make it "
            "smaller"
        ) from None
    check_size(*image.size)
    return image


def _decode_pillow(data: bytes, kind: str, frame: int | None) -> Decoded:
    with _opened(data, kind, frame) as (image, deep, notes):
        found = image.getexif()
        about: dict[str, Any] = {
            "icc_profile": image.info.get("icc_profile") or None,
            "orientation": int(found.get(0x0112, 1)),
            "exif": exif.kept(found),
            "dpi": _dpi(image),
            "notes": notes,
            "lossy": _lossy(data, kind),
        }
        if deep:
            values = _deep_png(data)
            mode = {1: "L;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[values.shape[-1]]
            return Decoded(values, 65535, 16, mode, **about)
        if image.mode == "CMYK":
            # Its profile is for CMYK.
            about |= {"icc_profile": None, "notes": (*notes, FROM_CMYK)}
            return Decoded(without_black(scaled(np.asarray(image), 255)), 1, 8, "CMYK", **about)
        return Decoded(_expanded(image), 255, 8, image.mode, jpeg=jpeg_components(image), **about)


def _lossy(data: bytes, kind: str) -> str:
    """The format, where it lost something of the pixels that no table in the file tells."""
    if kind == "HEIF":
        return "HEIC"
    at = 12  # chunks of RIFF; b"VP8L" is lossless (RFC 9649, 2.5 and 2.6)
    while kind == "WEBP" and at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"VP8 ":
            return "WebP"
        at += 8 + length + length % 2
    return ""


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Pixels per inch; screens' 72 and 96 are as good as any other."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def jpeg_components(image: Image.Image) -> tuple[JpegComponent, ...]:
    """Quantisation steps and sampling of a JPEG's components; nothing for other formats."""
    tables = getattr(image, "quantization", None) or {}
    layers = getattr(image, "layer", None) or []
    return tuple(
        JpegComponent(tuple(tables[table]), (vertical, horizontal))
        for _, horizontal, vertical, table in layers
        if len(tables.get(table, ())) == 64
    )


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


def _deep_png(data: bytes) -> NDArray[np.uint16]:
    import imagecodecs

    values = imagecodecs.png_decode(data)
    return values[..., None] if values.ndim == 2 else values
