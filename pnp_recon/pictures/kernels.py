"""Blur kernels from files: .png, .tif/.tiff, .npy, .mat (MATLAB 5 and 7.3).

What makes an array a kernel is decided by `operators.kernels.validate`. Pixel values are taken as
linear weights: no gamma curve is undone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators.kernels import validate
from pnp_recon.errors import InputError
from pnp_recon.pictures.arrays import load_npy, read_array, read_grey

__all__ = ["load_kernel"]


def load_kernel(
    path: str | Path, key: str | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Read, check and normalise the blur kernel in a file: (kh, kw), both odd, sum one.

    - `.png`, `.tif`, `.tiff`: grey, 8 or 16 bit or float. Colour is accepted where the three
      channels are equal, alpha where it is opaque; anything else is refused, not averaged.
    - `.npy`: numbers only; pickled objects are never loaded.
    - `.mat`: both formats; the transposed storage of version 7.3 is undone. `key` names the
      variable; without it the only two-dimensional numeric one is taken.

    A set of kernels (a MATLAB cell array, a stack of three dimensions) needs an index counted from
    zero: `key="kernels[3]"`, or `key="[3]"` for a stack in .npy. The index runs over the first
    axis in .npy and over the last one in .mat, as each language stores stacks.

    Raises `InputError` for a file that is missing, empty, damaged or of another kind, for an
    ambiguous choice (the message lists the names), and for all that `kernels.validate` refuses.
    """
    readers = {suffix: partial(reader, key=key) for suffix, reader in _READERS.items()}
    return read_array(
        path,
        "kernel",
        readers,
        lambda array: validate(torch.from_numpy(array.astype(np.float64))).to(dtype),
    )


def _read_picture(path: Path, key: str | None) -> np.ndarray:
    if key is not None:
        raise InputError(f"a picture holds one kernel; leave out the key {key!r}")
    return read_grey(path)


def _read_npy(path: Path, key: str | None) -> np.ndarray:
    array = load_npy(path)
    name, index = _split(key)
    if name:
        raise InputError(f"a .npy file has no names, found key {key!r}; at most an index, '[3]'")
    if array.ndim == 3:
        return array[_checked(index, array.shape[0], "[{}]")]
    if index is not None:
        raise InputError(f"holds no stack (shape {array.shape}); leave out the key {key!r}")
    return array


def _read_mat(path: Path, key: str | None) -> np.ndarray:
    import h5py

    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return _pick({name: _from_hdf5(file[name]) for name in file if name[0] != "#"}, key)
    import warnings

    from scipy.io import loadmat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names and unreadable functions: not kernels
        variables = loadmat(path)
    return _pick({name: value for name, value in variables.items() if name[:2] != "__"}, key)


def _from_hdf5(item: Any) -> Any:
    """A MATLAB 7.3 variable as scipy would give it: transposed back, cells as object arrays."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        return None  # a struct
    if item.attrs.get("MATLAB_empty", 0):
        return np.zeros((0, 0))
    if item.attrs.get("MATLAB_class", b"double") in (b"char", b"function_handle"):
        return None
    values = item[()]
    if h5py.check_ref_dtype(item.dtype) is None:
        return np.asarray(values).T
    cells = np.empty(values.shape, dtype=object)
    for position in np.ndindex(values.shape):
        cells[position] = _from_hdf5(item.file[values[position]])
    return cells.T


def _pick(variables: Mapping[str, Any], key: str | None) -> np.ndarray:
    """The one array that `key` names, or the only candidate."""
    arrays = {name: value for name, value in variables.items() if _is_candidate(value)}
    listing = ", ".join(f"{name} {_describe(value)}" for name, value in arrays.items())
    if not arrays:
        raise InputError("holds no numeric array; expected a two-dimensional one")
    name, index = _split(key)
    if not name:
        flat = [n for n, value in arrays.items() if value.dtype != object and value.ndim == 2]
        # Scalars beside the kernel (a noise level, say) do not make the choice ambiguous.
        plain = [n for n in flat if arrays[n].size > 1] or flat
        choices = plain if index is None else list(arrays)
        if len(choices) != 1:
            if len(arrays) == 1:
                only = next(iter(arrays))
                raise InputError(f"holds a set of kernels, {listing}; pick one: key='{only}[0]'")
            raise InputError(f"holds several arrays: {listing}; name one of them as the key")
        name = choices[0]
    if name not in arrays:
        raise InputError(f"holds no numeric array {name!r}; it holds {listing}")
    value = arrays[name]
    if value.dtype == object:
        value = value.ravel(order="F")
        value = value[_checked(index, value.size, name + "[{}]")]
        if not _is_candidate(value) or value.dtype == object:
            raise InputError(f"the cell {key} holds no numeric array; choose another one")
        return np.asarray(value)
    if value.ndim == 3:
        return np.asarray(value[..., _checked(index, value.shape[-1], name + "[{}]")])
    if index is not None:
        raise InputError(f"{name} is a single array {_describe(value)}; leave out [{index}]")
    return np.asarray(value)


def _is_candidate(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufO"


def _describe(value: np.ndarray) -> str:
    return f"({'cell ' if value.dtype == object else ''}{'x'.join(map(str, value.shape))})"


def _split(key: str | None) -> tuple[str, int | None]:
    """'kernels[3]' into a name and an index, either of which may be missing."""
    if key is None:
        return "", None
    match = re.fullmatch(r"(\w*)(?:\[(\d+)\])?", key)
    if match is None:
        raise InputError(f"key {key!r} found; expected a name, 'name[3]' or '[3]'")
    return match[1], None if match[2] is None else int(match[2])


def _checked(index: int | None, count: int, pattern: str) -> int:
    if index is None:
        raise InputError(
            f"holds a set of {count} kernels; pick one: key='{pattern.format(0)}' (counted from 0)"
        )
    if index >= count:
        raise InputError(f"holds {count} kernels; the index {index} is not below {count}")
    return index


_READERS: dict[str, Callable[..., np.ndarray]] = {
    ".png": _read_picture,
    ".tif": _read_picture,
    ".tiff": _read_picture,
    ".npy": _read_npy,
    ".mat": _read_mat,
}
