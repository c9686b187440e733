"""TIFF bytes -> numbers, for `decoding`, which turns whatever is raised here into one error."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.pictures import exif
from pnp_recon.pictures.samples import (
    FROM_CMYK,
    Decoded,
    FormatError,
    check_frame,
    check_size,
    scaled,
    without_black,
)

_ONE_PAGE = (
    "save the one that you want (counted from 0) as its own file, for instance with python -c "
    "\"import tifffile; tifffile.imwrite('page.tif', tifffile.imread('FILE', key=0))\""
)
_NODATA = 42113  # GDAL: the number that stands for "no data here", as text
_SENSOR = {"CFA", "LINEAR_RAW"}


@contextmanager
def tiff_page(data: bytes, frame: int | None = None) -> Iterator[Any]:
    """The one page of the file, or that of a number, whole and flat."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        every: list[Any] = list(tiff.pages)
        pages = [page for page in every if not page.is_reduced]  # no previews
        if not pages:
            raise FormatError(
                "is a damaged TIFF file (no page found); expected a complete one, copy or export "
                "it again"
            )
        page = pages[check_frame("a TIFF file", len(pages), frame)]
        _check_tiff(page, len(data))
        yield page


def is_camera_raw(data: bytes) -> bool:
    """Whether a TIFF file holds the numbers of a sensor: a DNG, or previews and no picture."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            pages: list[Any] = list(tiff.pages)
            first: Any = pages[0]
            inner = list(first.pages) if 330 in first.tags else []
            kinds = {getattr(page.photometric, "name", "") for page in (*pages, *inner)}
            only_previews = all(page.is_reduced for page in pages) and 330 in first.tags
            return 50706 in first.tags or bool(kinds & _SENSOR) or only_previews
    except Exception:
        return False  # damaged: its decoder says how


def decode_tiff(data: bytes, frame: int | None = None) -> Decoded:
    with tiff_page(data, frame) as page:
        photometric, colours = _tiff_colours(page)
        values = page.asarray()
        values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values
        values = values[..., None] if values.ndim == 2 else values
        missing = _missing(values, page)
        largest, depth = _scale(values, page)
        if photometric == "PALETTE":
            # The file keeps 8 bit entries as 16 bit words, padded or repeated by its writer.
            table = (np.moveaxis(np.asarray(page.colormap), 0, -1) >> 8).astype(np.uint8)
            values, largest, depth = table[values[..., 0]], 255, 8
            if (np.ptp(values, axis=-1) == 0).all():
                values = values[..., :1]  # a palette of greys is a grey picture
        associated = [int(kind) for kind in page.extrasamples] == [1]
        icc = page.tags[34675].value if 34675 in page.tags else None
        orientation = int(page.tags[274].value) if 274 in page.tags else 1
        dpi = _dpi(page)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if photometric == "MINISWHITE":
        values = np.concatenate([largest - values[..., :1], values[..., 1:]], -1).astype(
            values.dtype
        )
    if photometric == "SEPARATED" or associated:
        samples = scaled(values, largest)
        colour, alpha = samples[..., :colours], samples[..., colours:]
        if photometric == "SEPARATED":
            colour, icc = without_black(colour), None  # its profile is for CMYK
        if associated:  # the colours were multiplied by alpha
            colour = np.where(alpha > 0, colour / np.maximum(alpha, 1e-6), 0).clip(0, 1)
        values, largest, missing = np.concatenate([colour, alpha], -1), 1, None
    mode = f"{photometric};{page.dtype}" + (";alpha" if page.extrasamples else "")
    notes = (FROM_CMYK,) if photometric == "SEPARATED" else ()
    kept = exif.of_tiff(data)
    return Decoded(values, largest, depth, mode, icc, orientation, missing, kept, dpi, notes)


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
        raise FormatError(f"is a volume (axes {page.axes}); expected one flat picture: {_ONE_PAGE}")


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


def _scale(values: NDArray[Any], page: Any) -> tuple[float, int]:
    """The number of full white, and the depth to write again: 8, 16 or 32."""
    if values.dtype.kind == "f":
        return 1, 32
    bits = 1 if values.dtype.kind == "b" else int(page.bitspersample)
    if values.dtype.kind not in "bui" or bits > 32:
        raise FormatError(
            f"holds {values.dtype} samples; expected integers of up to 32 bit or floats, export it "
            "so"
        )
    largest = 2 ** (bits - 1) - 1 if values.dtype.kind == "i" else 2**bits - 1
    return largest, next(depth for depth in (8, 16, 32) if bits <= depth)


def _missing(values: NDArray[Any], page: Any) -> NDArray[np.bool_] | None:
    """Where the number stands that the file declares to be no data."""
    if _NODATA not in page.tags:
        return None
    try:
        number = float(str(page.tags[_NODATA].value).strip("\0 "))
    except ValueError:
        return None
    found = values == np.asarray(number, values.dtype if values.dtype.kind == "f" else np.float64)
    return found if found.any() else None


def _dpi(page: Any) -> tuple[float, float] | None:
    """Pixels per inch, where the file gives a length."""
    unit = int(page.tags[296].value) if 296 in page.tags else 2
    if unit not in (2, 3) or 282 not in page.tags or 283 not in page.tags:
        return None
    try:
        x, y = (top / bottom for top, bottom in (page.tags[tag].value for tag in (282, 283)))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    centimetres = 2.54 if unit == 3 else 1.0
    return x * centimetres, y * centimetres
