"""TIFF bytes -> samples, for `decoding`, which turns whatever is raised here into one error."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.pictures.samples import (
    Decoded,
    FormatError,
    Samples,
    check_size,
    scaled,
    without_black,
)


@contextmanager
def tiff_page(data: bytes) -> Iterator[Any]:
    """The one page of the file, whole and flat."""
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
        _check_tiff(pages[0], len(data))
        yield pages[0]


def tiff_values(page: Any) -> NDArray[Any]:
    """The stored numbers (H, W, S)."""
    values: NDArray[Any] = page.asarray()
    values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values
    return values[..., None] if values.ndim == 2 else values


def decode_tiff(data: bytes) -> Decoded:
    with tiff_page(data) as page:
        photometric, colours = _tiff_colours(page)
        values = tiff_values(page)
        samples, depth = _tiff_samples(values, page)
        if photometric == "PALETTE":
            # The file keeps 8 bit entries as 16 bit words, padded or repeated by its writer.
            table = np.moveaxis(np.asarray(page.colormap), 0, -1) >> 8
            samples, depth = scaled(table, 255)[values[..., 0]], 8
        associated = [int(kind) for kind in page.extrasamples] == [1]
        icc = page.tags[34675].value if 34675 in page.tags else None
        orientation = int(page.tags[274].value) if 274 in page.tags else 1
    colour, alpha = samples[..., :colours], samples[..., colours:]
    if photometric == "MINISWHITE":
        colour = 1 - colour
    if photometric == "SEPARATED":
        colour, icc = without_black(colour), None  # its profile is for CMYK
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


def _check_tiff(page: Any, length: int) -> None:
    """Refuses before anything is unpacked."""
    check_size(page.imagewidth, page.imagelength)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    ends = [start + count for start, count in parts]
    if not ends or max(ends) > length:
        raise FormatError(
            f"is a truncated TIFF file ({length} bytes); expected a complete one, copy or export "
            "it again"
        )
    if not set(page.axes) <= set("YXS"):
        raise FormatError(f"is a volume (axes {page.axes}); expected one flat picture")


def _tiff_colours(page: Any) -> tuple[str, int]:
    """Photometric interpretation and its number of colours; refuses what pictures do not have."""
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
    return scaled(values, 2**bits - 1), 8 if bits <= 8 else 16
