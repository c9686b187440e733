"""Measured k-space from a file: .npy, .npz, HDF5 (the layout of fastMRI) and ISMRMRD.

What is read stays as it was measured. One slice is read at a time: a fastMRI volume has a gigabyte.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.kspace.arrays import (
    ORDERS,
    SUFFIXES,
    as_complex,
    chosen_name,
    named_arrays,
    shape_of,
)
from pnp_recon.kspace.ismrmrd import is_ismrmrd, read_ismrmrd
from pnp_recon.kspace.maps import maps_beside
from pnp_recon.kspace.scan import KSpace
from pnp_recon.scans.arrays import check_file, readable

# fastMRI's single-coil volumes have no axis for coils (Zbontar et al. 2018).
_FASTMRI, _FASTMRI_ORDERS = "kspace", {3: "syx", 4: "scyx"}
_REFERENCES = ("reconstruction_rss", "reconstruction_esc")
# As many coils are not doubted.
MOST_COILS = 8
# A larger share of measured frequencies that are zero in all coils was never measured.
EMPTY = 0.01
_AXIS_NAMES = {"s": "slices", "c": "coils", "y": "rows", "x": "columns"}


def read_kspace(
    path: str | os.PathLike[str],
    index: int | None = None,
    key: str | None = None,
    order: str | None = None,
    corner: bool = False,
) -> KSpace:
    """Reads one slice of k-space.

    Axes, in the letters s (slices), c (coils), y (rows, the readout), x (columns): "yx", "cyx" or
    "scyx" by the number of dimensions, "syx" and "scyx" for the `kspace` of an HDF5 file, as
    fastMRI has it; `order` says otherwise. Numbers are complex, or real with a last axis of two.
    Beside it the file may hold a mask ("mask": (x), (y, x)), coil maps ("maps", "coil_maps", …) and
    fastMRI's "reconstruction_rss" or "reconstruction_esc".

    Args:
        path: the file.
        index: which slice; default the middle one.
        key: name of the array, where a file holds several.
        order: order of the axes.
        corner: zero frequency is the first entry, as a plain FFT leaves it.

    Raises:
        InputError: the file is missing, damaged or of another kind; an array of other dimensions;
            values that are not finite; nothing but zeros.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{file} ends in {suffix or 'nothing'}; expected k-space in {', '.join(SUFFIXES)}"
        )
    check_file(file)
    if suffix not in (".npy", ".npz") and is_ismrmrd(file):
        return read_ismrmrd(file, index)
    with readable(file), named_arrays(file) as arrays:
        name = chosen_name(arrays, key)
        entry = arrays[name]
        shape = shape_of(entry)
        fastmri = _FASTMRI_ORDERS if suffix not in (".npy", ".npz") and name == _FASTMRI else {}
        axes = order or fastmri.get(len(shape)) or ORDERS.get(len(shape), "")
        if sorted(axes) != sorted({*axes} & {*"scyx"}) or len(axes) != len(shape):
            raise InputError(
                f"the array {name or file.name} has the shape {shape}, in the order {axes!r}; "
                "expected two to four axes of k-space, give --order in the letters s (slices), c "
                "(coils), y (rows) and x (columns)"
            )
        if not {"y", "x"} <= {*axes}:
            raise InputError(f"the order {axes!r} has no y and x, the axes of k-space")
        if order is None:
            _refuse_coils_last(shape, axes)
        slices = shape[axes.index("s")] if "s" in axes else 1
        chosen = _index(index, slices, file)
        data = as_complex(_slice(entry, axes, chosen, slices), shape)
        data = _ordered(data, axes.replace("s", ""))
        maps, doubts = maps_beside(arrays, data.shape, chosen, slices)
        reference = _reference(arrays, chosen, slices)
        stated = arrays["mask"][()] if "mask" in arrays and name != "mask" else None
    values = torch.from_numpy(data)
    if corner:
        values = torch.fft.fftshift(values, (-2, -1))
    mask = _mask(stated, values, file)
    if not bool(values[:, mask].any()):
        raise InputError(
            f"the mask in {file} calls nothing measured but zeros; if it marks what is missing, "
            "turn it around: 1 means measured"
        )
    named = ", ".join(f"{n} {_AXIS_NAMES[a]}" for a, n in zip(axes, shape, strict=True))
    return KSpace(
        data=torch.where(mask, values, 0),
        coils=("c" in axes and len(values) > 1) or maps is not None,
        mask=mask,
        maps=maps,
        reference=reference,
        source=file,
        sha256=sha256_of(file),
        index=chosen,
        slices=slices,
        words=f"{name or file.name}: {named}",
        doubts=(*doubts, *_zero_filled(values, mask, stated is not None)),
    )


