"""The values of a volume on disk, slice by slice: nothing here holds more than one slice.

Formats by the name: .npy, .h5 and .tif keep all slices as one block of float32 that is made before
the run and filled in place, .zarr (version 2) and folders of TIFFs have a file for each slice. What
is not done yet, or failed, is NaN. A kill in a write leaves that one slice undone, and no other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, write_reason

HDF5 = (".h5", ".hdf5")
TIFF = (".tif", ".tiff")
FORMATS = ".zarr, .h5, .npy, .tif, or a folder (no suffix, for a TIFF of each slice)"
# The name of the array in HDF5.
NAME = "volume"
Shape = tuple[int, int, int]
Slice = NDArray[np.float32]


class Store(Protocol):
    """Where the slices of a volume are kept, by their place in it."""

    def write(self, place: int, values: Slice) -> None:
        """Raises OutputError."""

    def read(self, place: int) -> Slice:
        """(H, W); NaN where nothing was written."""


def open_store(path: Path, shape: Shape, *, fresh: bool) -> Store:
    """The store of that name; `fresh`: made anew, in the place of what is there.

    Raises:
        OutputError: no known format, or it cannot be created.
        InputError: it is not there or has another shape, where it is not to be made.
    """
    suffix = path.suffix.lower()
    makers: dict[str, Callable[[Path, Shape], None]] = {".npy": _make_npy, ".zarr": _make_zarr}
    makers |= dict.fromkeys(HDF5, _make_hdf5) | dict.fromkeys(TIFF, _make_tiff)
    makers[""] = _make_folder
    if suffix not in makers:
        raise OutputError(f"cannot write {path}: it ends in {suffix!r}; expected {FORMATS}")
    if fresh:
        try:
            _remove(path)
            makers[suffix](path, shape)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {write_reason(error)}") from error
    elif not path.exists():
        raise InputError(f"{path} is not there any more; give --overwrite to start anew")
    if suffix in ("", ".zarr"):
        return _Files(path, shape, zarr=suffix == ".zarr")
    return _Block(path, shape, _offset(path, shape))


def _remove(path: Path) -> None:
    """What was there. Of a folder only what a run of this kind wrote, or an older one of Zarr."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
    elif path.suffix.lower() == ".zarr" and (path / ".zarray").is_file():
        shutil.rmtree(path)
    else:
        for one in path.glob("slice_*.tif"):
            one.unlink()


class _Block:
    """One block of float32 (slices, H, W) inside a file."""

    def __init__(self, path: Path, shape: Shape, offset: int) -> None:
        self.path, self.shape, self.offset = path, shape, offset
        self.size = 4 * shape[1] * shape[2]

    def write(self, place: int, values: Slice) -> None:
        try:
            with open(self.path, "r+b") as handle:
                handle.seek(self.offset + place * self.size)
                handle.write(_bytes(values))
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {write_reason(error)}") from error

    def read(self, place: int) -> Slice:
        with open(self.path, "rb") as handle:
            handle.seek(self.offset + place * self.size)
            return np.frombuffer(handle.read(self.size), "<f4").reshape(self.shape[1:])


class _Files:
    """A file for each slice: a chunk of Zarr, or a TIFF."""

    def __init__(self, path: Path, shape: Shape, *, zarr: bool) -> None:
        self.path, self.shape, self.zarr = path, shape, zarr

    def _file(self, place: int) -> Path:
        return self.path / (f"{place}.0.0" if self.zarr else f"slice_{place:05d}.tif")

    def write(self, place: int, values: Slice) -> None:
        if self.zarr:
            atomic_write(self._file(place), _bytes(values))
            return
        import tifffile

        def put(handle: BinaryIO) -> None:
            tifffile.imwrite(
                handle, values, photometric="minisblack", metadata=None, software=False
            )

        atomic_write(self._file(place), put)

    def read(self, place: int) -> Slice:
        file = self._file(place)
        if not file.exists():
            return np.full(self.shape[1:], np.nan, np.float32)
        if self.zarr:
            return np.frombuffer(file.read_bytes(), "<f4").reshape(self.shape[1:])
        import tifffile

        return np.asarray(tifffile.imread(file), np.float32)


def hash_of(values: Slice) -> str:
    """SHA-256 of the values of a slice, as they are on disk."""
    return hashlib.sha256(_bytes(values)).hexdigest()


def _bytes(values: Slice) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()


# ---- how each format is made ---------------------------------------------------------------


def _make_npy(path: Path, shape: Shape) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with open(path, "wb") as handle:
        np.lib.format.write_array_header_2_0(handle, header)  # type: ignore[arg-type]
    _fill(path, shape)


def _make_hdf5(path: Path, shape: Shape) -> None:
    """Contiguous and allocated at once: what is written later touches values alone."""
    import h5py

    with h5py.File(path, "w") as file:
        kept = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        kept.set_layout(h5py.h5d.CONTIGUOUS)
        kept.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        kept.set_fill_value(np.array(np.nan, "<f4"))
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, NAME.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=kept)


def _make_tiff(path: Path, shape: Shape) -> None:
    import tifffile

    empty = tifffile.memmap(path, shape=shape, dtype="<f4", photometric="minisblack")
    del empty
    _fill(path, shape)


def _make_zarr(path: Path, shape: Shape) -> None:
    """The layout of version 2, uncompressed, which every reader of Zarr knows."""
    path.mkdir(exist_ok=True)
    about = {
        "zarr_format": 2,
        "shape": shape,
        "chunks": (1, *shape[1:]),
        "dtype": "<f4",
        "order": "C",
        "fill_value": "NaN",
        "compressor": None,
        "filters": None,
    }
    atomic_write(path / ".zarray", json.dumps(about))


def _make_folder(path: Path, shape: Shape) -> None:
    path.mkdir(exist_ok=True)


def _fill(path: Path, shape: Shape) -> None:
    """NaN everywhere, a slice at a time."""
    offset = path.stat().st_size if path.suffix.lower() == ".npy" else _offset(path, shape)
    one = _bytes(np.full(shape[1:], np.nan, np.float32))
    with open(path, "r+b") as handle:
        handle.seek(offset)
        for _ in range(shape[0]):
            handle.write(one)


def _offset(path: Path, shape: Shape) -> int:
    """Where the block begins in the file.

    Raises:
        InputError: it holds no such block.
    """
    suffix = path.suffix.lower()
    found: tuple[tuple[int, ...], int | None]
    try:
        if suffix == ".npy":
            held = np.load(path, mmap_mode="r", allow_pickle=False)
            found = held.shape, held.offset
        elif suffix in HDF5:
            import h5py

            with h5py.File(path, "r") as file:
                found = file[NAME].shape, file[NAME].id.get_offset()
        else:
            import tifffile

            with tifffile.TiffFile(path) as pages:
                series = pages.series[0]
                found = tuple(series.shape), series.dataoffset
                if len(series.shape) == 2:
                    found = (1, *series.shape), series.dataoffset
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); give --overwrite to start anew") from error
    if found[0] != shape or found[1] is None:
        raise InputError(
            f"{path} has the shape {found[0]}, expected {shape}; give --overwrite to start anew"
        )
    return found[1]
