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

from pnp_recon.pictures.samples import FormatError


def _encode_png(values: NDArray[Any], icc: bytes | None, quality: int) -> bytes:
    if values.dtype == np.uint8:
        return _encode_pillow("PNG", values, icc, optimize=False)
    import imagecodecs

    encoded = imagecodecs.png_encode(
        np.ascontiguousarray(values.squeeze(-1) if values.shape[-1] == 1 else values)
    )
    data = bytes(encoded)
    if not icc:
        return data
    # The codec cannot embed a profile: put the chunk behind IHDR (PNG specification, 11.3.3.3).
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(icc)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def _encode_jpeg(values: NDArray[Any], icc: bytes | None, quality: int) -> bytes:
    return _encode_pillow("JPEG", values, icc, quality=quality, subsampling=0)


def _encode_webp(values: NDArray[Any], icc: bytes | None, quality: int) -> bytes:
    if values.shape[-1] < 3:  # WebP holds colour only
        grey = np.repeat(values[..., :1], 3, -1)
        values = np.concatenate([grey, values[..., 1:]], -1)
    if max(values.shape[:2]) > 16383:
        raise FormatError("WebP holds at most 16383 pixels a side; write a PNG or TIFF instead")
    lossless = quality == 100
    return _encode_pillow("WEBP", values, icc, quality=quality, lossless=lossless, exact=True)


def _encode_bmp(values: NDArray[Any], icc: bytes | None, quality: int) -> bytes:
    return _encode_pillow("BMP", values, None)


def _encode_pillow(kind: str, values: NDArray[Any], icc: bytes | None, **options: Any) -> bytes:
    image = Image.fromarray(values.squeeze(-1) if values.shape[-1] == 1 else values)
    buffer = io.BytesIO()
    if icc:
        options["icc_profile"] = icc
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _encode_tiff(values: NDArray[Any], icc: bytes | None, quality: int) -> bytes:
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
        iccprofile=icc,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


@dataclass(frozen=True)
class Format:
    """What a file format can hold, and its encoder (samples (H, W, S), ICC profile, quality)."""

    name: str
    depths: tuple[int, ...]
    alpha: bool
    icc: bool
    encode: Callable[[NDArray[Any], bytes | None, int], bytes]


_JPEG = Format("JPEG", (8,), False, True, _encode_jpeg)
_TIFF = Format("TIFF", (8, 16, 32), True, True, _encode_tiff)

FORMATS: dict[str, Format] = {
    ".png": Format("PNG", (8, 16), True, True, _encode_png),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WebP", (8,), True, True, _encode_webp),
    ".bmp": Format("BMP", (8,), False, False, _encode_bmp),
}
