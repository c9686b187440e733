"""One CT slice of a DICOM file in Hounsfield units: plain, compressed, or a frame of several.

Compressed pixels are decoded by pylibjpeg, which the extra [ct] brings along.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError
from pnp_recon.scans.arrays import check_file, readable


def is_dicom(file: Path) -> bool:
    """Whether the preamble of 128 bytes is followed by DICM (DICOM PS3.10, 7.1)."""
    with readable(file), open(file, "rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def read_hounsfield(
    file: Path, frame: int | None = None
) -> tuple[NDArray[np.float64], float | None, str, tuple[str, ...]]:
    """Stored value × RescaleSlope + RescaleIntercept, the side of a pixel in mm, a name, doubts.

    Where the file says that a pixel is padding (PixelPaddingValue), the value is NaN: no air was
    measured there, but none is all that can be.

    Args:
        file: with one slice, or with several frames (enhanced CT).
        frame: which of several, from 0.

    Raises:
        InputError: pydicom is not installed (pip install "pnp-recon[ct]"), the file is missing,
            damaged, compressed in a way that nothing installed can decode, of another modality
            than CT, a localizer, without rescaling or with one that gives no Hounsfield units, of
            several frames with no number or one that it does not have, or its pixels are not
            square.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            f"{file}: DICOM needs pydicom, which is not installed; install pnp-recon[ct]"
        ) from error
    check_file(file)
    with readable(file):
        dataset = pydicom.dcmread(file)
        modality = str(dataset.get("Modality", "unknown"))
        if modality != "CT":
            raise InputError(f"is of modality {modality}; expected CT")
        count = int(dataset.get("NumberOfFrames", 1) or 1)
        name = file.name
        if count > 1:
            if frame is None or not 0 <= frame < count:
                found = "none was given" if frame is None else f"{frame} found"
                raise InputError(f"holds {count} frames; give --index 0 to {count - 1}, {found}")
            name = f"{file.name}[{frame}]"
        elif frame not in (None, 0):
            raise InputError("holds one slice; leave out the index")
        groups = _groups(dataset, frame or 0)
        slope, intercept = (_find(groups, word) for word in ("RescaleSlope", "RescaleIntercept"))
        if slope is None or intercept is None:
            raise InputError("has no RescaleSlope and RescaleIntercept, so its unit is not HU")
        doubts = _rescaling(slope, _find(groups, "RescaleType"))
        if "LOCALIZER" in (dataset.get("ImageType") or ()):
            raise InputError("is a localizer: a projection of the body, and no slice of it")
        pixels = _pixels(dataset)
        if count > 1:
            pixels = pixels[frame or 0]
        if pixels.ndim != 2:
            raise InputError(f"holds an array of shape {pixels.shape}; expected a single slice")
        hounsfield = pixels.astype(np.float64) * float(slope) + float(intercept)
        if not np.isfinite(hounsfield).all():
            raise InputError("holds values that are not finite; export it again")
        hounsfield[_padding(dataset, pixels)] = np.nan
        spacing = _square(_find(groups, "PixelSpacing"))
    return hounsfield, spacing, name, doubts


def _rescaling(slope: Any, kind: Any) -> tuple[str, ...]:
    """A sentence about a RescaleType that leaves the unit open (PS3.3, C.11.1.1.2).

    Raises:
        InputError: a slope that is not above 0, or a type that is another unit.
    """
    if not float(slope) > 0:
        raise InputError(f"has a RescaleSlope of {slope}; expected a number above 0")
    kind = str(kind or "HU").strip().upper()
    if kind in ("HU", "HU_MOD"):
        return ()
    if kind == "US":
        return ("RescaleType says that the unit of the values is unspecified: taken for HU",)
    raise InputError(f"is in the unit {kind} (RescaleType); expected Hounsfield units")


def _pixels(dataset: Any) -> NDArray[Any]:
    """The decoded pixels; names what is missing where their compression cannot be decoded."""
    try:
        return np.asarray(dataset.pixel_array)
    except (RuntimeError, NotImplementedError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed:
            raise
        raise InputError(
            f"is compressed ({syntax.name}), and nothing that is installed decodes it; install "
            "pylibjpeg with pnp-recon[ct]"
        ) from error


def _groups(dataset: Any, frame: int) -> list[Any]:
    """Where elements of a frame may stand: its own groups, the shared ones, the data set."""
    groups = []
    for word, place in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        if len(dataset.get(word) or []) > place:
            groups.append(dataset.get(word)[place])
    return [*groups, dataset]


def _find(groups: list[Any], word: str) -> Any:
    """An element by its name, in a group or one sequence below."""
    for group in groups:
        if word in group:
            return group[word].value
        for element in group:
            if element.VR == "SQ" and len(element.value) == 1 and word in element.value[0]:
                return element.value[0][word].value
    return None


def _padding(dataset: Any, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """True where the stored value is the padding value, or in its range (PS3.3, C.7.5.1.1.2)."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(pixels.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit", first)
    # Signed in the file's pixels, unsigned in the element: the bits are the same.
    bits = pixels.dtype.itemsize * 8
    low, high = sorted(
        int(one) - (1 << bits) if one > np.iinfo(pixels.dtype).max else int(one)
        for one in (first, last)
    )
    return (pixels >= low) & (pixels <= high)


def _square(spacing: Any) -> float | None:
    """Side of a pixel, from the distances of its rows and of its columns."""
    if not spacing:
        return None
    rows, columns = (float(value) for value in spacing)
    if not (rows > 0 and abs(rows - columns) <= 1e-3 * rows):
        raise InputError(f"has pixels of {rows} × {columns} mm; expected squares: resample it")
    return rows
