"""Samples of a picture -> bytes of a file, and what each format can hold.

Internal to `pnp_recon.pictures.files`. Knows nothing of tensors, paths or files on a disk.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pnp_recon.pictures.exif import into_tiff
from pnp_recon.pictures.samples import FormatError


@dataclass(frozen=True)
class Keepsakes:
    """What goes with the samples: ICC profile, EXIF block, pixels per inch (x, y)."""

    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def _encode_png(values: NDArray[Any], kept: Keepsakes, quality: int) -> bytes:
    if values.dtype == np.uint8:
        return _encode_pillow("PNG", values, kept, optimize=False)
    import imagecodecs

    encoded = imagecodecs.png_encode(
        np.ascontiguousarray(values.squeeze(-1) if values.shape[-1] == 1 else values)
    )
    data = bytes(encoded)
    # The codec embeds nothing: put the chunks behind IHDR (PNG specification, 11.3.3.3, 11.3.5.3).
    chunks = b""
    if kept.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(kept.icc))
    if kept.dpi:
        x, y = (round(dots / 0.0254) for dots in kept.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
    if kept.exif:
        chunks += _chunk(b"eXIf", kept.exif.removeprefix(b"Exif\0\0"))
    return data[:33] + chunks + data[33:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _encode_jpeg(values: NDArray[Any], kept: Keepsakes, quality: int) -> bytes:
    return _encode_pillow("JPEG", values, kept, quality=quality, subsampling=0)


def _encode_webp(values: NDArray[Any], kept: Keepsakes, quality: int) -> bytes:
    if values.shape[-1] < 3:  # WebP holds colour only
        grey = np.repeat(values[..., :1], 3, -1)
        values = np.concatenate([grey, values[..., 1:]], -1)
    if max(values.shape[:2]) > 16383:
        raise FormatError("WebP holds at most 16383 pixels a side; write a PNG or TIFF instead")
    lossless = quality == 100
    return _encode_pillow("WEBP", values, kept, quality=quality, lossless=lossless, exact=True)


def _encode_bmp(values: NDArray[Any], kept: Keepsakes, quality: int) -> bytes:
    return _encode_pillow("BMP", values, Keepsakes(dpi=kept.dpi))


def _encode_pillow(kind: str, values: NDArray[Any], kept: Keepsakes, **options: Any) -> bytes:
    image = Image.fromarray(values.squeeze(-1) if values.shape[-1] == 1 else values)
    buffer = io.BytesIO()
    known = {"icc_profile": kept.icc, "exif": kept.exif, "dpi": kept.dpi}
    options.update((name, value) for name, value in known.items() if value)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _encode_tiff(values: NDArray[Any], kept: Keepsakes, quality: int) -> bytes:
    import tifffile

    channels = values.shape[-1]
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        values.squeeze(-1) if channels == 1 else values,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        iccprofile=kept.icc,
        resolution=kept.dpi,
        resolutionunit="INCH" if kept.dpi else None,
        byteorder="<",
        metadata=None,
        software=False,
    )
    data = buffer.getvalue()
    return into_tiff(data, kept.exif) if kept.exif else data


@dataclass(frozen=True)
class Format:
    """What a file format can hold, and its encoder (samples (H, W, S), keepsakes, quality)."""

    name: str
    depths: tuple[int, ...]
    alpha: bool
    icc: bool
    exif: bool
    encode: Callable[[NDArray[Any], Keepsakes, int], bytes]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types of numbers that it holds whatever their range."""
        integers = tuple(f"uint{depth}" for depth in self.depths if depth < 32)
        return (*integers, *_TIFF_DTYPES) if 32 in self.depths else integers


_TIFF_DTYPES = ("int8", "int16", "int32", "uint32", "float32", "float64", "float16")
_JPEG = Format("JPEG", (8,), False, True, True, _encode_jpeg)
_TIFF = Format("TIFF", (8, 16, 32), True, True, True, _encode_tiff)

FORMATS: dict[str, Format] = {
    ".png": Format("PNG", (8, 16), True, True, True, _encode_png),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jfif": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WebP", (8,), True, True, True, _encode_webp),
    ".bmp": Format("BMP", (8,), False, False, False, _encode_bmp),
}
