"""What the arrays of a file are: which is the scan, in which order, which are fields and angles.

Knows the names that formats and people give: Data Exchange (De Carlo et al. 2014, "Scientific data
exchange"), NXtomo (the NeXus application definition), and arrays beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError
from pnp_recon.scans.angles import is_angles
from pnp_recon.scans.arrays import choose, describe
from pnp_recon.scans.entry import Entries, Entry, last_name, parent_of

EXCHANGE = "exchange/data"

# What a scan is called, among phantoms, reconstructions and masks beside it.
_SCANS = ("sinogram", "sinograms", "sino", "projections")
_FLATS = ("flat", "flats", "white", "whites", "data_white", "flat_field", "flat_fields")
_DARKS = ("dark", "darks", "data_dark", "dark_field", "dark_fields")
_FRAME_KEYS = ("image_key", "image_keys")
# Values of NXtomo's image_key; 3 is an invalid frame.
_PROJECTION, _FLAT, _DARK = 0, 1, 2

ORDERS = ("sad", "asd", "sda", "das", "ads", "dsa", "ad", "da")
# Data Exchange calls the detector's rows y and its columns x.
_EXCHANGE_AXES = {"theta": "a", "y": "s", "x": "d"}


@dataclass(frozen=True, eq=False)
class Layout:
    """What is where in a file.

    Attributes:
        name: what the scan's array is called.
        order: its axes, in the letters s, a, d.
        order_stated: by the caller or by the format.
        frames: NXtomo's key of each frame along the axis of the views, or None.
        flat, dark: names of the fields, or None.
    """

    name: str
    order: str
    order_stated: bool
    frames: NDArray[np.int64] | None
    flat: str | None
    dark: str | None

    def of_kind(self, kind: int) -> NDArray[np.intp]:
        """Numbers of the frames of this kind."""
        assert self.frames is not None
        return np.flatnonzero(self.frames == kind)

    @property
    def projections(self) -> NDArray[np.intp]:
        return self.of_kind(_PROJECTION)

    @property
    def flats(self) -> NDArray[np.intp]:
        return self.of_kind(_FLAT)

    @property
    def darks(self) -> NDArray[np.intp]:
        return self.of_kind(_DARK)


def layout_of(entries: Entries, key: str | None, order: str | None, folder: bool) -> Layout:
    """The layout of a file; `folder`: of a folder of TIFFs, one for each projection.

    Raises:
        InputError: the array is not there or not the only one, or its order is not known.
    """
    name = _chosen(entries, key)
    if entries[name].missing:
        raise InputError(entries[name].missing)
    frames = _frames(entries, name)
    stated = order is not None or name == EXCHANGE or frames is not None or folder
    if order is None and len(entries[name].shape) == 3 and (frames is not None or folder):
        order = "asd"
    order = _order(name, entries[name], order)
    if frames is not None and entries[name].shape[order.index("a")] != len(frames):
        raise InputError(
            f"{describe(name, entries[name])} has {len(frames)} image keys; expected one for each "
            "view, give the order of the axes"
        )
    flat, dark = (_beside(entries, name, names) for names in (_FLATS, _DARKS))
    return Layout(name, order, stated, frames, flat, dark)


def _chosen(entries: Entries, key: str | None) -> str:
    if key is None and EXCHANGE in entries:
        return EXCHANGE
    if key is not None:
        return choose(entries, key, (2, 3))
    keyed = {
        name: entry
        for name, entry in entries.items()
        if len(entry.shape) in (2, 3) and entry.is_numeric and _key_of(entries, name)
    }
    if keyed:
        return choose(keyed, None, (2, 3))
    # Angles and fields are not what is looked for, unless somebody asks for them by name.
    plain = {name: entry for name, entry in entries.items() if not _is_beside(name)}
    # MATLAB keeps single numbers and lists as matrices.
    real = {name: entry for name, entry in plain.items() if not entry.is_list} or plain
    named = [name for name in real if last_name(name).lower() in _SCANS and real[name].is_numeric]
    if len(named) == 1:
        return choose({named[0]: real[named[0]]}, None, (2, 3))
    return choose(real, None, (2, 3))


def _is_beside(name: str) -> bool:
    last = last_name(name).lower()
    return last in (*_FLATS, *_DARKS) or is_angles(last)


def _key_of(entries: Entries, name: str) -> str | None:
    """The name of the image keys beside an array called data (NXtomo), if there are any."""
    if last_name(name) in _FRAME_KEYS:
        return None
    found = [parent_of(name) + key for key in _FRAME_KEYS if parent_of(name) + key in entries]
    fits = [key for key in found if entries[key].shape and entries[key].is_list]
    return next((key for key in fits if entries[key].shape[0] in entries[name].shape), None)


def _frames(entries: Entries, name: str) -> NDArray[np.int64] | None:
    key = _key_of(entries, name)
    if key is None:
        return None
    values = np.asarray(entries[key].load()).ravel()
    frames = values.astype(np.int64)
    if not (frames == _PROJECTION).any():
        raise InputError(f"{key} names no projection (0); it holds {sorted(set(values.tolist()))}")
    return frames


def _order(name: str, entry: Entry, order: str | None) -> str:
    dimensions = len(entry.shape)
    if order is None and name == EXCHANGE:
        axes = entry.attributes.get("axes", "theta:y:x").split(":")
        order = "".join(_EXCHANGE_AXES.get(axis.strip(), "?") for axis in axes)
        if order not in ORDERS:
            raise InputError(
                f"{name} says that its axes are {':'.join(axes)}; expected theta, y and x, give "
                "the order yourself"
            )
    order = order or {2: "ad", 3: "sad"}.get(dimensions, "")
    if order not in ORDERS or len(order) != dimensions:
        raise InputError(
            f"{describe(name, entry)} in the order {order!r}; expected two dimensions "
            "(order 'ad' or 'da') or three ('sad', 'asd', …; s slices, a angles, d detectors)"
        )
    return order


def _beside(entries: Entries, name: str, names: tuple[str, ...]) -> str | None:
    """Fields called so: in the group of the array before any other place."""
    found = [one for one in entries if last_name(one).lower() in names and one != name]
    near = [one for one in found if parent_of(one) == parent_of(name)]
    return next(iter(near or found), None)