def _refuse_coils_last(shape: tuple[int, ...], axes: str) -> None:
    """Refuse more coils than rows or columns, where nobody gave the order of the axes."""
    sizes = dict(zip(axes, shape, strict=True))
    coils, least = sizes.get("c", 1), min(sizes["y"], sizes["x"])
    if coils > max(least, MOST_COILS):
        raise InputError(
            f"the array {shape} has {coils} coils of {sizes['y']}×{sizes['x']}; give --order, such "
            f"as {axes.replace('c', '')}c if the coils come last, or {axes}"
        )


def _index(index: int | None, slices: int, file: Path) -> int:
    chosen = slices // 2 if index is None else index
    if not 0 <= chosen < slices:
        raise InputError(
            f"--slice is {index}, but {file} holds {slices}; expected 0 to {slices - 1}"
        )
    return chosen


# ---- numbers ------------------------------------------------------------------------------------


def _slice(entry: Any, axes: str, chosen: int, slices: int) -> NDArray[Any]:
    if "s" not in axes:
        return np.asarray(entry[()])
    return np.asarray(entry[(slice(None),) * axes.index("s") + (chosen,)])


def _ordered(values: NDArray[np.complex64], axes: str) -> NDArray[np.complex64]:
    """(coils, rows, columns)."""
    if "c" not in axes:
        values, axes = values[None], f"c{axes}"
    return np.ascontiguousarray(values.transpose([axes.index(a) for a in "cyx"]))


def _mask(stated: Any, data: Tensor, file: Path) -> Tensor:
    """Where k-space was measured, (H, W)."""
    height, width = data.shape[-2:]
    if stated is None:
        return (data != 0).any(0)
    mask = _binary(np.asarray(stated), file)
    if mask.ndim == 3 and len(mask) == len(data) and (mask == mask[0]).all():
        mask = mask[0]  # the same for every coil
    if mask.shape == (width,):
        mask = np.broadcast_to(mask, (height, width))
    if mask.shape != (height, width):
        raise InputError(
            f"the mask in {file} has the shape {mask.shape}; expected ({width},) or "
            f"({height}, {width}) as k-space"
        )
    if not mask.any():
        raise InputError(f"the mask in {file} is empty: nothing was measured")
    return torch.from_numpy(np.ascontiguousarray(mask))


def _binary(stated: NDArray[Any], file: Path) -> NDArray[np.bool_]:
    """True where not zero, without axes of one that the mask was only multiplied with."""
    shape = stated.shape
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    found = stated.reshape(shape)
    if found.dtype.kind not in "biuf":
        raise InputError(f"the mask in {file} holds {found.dtype}; expected 0 and 1")
    largest = found.max(initial=0)  # NaN is passed on
    others = int(((found != 0) & (found != largest)).sum())
    if others or not largest >= 0:
        raise InputError(
            f"the mask in {file} is not binary: {max(others, 1)} of {found.size} values are "
            f"neither 0 nor {largest:g}; compare it with a threshold, 1 meaning measured"
        )
    return np.asarray(found != 0)


def _zero_filled(data: Tensor, mask: Tensor, stated: bool) -> tuple[str, ...]:
    """A sentence where the mask calls measured what is exactly zero, as no noise ever is."""
    empty = float(((data == 0).all(0) & mask).double().sum() / mask.double().sum())
    if not stated or empty <= EMPTY:
        return ()
    return (
        f"{empty:.1%} of the frequencies that the file's mask calls measured are exactly zero: "
        "they are taken for measured zeros; correct the mask if they were only filled in",
    )


def _reference(arrays: dict[str, Any], chosen: int, slices: int) -> Tensor | None:
    name = next((name for name in _REFERENCES if name in arrays), None)
    if name is None or arrays[name].ndim != 3 or len(arrays[name]) != slices:
        return None
    values = np.abs(np.asarray(arrays[name][chosen])).astype(np.float32)
    return torch.from_numpy(values) if math.isfinite(float(values.sum())) else None
