"""Named arrays in .npz, .h5 and .mat files, structs and sets among them, and one of them picked.

Internal to `pnp_recon.pictures`. Pickled objects are never loaded. A set (a stack of three
dimensions, a MATLAB cell array) needs an index, which runs over the first axis, in MATLAB's files
over the last one, as each language stores stacks.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pnp_recon.errors import InputError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def load_npy(path: Path) -> dict[str, Any]:
    """The one array of a .npy file, called "", or those of a .npz file."""
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return {"": found}
    with found:
        return {name: found[name] for name in found.files}


def load_matlab(path: Path) -> dict[str, Any]:
    """The variables of a .mat file up to version 7; stacks with their index first."""
    from scipy.io import loadmat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names and unreadable functions: no arrays
        variables = loadmat(path)
    plain = {name: value for name, value in variables.items() if name[:2] != "__"}
    return dict(_flat(plain, ""))


def _flat(variables: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    """Fields of structs by dotted names."""
    for name, value in variables.items():
        if isinstance(value, np.ndarray) and value.dtype.names:
            if value.size == 1:
                inner = {field: value.flat[0][field] for field in value.dtype.names}
                yield from _flat(inner, f"{before}{name}.")
        else:
            yield before + name, _index_first(value)


def _index_first(value: Any) -> Any:
    """A stack of MATLAB with the axes over which its pages run, behind the first two, in front."""
    if not isinstance(value, np.ndarray) or value.dtype == object:
        return value
    if value.ndim == 4:  # a field: MATLAB's pages are its first two axes
        return np.moveaxis(value, (-2, -1), (0, 1))
    return np.moveaxis(value, -1, 0) if value.ndim == 3 else value


def load_hdf5(path: Path) -> dict[str, Any]:
    """The data sets of an HDF5 file; those of MATLAB (version 7.3) as MATLAB shows them."""
    import h5py

    found: dict[str, Any] = {}

    def walk(group: Any, before: str) -> None:
        for name, item in group.items():
            if name[0] == "#":
                continue
            if isinstance(item, h5py.Dataset):
                found[before + name] = _from_hdf5(item, path.suffix.lower() == ".mat")
            else:
                walk(item, f"{before}{name}{'.' if path.suffix.lower() == '.mat' else '/'}")

    with h5py.File(path, "r") as file:
        walk(file, "")
    return found


def _from_hdf5(item: Any, matlab: bool) -> Any:
    """One data set; MATLAB's transposed back, its cells as object arrays."""
    import h5py

    matlab = matlab or "MATLAB_class" in item.attrs
    if item.attrs.get("MATLAB_empty", 0):
        return np.zeros((0, 0))
    if item.attrs.get("MATLAB_class", b"double") in (b"char", b"function_handle"):
        return None
    values = item[()]
    if h5py.check_ref_dtype(item.dtype) is None:
        return _index_first(np.asarray(values).T) if matlab else np.asarray(values)
    cells = np.empty(values.shape, dtype=object)
    for position in np.ndindex(values.shape):
        target = item.file[values[position]]
        cells[position] = _from_hdf5(target, matlab) if isinstance(target, h5py.Dataset) else None
    return cells.T


def pick(variables: Mapping[str, Any], key: str | None, what: str) -> np.ndarray:
    """The one array that `key` names, or the only candidate; `what` it should be ("kernel").

    The key is "name", "name[3]" or "[3]", counted from 0; "name[:]" is a whole stack.

    Raises:
        InputError: there is none, or a choice is left open: the message lists the names.
    """
    arrays = {name: value for name, value in variables.items() if _is_candidate(value)}
    listing = ", ".join(f"{name} {_describe(value)}".strip() for name, value in arrays.items())
    if not arrays:
        others = [f"{name} {getattr(v, 'dtype', 'text')}".strip() for name, v in variables.items()]
        found = f" (it holds {', '.join(others)})" if others else ""
        raise InputError(f"holds no array of real numbers{found}; expected a two-dimensional one")
    name, index = _split(key)
    if not name:
        name = _only(arrays, index, listing, what)
    if name not in arrays:
        raise InputError(f"holds no numeric array {name!r}; it holds {listing}")
    value = arrays[name]
    if value.dtype == object:
        value = value.ravel(order="F")
        value = value[_checked(index, value.size, name, what)]
        if not _is_candidate(value) or value.dtype == object:
            raise InputError(f"the cell {key} holds no numeric array; choose another one")
        return np.asarray(value)
    if value.ndim == 3:
        chosen = _checked(index, len(value), name, what)
        return value if chosen < 0 else np.asarray(value[chosen])
    if index is not None:
        raise InputError(
            f"{name or 'it'} is a single array {_describe(value)}; leave out [{index}]"
        )
    return np.asarray(value)


def _only(arrays: Mapping[str, Any], index: int | None, listing: str, what: str) -> str:
    """The name of the array that is meant where none is given."""
    flat = [n for n, value in arrays.items() if value.dtype != object and value.ndim in (2, 4)]
    # Scalars beside the kernel (a noise level, say) do not make the choice ambiguous.
    choices = [n for n in flat if arrays[n].size > 1] or flat or list(arrays)
    if index is not None:
        choices = list(arrays)
    if len(choices) == 1:
        return choices[0]
    first = choices[0] + ("" if arrays[choices[0]].ndim in (2, 4) else "[0]")
    raise InputError(
        f"holds several arrays: {listing}; name one of them as the {what}: FILE:{first}"
    )


def _is_candidate(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufO"


def _describe(value: np.ndarray) -> str:
    return f"({'cell ' if value.dtype == object else ''}{'x'.join(map(str, value.shape))})"


def _split(key: str | None) -> tuple[str, int | None]:
    """'kernels[3]' into a name and an index, either of which may be missing; [:] is −1."""
    match = re.fullmatch(r"([^\[\]{}]*)(?:\[(\d+|:)\])?", key or "")
    if match is None:
        raise InputError(f"key {key!r} found; expected a name, 'name[3]' or '[3]'")
    index = match[2]
    return match[1], None if index is None else -1 if index == ":" else int(index)


def _checked(index: int | None, count: int, name: str, what: str) -> int:
    if index is None:
        colours = f", or all as those of red, green and blue: FILE:{name}[:]" if count == 3 else ""
        raise InputError(
            f"holds a set of {count} {what}s; pick one: FILE:{name}[0] (counted from 0){colours}"
        )
    if index >= count:
        raise InputError(f"holds {count} {what}s; the index {index} is not below {count}")
    return index
