"""Complex arrays by name in .npy, .npz and HDF5 files, and which of them is k-space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".mrd")
# Axes: slices, coils, rows (readout), columns (phase encoding).
ORDERS = {2: "yx", 3: "cyx", 4: "scyx"}
_DATA = ("kspace", "ksp", "data", "y")
# Squares of these and sums of them are numbers of float32.
_RANGE = (1e-15, 1e15)


@contextmanager
def named_arrays(file: Path) -> Iterator[dict[str, Any]]:
    """Arrays by name, read where they are indexed; pickled objects never are."""
    if file.suffix.lower() == ".npy":
        yield {"": np.load(file, mmap_mode="r", allow_pickle=False)}
    elif file.suffix.lower() == ".npz":
        with np.load(file, allow_pickle=False) as archive:
            yield {name: archive[name] for name in archive.files}
    else:
        import h5py

        with h5py.File(file, "r") as handle:
            found: dict[str, Any] = {}

            def visit(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and item.shape:
                    found[name] = item

            handle.visititems(visit)
            yield found


def chosen_name(arrays: dict[str, Any], key: str | None) -> str:
    """The name that `key` means, or that of the array that is k-space by its name or axes.

    Raises:
        InputError: there is none, or which one is open.
    """
    if key is not None:
        if key not in arrays:
            raise InputError(f"there is no array {key!r}; found {', '.join(sorted(arrays))}")
        return key
    named = [name for name in ("", *_DATA) if name in arrays]
    fitting = named or [name for name, one in arrays.items() if len(shape_of(one)) in ORDERS]
    if len(fitting) != 1 and not named:
        raise InputError(
            f"which array is k-space is open; give --key, one of {', '.join(sorted(arrays))}"
        )
    return fitting[0]


def shape_of(entry: Any) -> tuple[int, ...]:
    """Without a last axis of real and imaginary part."""
    shape = tuple(int(n) for n in entry.shape)
    real = np.dtype(entry.dtype).kind in "fiu"
    return shape[:-1] if real and len(shape) > 2 and shape[-1] == 2 else shape


def as_complex(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """complex64.

    Raises:
        InputError: real numbers, values that are not finite, nothing but zeros, or numbers whose
            squares are none of float32.
    """
    kind = values.dtype
    if kind.names is not None and len(kind.names) == 2:
        real, imaginary = (values[name] for name in kind.names)
        values = real + 1j * imaginary
    elif kind.kind in "fiu":
        if values.ndim < 3 or values.shape[-1] != 2:
            raise InputError(
                f"the array {shape} is real; expected complex numbers, or a last axis of real and "
                "imaginary part (a picture is simulated from with --simulate)"
            )
        values = values[..., 0] + 1j * values[..., 1]
    elif kind.kind != "c":
        raise InputError(f"the array holds {kind}; expected complex numbers")
    found = np.array(values, dtype=np.complex64, order="C")  # a copy: a mapped file is read only
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise InputError(f"{bad} of {found.size} values are not finite; replace them by 0")
    if not found.any():
        raise InputError("the array holds nothing but zeros")
    largest = float(np.abs(found).max())
    if not _RANGE[0] <= largest <= _RANGE[1]:
        raise InputError(
            f"the largest value is {largest:.3g}, too far from 1 to be squared in float32; scale it"
        )
    return found
