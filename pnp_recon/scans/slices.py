"""Slices to simulate a scan from: DICOM, an archive of CT slices, or any picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
from pnp_recon.scans.arrays import check_file, load, open_arrays
from pnp_recon.scans.dicom import is_dicom, read_hounsfield
from pnp_recon.scans.entry import Entries

# Nothing absorbs less than nothing: scanners pad the corners with −2000 or −3024.
_AIR = -1024.0

# An archive stores HU + 1024, so that whole numbers without sign hold them.
_ARCHIVE_SHIFT = 1024.0


@dataclass(frozen=True, eq=False)
class Slice:
    """A clean slice.

    Attributes:
        values: (1, 1, H, W) float32, in HU, or in [0, 1] for a picture.
        unit: "HU" or "picture".
        pixel_mm: side of a pixel in mm, or None where the file does not say.
        source: the file.
        name: file name, with the index where the file holds several.
        sha256: the hash of the file's bytes, hexadecimal.
    """

    values: Float[Tensor, "1 1 H W"]
    unit: Literal["HU", "picture"]
    pixel_mm: float | None
    source: Path
    name: str
    sha256: str


def read_slice(
    path: str | os.PathLike[str], index: int | None = None, split: str | None = None
) -> Slice:
    """A slice from a DICOM file (.dcm, .ima, or by its content), a .npz archive or a picture.

    A picture is read as `pnp_recon.pictures.files.read_picture` does and made grey; its [0, 1]
    stays.

    Args:
        path: the file.
        index: which slice of an archive, or frame of a DICOM file of several, from 0.
        split: count `index` among the slices of this split ("train", "val") only.

    Raises:
        InputError: missing, damaged or of another kind; an archive without an index, or an index
            that it does not have; an index for a file of one slice.
    """
    file = Path(path)
    if file.suffix.lower() == ".npz":
        return _read_archive(file, index, split)
    if split is not None:
        raise InputError(f"{file} has no splits; leave out {split!r}")
    check_file(file)
    if file.suffix.lower() in (".dcm", ".ima") or is_dicom(file):
        hounsfield, spacing, name = read_hounsfield(file, index)
        return _in_hounsfield(hounsfield, spacing, file, name)
    if index is not None:
        raise InputError(f"{file} holds one slice; leave out the index")
    if file.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(
            f"{file} is no slice; expected DICOM, an .npz archive or a picture "
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
    hounsfield, spacing, name = read_hounsfield(file, index)
    return _in_hounsfield(hounsfield, spacing, file, name)


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


def _in_hounsfield(
    hounsfield: NDArray[np.float64], spacing: float | None, file: Path, name: str
) -> Slice:
    values = torch.from_numpy(np.nan_to_num(hounsfield, nan=_AIR).clip(_AIR).astype(np.float32))[
        None, None
    ]
    return Slice(values, "HU", spacing, file, name, sha256_of(file))
