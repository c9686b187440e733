"""Which CT slices are trained on, and which are kept for the validation; they are read here.

Slices of one patient resemble each other, so the validation takes whole patients where it is known
whose the slices are. What becomes of the slices is in `pairs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.datasets.splits import held_out
from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES, expand_inputs, sha256_of
from pnp_recon.problems.noise import seeded
from pnp_recon.scans.arrays import load, open_arrays, readable
from pnp_recon.scans.slices import read_slice
from pnp_recon.scans.window import HOUNSFIELD_WINDOW
from pnp_recon.training.unrolled.pairs import pooled

DICOM = (".dcm", ".ima")
SUFFIXES = (*DICOM, ".npy", *PICTURE_SUFFIXES)

# At most so many slices are validated on, and without splits a tenth of the patients: a check of
# the course, not a result.
VALIDATION_SLICES = 16

# An archive stores HU + 1024.
_ARCHIVE_SHIFT = 1024.0


@dataclass(frozen=True, eq=False)
class SliceData:
    """Slices in HU, clipped to the window, (n, 1, size, size) float32.

    Attributes:
        training, validation: the slices; those for validation may be none.
        training_numbers, validation_numbers: where they stand in what was read, from 0.
        description: for the run folder and the model card.
    """

    training: Tensor
    validation: Tensor
    training_numbers: tuple[int, ...]
    validation_numbers: tuple[int, ...]
    description: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Listing:
    """What there is to read: one entry of each tuple for a slice, None for what is not known."""

    names: tuple[str, ...]
    patients: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    read: Callable[[int], Tensor]  # one slice (1, 1, H, W) in HU
    digest: Callable[[Sequence[int]], str]  # SHA-256 of the files that hold these slices


def load_slices(
    source: Path,
    size: int,
    count: int | None = None,
    seed: int = 0,
    tick: Callable[[int, int], None] | None = None,
) -> SliceData:
    """Reads the slices that a network is trained and validated on.

    Splits are taken as they are: the key `split` ("train", "val") of an archive, or the folders
    train/ and val/. Otherwise a tenth of the patients is held out, evenly spaced by name; a slice
    of which the patient is not known counts as a patient of its own. At most 16 slices are
    validated on. The subset of `count` slices follows from the seed; a smaller one is part of a
    larger one.

    Args:
        source: an .npz archive with `img` (N, H, W) = HU + 1024 and perhaps `split` and `patient`;
            or a folder of slices, or of train/ and val/: DICOM (.dcm, .ima), .npy (H, W) in HU,
            or pictures, whose [0, 1] is the window −1024 … 1500 HU.
        size: side in pixels that the slices are averaged to.
        count: slices to train on; default: all that there are.
        seed: the subset follows from it.
        tick: called with the slices read so far and their total.

    Raises:
        InputError: nothing to read, a damaged file, slices that are not square or of a side that
            is no multiple of `size`, fewer slices than `count`, or a patient in both splits.
    """
    listing = _archive(source) if source.suffix.lower() == ".npz" else _folder(source)
    train, validation = _parts(source, listing)
    if count is not None and not 1 <= count <= len(train):
        raise InputError(
            f"{count} slices are to be trained on; {source} holds {len(train)} for training, "
            f"expected 1 to {len(train)}"
        )
    order = torch.randperm(len(train), generator=seeded(seed))
    chosen = sorted(train[i] for i in order[:count].tolist())
    few = min(VALIDATION_SLICES, len(validation))
    shown = [validation[i] for i in held_out(len(validation), few)]
    read = []
    for number in (*chosen, *shown):
        clipped = listing.read(number).clamp(*HOUNSFIELD_WINDOW)
        try:
            read.append(pooled(clipped, size))
        except InputError as error:
            raise InputError(f"{listing.names[number]}: {error}; see --size") from error
        if tick is not None:
            tick(len(read), len(chosen) + len(shown))
    slices = torch.cat(read)
    whose = {listing.patients[number] for number in chosen} - {None}
    description = {
        "source": source.name or source.resolve().name,
        "slices": len(chosen),
        "of": len(train),
        "patients": len(whose) or "not known",
        "sha256": listing.digest([*chosen, *shown]),
        "training_slices": [listing.names[number] for number in chosen],
        "validation_slices": [listing.names[number] for number in shown],
    }
    return SliceData(
        slices[: len(chosen)], slices[len(chosen) :], tuple(chosen), tuple(shown), description
    )


def _parts(source: Path, listing: _Listing) -> tuple[list[int], list[int]]:
    """Numbers of the slices for training and for validation."""
    numbers = range(len(listing.names))
    if any(listing.splits):
        train = [n for n in numbers if listing.splits[n] == "train"]
        validation = [n for n in numbers if listing.splits[n] == "val"]
        both = {listing.patients[n] for n in train} & {listing.patients[n] for n in validation}
        if both - {None}:
            name = sorted(patient for patient in both if patient)[0]
            raise InputError(
                f"{source}: patient {name} is in train and in val; expected other patients in val"
            )
    else:
        owners = [listing.patients[n] or listing.names[n] for n in numbers]
        patients = sorted(set(owners))
        tenth = min(-(-len(patients) // 10), len(patients) - 1)
        out = {patients[i] for i in held_out(len(patients), tenth)}
        train = [n for n in numbers if owners[n] not in out]
        validation = [n for n in numbers if owners[n] in out]
    if not train:
        raise InputError(f"{source} holds no slices for training; expected some marked train")
    return train, validation


def _archive(source: Path) -> _Listing:
    with open_arrays(source) as entries:
        if "img" not in entries or len(entries["img"].shape) != 3:
            raise InputError(
                f"holds {', '.join(entries) or 'nothing'}; expected an archive of slices, img "
                "(slices, rows, columns) in HU + 1024"
            )
        slices = load(entries["img"], "img")
        said: dict[str, tuple[str | None, ...]] = {}
        for key in ("patient", "split"):
            values = entries[key].load().tolist() if key in entries else [None] * len(slices)
            if len(values) != len(slices):
                raise InputError(f"has {len(values)} entries in {key} for {len(slices)} slices")
            said[key] = tuple(None if value is None else str(value) for value in values)
    whole = sha256_of(source)
    return _Listing(
        tuple(f"{source.name}[{number}]" for number in range(len(slices))),
        said["patient"],
        said["split"],
        lambda number: _tensor(slices[number] - _ARCHIVE_SHIFT),
        lambda numbers: whole,
    )


def _folder(source: Path) -> _Listing:
    if not source.is_dir():
        raise InputError(f"{source} is no folder; expected a folder of CT slices, or an .npz file")
    parts = [source / "train", source / "val"]
    divided = all(part.is_dir() for part in parts)
    files, splits = [], []
    for part in parts if divided else [source]:
        found = expand_inputs([part], SUFFIXES)
        files += found
        splits += [part.name if divided else None] * len(found)

    def digest(numbers: Sequence[int]) -> str:
        hashes = sorted(sha256_of(files[number]) for number in numbers)
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    return _Listing(
        tuple(file.relative_to(source).as_posix() for file in files),
        tuple(_patient(file) for file in files),
        tuple(splits),
        lambda number: _read(files[number]),
        digest,
    )


def _read(file: Path) -> Tensor:
    if file.suffix.lower() == ".npy":
        with open_arrays(file) as entries:
            values = load(entries[""], "the slice")
            if values.ndim != 2:
                raise InputError(f"holds an array of shape {values.shape}; expected a slice in HU")
        return _tensor(values)
    found = read_slice(file)
    if found.unit == "HU":
        return found.values
    low, high = HOUNSFIELD_WINDOW
    return low + (high - low) * found.values


def _patient(file: Path) -> str | None:
    """Whose slice a DICOM file is; other files do not say."""
    if file.suffix.lower() not in DICOM:
        return None
    try:
        import pydicom
    except ImportError as error:
        raise InputError(
            f"{file}: DICOM needs pydicom, which is not installed; install pnp-recon[ct]"
        ) from error
    with readable(file):
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["PatientID"])
        return str(header.get("PatientID") or "") or None


def _tensor(hounsfield: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(hounsfield)[None, None]
