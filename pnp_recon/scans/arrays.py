"""Named arrays in .npy, .npz, .h5, .mat and .tif files and folders of TIFFs: one of them, read.

Knows formats, not scans: what an array means is decided in `files`. An array is listed without
being read where the format allows, so that its size can be held against the memory first.
Whatever the readers stumble over becomes one `InputError` of one line.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators._memory import available_bytes
from operators._memory import readable as size_text
from pnp_recon.errors import InputError
from pnp_recon.scans.entry import Entries, Entry, Selection
from pnp_recon.scans.hdf5 import open_hdf5
from pnp_recon.scans.tiffs import folder_entries, open_tiff, tiffs_in

# Beside the array itself: its float32 copy, and the copy in another order of its axes.
_COPIES = 2


SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".hdf", ".nxs", ".mat", ".tif", ".tiff")


@contextmanager
def open_arrays(path: str | os.PathLike[str]) -> Iterator[Entries]:
    """The arrays of a file by name; the one of a .npy or .tif file is called "".

    Pickled objects are never loaded. Several pages of a TIFF file are one array, pages first; so
    are the TIFFs of a folder in the order of their numbers, where those called flat… (ff, white)
    and dark… (df) are the arrays "flat" and "dark". Structs of MATLAB are their fields
    ("scan.sinogram"); links of HDF5 are followed.

    Raises:
        InputError: the file is missing, empty, damaged, or its suffix is not one of `SUFFIXES`.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if file.is_dir() and tiffs_in(file):
        with readable(file):
            yield folder_entries(file)
        return
    if suffix not in SUFFIXES:
        raise InputError(
            f"{file} ends in {suffix or 'nothing'}; expected one of {', '.join(SUFFIXES)}"
        )
    check_file(file)
    reader = _READERS.get(suffix, open_hdf5)
    with readable(file), reader(file) as entries:
        yield entries


