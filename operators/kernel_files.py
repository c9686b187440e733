"""Blur kernels from files: .png, .tif/.tiff, .npy, .mat (MATLAB 5 and 7.3).

Everything that a reader of files can stumble over becomes one `OperatorError` of one line. This
module knows file formats; what makes an array a kernel is decided by `kernels.validate`.
Pixel values are taken as linear weights: no gamma curve is undone.
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

from operators.errors import OperatorError
from operators.kernels import validate

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

    Raises `OperatorError` for a file that is missing, empty, damaged or of another kind, for an
    ambiguous choice (the message lists the names), and for all that `kernels.validate` refuses.
    """
    readers = {suffix: partial(reader, key=key) for suffix, reader in _READERS.items()}
    return read_file(
        path,
        "kernel",
        readers,
        lambda array: validate(torch.from_numpy(array.astype(np.float64))).to(dtype),
    )


def read_file(
    path: str | Path,
    what: str,
    readers: Mapping[str, Callable[[Path], np.ndarray]],
    accept: Callable[[np.ndarray], Tensor],
) -> Tensor:
    """`accept` of the array in a file, read by the reader of its ending.

    Whatever goes wrong becomes an `OperatorError` of one line that names the file; `what` says what
    it should hold.
    """
    file = Path(path)
    reader = readers.get(file.suffix.lower())
    if reader is None:
        found = file.suffix or "no ending"
        raise OperatorError(f"{file}: {what} files end in {', '.join(readers)}; found {found}")
    try:
        if not file.is_file():
            found = "is a folder" if file.is_dir() else "does not exist"
            raise OperatorError(f"{file}: the {what} file {found}; check the path")
        if file.stat().st_size == 0:
            raise OperatorError(f"{file}: the {what} file is empty; write it again")
        array = reader(file)
        if array.dtype == object or array.dtype.kind not in "biuf":
            raise OperatorError(f"holds {array.dtype} values; expected real numbers")
        return accept(array)
    except OperatorError as error:
        text = str(error)
        raise OperatorError(text if text.startswith(str(file)) else f"{file}: {text}") from None
    except Exception as error:  # the parsers raise anything, from OSError to zlib.error
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise OperatorError(
            f"{file}: cannot be read as {file.suffix.lower()} ({reason});"
            " the file is damaged, unreadable or of another kind"
        ) from error


def read_png(path: Path, key: str | None = None) -> np.ndarray:
    """The grey values of a .png (h, w)."""
    from imagecodecs import png_decode

    return _grey(np.asarray(png_decode(path.read_bytes())), key)


def read_tiff(path: Path, key: str | None = None) -> np.ndarray:
    """The grey values of a .tif with one page (h, w)."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        if len(tiff.pages) != 1:
            raise OperatorError(f"holds {len(tiff.pages)} pictures; expected one: save one page")
        page = tiff.pages.first
        array = page.asarray()
        if page.axes.startswith("S") and array.ndim == 3:  # channels stored as planes
            array = np.moveaxis(array, 0, -1)
    return _grey(array, key)


def _grey(array: np.ndarray, key: str | None) -> np.ndarray:
    """One channel of a picture (h, w) or (h, w, 1..4), refused where it has more to tell."""
    if key is not None:
        raise OperatorError(f"a picture holds one kernel; leave out the key {key!r}")
    if array.ndim == 2:
        return array
    if array.ndim != 3 or array.shape[-1] > 4:
        raise OperatorError(f"holds an array of shape {array.shape}; expected one grey picture")
    channels = array.shape[-1]
    if channels in (2, 4):
        opaque = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
        if not (array[..., -1] == opaque).all():
            raise OperatorError("is partly transparent; expected a grey picture without alpha")
        array = array[..., :-1]
    if not (array == array[..., :1]).all():
        raise OperatorError("is a colour picture; expected grey: convert it to one channel")
    return array[..., 0]


def _read_npy(path: Path, key: str | None) -> np.ndarray:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise OperatorError("is an archive of several arrays; expected a single .npy array")
    name, index = _split(key)
    if name:
        raise OperatorError(f"a .npy file has no names, found key {key!r}; at most an index, '[3]'")
    if array.ndim == 3:
        return array[_checked(index, array.shape[0], "[{}]")]
    if index is not None:
        raise OperatorError(f"holds no stack (shape {array.shape}); leave out the key {key!r}")
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
        raise OperatorError("holds no numeric array; expected a two-dimensional one")
    name, index = _split(key)
    if not name:
        flat = [n for n, value in arrays.items() if value.dtype != object and value.ndim == 2]
        # Scalars beside the kernel (a noise level, say) do not make the choice ambiguous.
        plain = [n for n in flat if arrays[n].size > 1] or flat
        choices = plain if index is None else list(arrays)
        if len(choices) != 1:
            if len(arrays) == 1:
                only = next(iter(arrays))
                raise OperatorError(f"holds a set of kernels, {listing}; pick one: key='{only}[0]'")
            raise OperatorError(f"holds several arrays: {listing}; name one of them as the key")
        name = choices[0]
    if name not in arrays:
        raise OperatorError(f"holds no numeric array {name!r}; it holds {listing}")
    value = arrays[name]
    if value.dtype == object:
        value = value.ravel(order="F")
        value = value[_checked(index, value.size, name + "[{}]")]
        if not _is_candidate(value) or value.dtype == object:
            raise OperatorError(f"the cell {key} holds no numeric array; choose another one")
        return np.asarray(value)
    if value.ndim == 3:
        return np.asarray(value[..., _checked(index, value.shape[-1], name + "[{}]")])
    if index is not None:
        raise OperatorError(f"{name} is a single array {_describe(value)}; leave out [{index}]")
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
        raise OperatorError(f"key {key!r} found; expected a name, 'name[3]' or '[3]'")
    return match[1], None if match[2] is None else int(match[2])


def _checked(index: int | None, count: int, pattern: str) -> int:
    if index is None:
        raise OperatorError(
            f"holds a set of {count} kernels; pick one: key='{pattern.format(0)}' (counted from 0)"
        )
    if index >= count:
        raise OperatorError(f"holds {count} kernels; the index {index} is not below {count}")
    return index


_READERS: dict[str, Callable[..., np.ndarray]] = {
    ".png": read_png,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".npy": _read_npy,
    ".mat": _read_mat,
}
