"""Slices to simulate a scan from: DICOM, an archive of CT slices, an array, or any picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES, sha256_of
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.scans.arrays import check_file, choose, load, open_arrays
from pnp_recon.scans.dicom import is_dicom, read_hounsfield
from pnp_recon.scans.entry import Entries

# Nothing absorbs less than nothing: scanners pad the corners with −2000 or −3024.
_AIR = -1024.0

# An archive stores HU + 1024, so that whole numbers without sign hold them.
_ARCHIVE_SHIFT = 1024.0

Unit = Literal["HU", "1/mm", "picture"]

# Scanners store up to 12 or 16 bit; no body and no metal is denser than the latter.
_DENSEST = 40000.0
# Air is −1000 HU and fat −100: a slice above this has neither, and one that varies less shows
# nothing. An array that reaches below −500 is in Hounsfield units: no attenuation is negative.
_FAT, _PLAIN, _IN_AIR = -200.0, 20.0, -500.0


@dataclass(frozen=True, eq=False)
class Slice:
    """A clean slice.

    Attributes:
        values: (1, 1, H, W) float32, in HU, in 1/mm, or in [0, 1] for a picture.
        unit: which of them.
        pixel_mm: side of a pixel in mm, or None where the file does not say.
        source: the file.
        name: file name, with the index where the file holds several.
        sha256: the hash of the file's bytes, hexadecimal.
        doubts: what may be wrong with the values, a sentence each.
    """

    values: Float[Tensor, "1 1 H W"]
    unit: Unit
    pixel_mm: float | None
    source: Path
    name: str
    sha256: str
    doubts: tuple[str, ...] = ()


def read_slice(
    path: str | os.PathLike[str],
    index: int | None = None,
    split: str | None = None,
    unit: Unit | None = None,
) -> Slice:
    """A slice from DICOM (.dcm, .ima, or by its content), a .npz archive, a .npy, or a picture.

    A .npy holds (H, W), or (slices, H, W) with `index`. A picture is read as
    `pnp_recon.pictures.files.read_picture` does and made grey; its [0, 1] stays.

    Args:
        path: the file.
        index: which slice of an archive or array, or frame of a DICOM file of several, from 0.
        unit: of a .npy without a value below −500, which only HU have. Default: a picture.
        split: count `index` among the slices of this split ("train", "val") only.

    Raises:
        InputError: missing, damaged or of another kind; an archive without an index, or an index
            that it does not have; an index for a file of one slice; values that cannot be in their
            unit.
    """
    file = Path(path)
    if file.suffix.lower() == ".npz":
        return _read_archive(file, index, split)
    if split is not None:
        raise InputError(f"{file} has no splits; leave out {split!r}")
    check_file(file)
    if file.suffix.lower() == ".npy":
        return _read_array(file, index, unit)
    if file.suffix.lower() in (".dcm", ".ima") or is_dicom(file):
        return read_dicom(file, index)
    if index is not None:
        raise InputError(f"{file} holds one slice; leave out the index")
    if file.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(
            f"{file} is no slice; expected DICOM, a .npz archive, a .npy or a picture "
            f"({', '.join(PICTURE_SUFFIXES)})"
        )
    picture = read_picture(file)
    return Slice(to_grey(picture.pixels), "picture", None, file, file.name, picture.sha256)


def read_dicom(path: str | os.PathLike[str], index: int | None = None) -> Slice:
    """One CT slice in Hounsfield units; see `dicom.read_hounsfield`.

    Padding and whatever else lies below −1024 HU becomes −1024 HU.

    Args:
        path: the file.
        index: which frame of a file of several, from 0.
    """
    file = Path(path)
    hounsfield, spacing, name, doubts = read_hounsfield(file, index)
    found = _in_hounsfield(hounsfield, spacing, file, name)
    return replace(found, doubts=(*doubts, *found.doubts))


def archive_splits(path: str | os.PathLike[str]) -> list[str]:
    """The split that each slice of an .npz archive belongs to; "" where none is named.

    Raises:
        InputError: missing, damaged or no archive of slices.
    """
    with open_arrays(Path(path)) as entries:
        return _splits(entries)


def _splits(entries: Entries) -> list[str]:
    if "img" not in entries or len(entries["img"].shape) != 3:
        raise InputError(
            f"holds {', '.join(entries) or 'nothing'}; expected an archive of slices, img "
            "(slices, rows, columns) in HU + 1024"
        )
    count = entries["img"].shape[0]
    if "split" not in entries:
        return [""] * count
    names = [str(name) for name in entries["split"].load()]
    if len(names) != count:
        raise InputError(f"holds {count} slices and {len(names)} splits; expected one for each")
    return names


def _read_archive(file: Path, index: int | None, split: str | None) -> Slice:
    """Slice of an .npz with `img` (N, H, W) = HU + 1024, and perhaps `split` and `px_mm` (N,)."""
    with open_arrays(file) as entries:
        names = _splits(entries)
        numbers = list(range(len(names)))
        if split is not None:
            if not any(names):
                raise InputError(f"has no splits; leave out {split!r}")
            numbers = [number for number in numbers if names[number] == split]
            if not numbers:
                known = ", ".join(sorted(set(names)))
                raise InputError(f"has no split {split!r}; expected one of {known}")
        if index is None or not 0 <= index < len(numbers):
            kind = f" of {split}" if split else ""
            raise InputError(
                f"holds {len(numbers)} slices{kind}; index {index} found, expected 0 to "
                f"{len(numbers) - 1}"
            )
        number = numbers[index]
        hounsfield = load(entries["img"], "img")[number].astype(np.float64) - _ARCHIVE_SHIFT
        spacing = None
        if "px_mm" in entries:
            load(entries["px_mm"], "px_mm")  # numbers, and finite
            spacing = float(entries["px_mm"].load().ravel()[number])
    return _in_hounsfield(hounsfield, spacing, file, f"{file.name}[{number}]")


def _read_array(file: Path, index: int | None, unit: Unit | None) -> Slice:
    """A .npy of one slice or of several."""
    with open_arrays(file) as entries:
        name = choose(entries, None, (2, 3))
        values = load(entries[name], "the array")
    shown = file.name
    if values.ndim == 3:
        if index is None or not 0 <= index < len(values):
            raise InputError(
                f"{file} holds {len(values)} slices; index {index} found, expected 0 to "
                f"{len(values) - 1}"
            )
        values, shown = values[index], f"{file.name}[{index}]"
    elif index is not None:
        raise InputError(f"{file} holds one slice; leave out the index")
    low, high = float(values.min()), float(values.max())
    if unit is None or low < _IN_AIR:
        unit = "HU" if low < _IN_AIR else "picture"
    if unit == "HU":
        return _in_hounsfield(values.astype(np.float64), None, file, shown)
    if unit == "picture" and not (low >= 0 and high <= 1):
        raise InputError(
            f"{file} holds values from {low:.4g} to {high:.4g}: neither Hounsfield units, in which "
            "air is −1000, nor a picture in [0, 1]; say the unit, or scale it"
        )
    whole = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return Slice(whole, unit, None, file, shown, sha256_of(file))


def _in_hounsfield(
    hounsfield: NDArray[np.float64], spacing: float | None, file: Path, name: str
) -> Slice:
    highest = float(np.nanmax(hounsfield, initial=_AIR))
    if highest > _DENSEST:
        raise InputError(
            f"{file} holds values up to {highest:.4g}, denser than all metal in Hounsfield units; "
            "is the scale (RescaleSlope) right?"
        )
    values = torch.from_numpy(np.nan_to_num(hounsfield, nan=_AIR).clip(_AIR).astype(np.float32))[
        None, None
    ]
    low, high = float(values.min()), float(values.max())
    doubts: tuple[str, ...] = ()
    if low > _FAT:
        doubts = (
            f"{name}: the lowest value is {low:g} HU, neither air (−1000) nor fat; are these "
            "Hounsfield units (a DICOM file's RescaleIntercept)?",
        )
    elif high - low < _PLAIN:
        doubts = (f"{name}: all values lie within {high - low:g} HU, there is nothing to see",)
    return Slice(values, "HU", spacing, file, name, sha256_of(file), doubts)