def check_file(file: Path) -> None:
    """Refuse what is no file with something in it (InputError)."""
    if not file.is_file():
        found = "is a folder" if file.is_dir() else "does not exist"
        raise InputError(f"{file} {found}; expected a file, check the path")
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty; copy or export it again")


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn whatever a parser raises within into one InputError that names the file."""
    tiff_log = logging.getLogger("tifffile")
    disabled, tiff_log.disabled = tiff_log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of duplicate names, odd tags, and so on
            yield
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(file)) else f"{file}: {text}") from error
    except PermissionError as error:
        raise InputError(f"{file} may not be read (permission denied); copy it") from error
    except Exception as error:  # the parsers raise anything, from OSError to zlib.error
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{file} cannot be read as {file.suffix.lower() or 'this kind of file'} ({reason}); it "
            "is damaged or of another kind, copy or export it again"
        ) from error
    finally:
        tiff_log.disabled = disabled


def choose(entries: Entries, key: str | None, dimensions: tuple[int, ...]) -> str:
    """Name of the array that `key` means, or of the only numeric one with as many dimensions.

    Raises:
        InputError: there is no such array, or several; the message lists what there is.
    """
    numeric = {name: entry for name, entry in entries.items() if entry.is_numeric}
    broken = [entry.missing for entry in entries.values() if entry.missing]
    listing = ", ".join(describe(name, entry) for name, entry in numeric.items()) or "none"
    if key is not None:
        if key in numeric:
            return key
        if key in entries and entries[key].missing:
            raise InputError(entries[key].missing)
        if key in entries:
            raise InputError(f"{key!r} is no array of real numbers; the file holds {listing}")
        raise InputError(f"holds no array {key!r}; choose one of: {listing}")
    found = [name for name, entry in numeric.items() if len(entry.shape) in dimensions]
    # Links give one array several names.
    named = {entries[name].identity or name: name for name in reversed(found)}
    fitting = list(named.values())[::-1]
    if len(fitting) == 1:
        return fitting[0]
    wanted = " or ".join(str(number) for number in dimensions)
    if fitting:
        raise InputError(f"holds several arrays: {listing}; choose one of them by its key")
    if broken:
        raise InputError(broken[0])
    raise InputError(f"holds no array of {wanted} dimensions; found {listing}")


def describe(name: str, entry: Entry) -> str:
    return f"{name} ({'×'.join(map(str, entry.shape)) or 'one number'})".strip()


def load(
    entry: Entry, what: str, selection: Selection | None = None, finite: bool = True
) -> NDArray[np.float32]:
    """An array, or the part of it in `selection`, as float32, if it fits into memory.

    Raises:
        InputError: not numbers, too large for the memory that is free, not there (a link that
            leads nowhere), or, if they have to be `finite`, values that are not or are too large
            for float32.
    """
    if entry.missing:
        raise InputError(entry.missing)
    if not entry.is_numeric:
        raise InputError(
            f"{what} is of type {entry.dtype} and shape {entry.shape}; expected numbers"
        )
    count = entry.needs(selection)
    check_memory(count * (entry.dtype.itemsize + 4 * _COPIES), f"{what} {entry.shape}")
    with np.errstate(over="ignore"):
        values = entry.read(selection).astype(np.float32)
    bad = int(np.count_nonzero(~np.isfinite(values))) if finite else 0
    if bad:
        raise InputError(
            f"{what} holds {bad} values of {values.size} that are not finite (NaN or infinity); "
            "repair or mask them first"
        )
    return values


def check_memory(needed: int, what: str) -> None:
    """Refuse, before anything is allocated, what does not fit into the free memory.

    Raises:
        InputError: says how much is needed and how much there is.
    """
    free = available_bytes()
    if needed > free:
        raise InputError(
            f"{what} needs about {size_text(needed)} of memory, {size_text(free)} are free; take "
            "fewer slices at a time (pnp-ct --slices works slab by slab), bin the detector or use "
            "a larger machine"
        )


# ---- one reader for each format ------------------------------------------------------------


@contextmanager
def _open_npy(file: Path) -> Iterator[Entries]:
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise InputError("is an archive of several arrays; give it the suffix .npz")
    yield {"": Entry(array.shape, array.dtype, lambda: array, part=lambda chosen: array[chosen])}


@contextmanager
def _open_npz(file: Path) -> Iterator[Entries]:
    with np.load(file, allow_pickle=False) as archive:
        if isinstance(archive, np.ndarray):
            raise InputError("is a single array; give it the suffix .npy")
        yield {name: _npz_entry(archive, name) for name in archive.files}


def _npz_entry(archive: Any, name: str) -> Entry:
    with archive.zip.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(member)
    return Entry(shape, dtype, lambda: archive[name])


@contextmanager
def _open_mat(file: Path) -> Iterator[Entries]:
    import h5py

    if h5py.is_hdf5(file):  # version 7.3 keeps the transposed arrays in HDF5
        with open_hdf5(file) as stored:
            yield {
                name.replace("/", "."): _transposed(one)
                for name, one in stored.items()
                if not name.startswith("#")
                and one.attributes.get("MATLAB_class") not in ("char", "cell", "function_handle")
            }
        return
    from scipy.io import loadmat

    variables = {name: value for name, value in loadmat(file).items() if name[:2] != "__"}
    yield dict(_fields_of(variables, ""))


def _transposed(stored: Entry) -> Entry:
    return replace(
        stored,
        shape=stored.shape[::-1],
        load=lambda: stored.load().T,
        part=lambda chosen: stored.read(chosen[::-1]).T,
    )


def _fields_of(variables: Mapping[str, Any], before: str) -> Iterator[tuple[str, Entry]]:
    """Arrays, and those in structs by dotted names."""
    for name, value in variables.items():
        if not isinstance(value, np.ndarray):
            continue
        if value.dtype.names and value.size == 1:
            inner = {one: value.flat[0][one] for one in value.dtype.names}
            yield from _fields_of(inner, f"{before}{name}.")
        elif not value.dtype.names:
            yield before + name, _held(value)


def _held(value: NDArray[Any]) -> Entry:
    return Entry(value.shape, value.dtype, lambda: value)


_READERS = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".mat": _open_mat,
}
