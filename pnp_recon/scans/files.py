"""A measured scan from a file: projections, angles, flat and dark fields, and what they are.

What is read stays as it was measured; `correction` and `counts` turn it into line integrals.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.scans.arrays import Entries, choose, describe, load, open_arrays
from pnp_recon.scans.counts import check_counts
from pnp_recon.scans.plausibility import degrees_that_are_radians, radians_that_are_degrees

Kind = Literal["counts", "intensities", "line integrals"]
AngleUnit = Literal["deg", "rad"]

# Where the Data Exchange format keeps a scan (De Carlo et al. 2014, "Scientific data exchange").
_EXCHANGE = "exchange/data"

_FLATS = ("flat", "flats", "white", "data_white", "exchange/data_white")
_DARKS = ("dark", "darks", "data_dark", "exchange/data_dark")
# Name -> whether it is in degrees where the file does not say.
_ANGLES = {"angles": False, "angles_deg": True, "theta": True, "exchange/theta": True}
_UNITS: dict[AngleUnit, tuple[str, ...]] = {"deg": ("deg", "°"), "rad": ("rad",)}
_BESIDE = {*_FLATS, *_DARKS, *_ANGLES}

_ORDERS = ("sad", "asd", "sda", "das", "ads", "dsa", "ad", "da")
_AXIS_NAMES = {"s": "slices", "a": "angles", "d": "detectors"}
# Data Exchange calls the detector's rows y and its columns x.
_EXCHANGE_AXES = {"theta": "a", "y": "s", "x": "d"}


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan of one or several slices.

    Attributes:
        data: (slices, angles, detectors) float32.
        angles: (angles,) float64 in radians, or None where the file has none.
        flat: (fields, slices, detectors) float32, the beam without the object, or None.
        dark: (fields, slices, detectors) float32, the detector without the beam, or None.
        kind: what `data` holds: "counts" (as the detector gives them, proportional to photons),
            "intensities" (the part that is let through, 1 in air) or "line integrals" (−log of it).
        source: the file.
        key: name of the array in the file, "" where arrays have none.
        sha256: the hash of the file's bytes, hexadecimal.
        kind_assumed: nobody said the kind, neither the file nor the caller.
        order_assumed: nobody said the order of the axes.
        doubts: what may be wrong with what was read, a sentence each.
    """

    data: Float[Tensor, "slices angles detectors"]
    angles: Float[Tensor, " angles"] | None
    flat: Float[Tensor, "fields slices detectors"] | None
    dark: Float[Tensor, "fields slices detectors"] | None
    kind: Kind
    source: Path
    key: str
    sha256: str
    kind_assumed: bool = False
    order_assumed: bool = False
    doubts: tuple[str, ...] = ()


def read_scan(
    path: str | os.PathLike[str],
    key: str | None = None,
    order: str | None = None,
    kind: Kind | None = None,
    angle_unit: AngleUnit | None = None,
) -> Scan:
    """Read a sinogram or a scan from .npy, .npz, .h5 (.hdf5, .nxs), .mat or .tif.

    Axes, in the letters s (slices), a (angles), d (detectors):
    - two dimensions: "ad", angles × detectors, unless `order` is "da";
    - three dimensions: "sad", a stack of sinograms, also for the pages of a TIFF, unless `order`
      says otherwise, for example "asd" for a stack of projections;
    - Data Exchange (an HDF5 file with exchange/data): "asd", or what its attribute `axes` says.
    The count of the angles in the file is held against the axis that they belong to.

    Beside the array, the same file may hold angles (`angles` in radians, `angles_deg` or `theta`
    in degrees; an HDF5 attribute `units` overrules both), flat fields (`flat`, `white`,
    `data_white`) and dark fields (`dark`, `data_dark`), each field in the axes of one projection:
    (fields, slices, detectors), or fewer dimensions where there is one field or one slice.

    Args:
        path: the file; its suffix tells the format.
        key: name of the array where the file holds several ("exchange/data", "sinogram").
        order: order of the axes.
        kind: what the values are. Default: counts where the file has flat fields, line integrals
            otherwise. A Data Exchange file without flat fields needs it.
        angle_unit: "deg" or "rad", whatever the file says. Default: what it says, or what the name
            of its angles means.

    Raises:
        InputError: the file is missing, damaged or of another kind; the choice of the array is
            ambiguous or `key` unknown (the message lists them); values that are not finite (says
            how many); negative counts; angles or fields that do not fit; not enough memory.
    """
    file = Path(path)
    said = order
    if kind is not None and kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    with open_arrays(file) as entries:
        name = _chosen(entries, key)
        order = _order(entries, name, order)
        data = _ordered(load(entries[name], name or "the array"), order)
        slices, views, detectors = data.shape
        angles, doubts = _angles(entries, views, _sizes(data), angle_unit)
        flat = _fields(entries, _FLATS, slices, detectors)
        dark = _fields(entries, _DARKS, slices, detectors)
    assumed = kind is None and flat is None
    if kind is None:
        if flat is None and name == _EXCHANGE:
            raise InputError(
                f"{file} has no flat fields (exchange/data_white), so what its values are is "
                f"open; say the kind, one of {', '.join(get_args(Kind))}"
            )
        kind = "line integrals" if flat is None else "counts"
    values = torch.from_numpy(data)
    if kind == "counts":
        check_counts(values, f"{file}: the counts")
    return Scan(
        data=values,
        angles=None if angles is None else torch.from_numpy(angles),
        flat=None if flat is None else torch.from_numpy(flat),
        dark=None if dark is None else torch.from_numpy(dark),
        kind=kind,
        source=file,
        key=name,
        sha256=sha256_of(file),
        kind_assumed=assumed,
        order_assumed=said is None and name != _EXCHANGE,
        doubts=doubts,
    )


def _chosen(entries: Entries, key: str | None) -> str:
    if key is None and _EXCHANGE in entries:
        return _EXCHANGE
    # Angles and fields are not what is looked for, unless somebody asks for them by name.
    plain = {name: entry for name, entry in entries.items() if name not in _BESIDE}
    return choose(entries if key is not None else plain, key, (2, 3))


def _order(entries: Entries, name: str, order: str | None) -> str:
    entry = entries[name]
    dimensions = len(entry.shape)
    if order is None and name == _EXCHANGE:
        axes = entry.attributes.get("axes", "theta:y:x").split(":")
        order = "".join(_EXCHANGE_AXES.get(axis.strip(), "?") for axis in axes)
        if order not in _ORDERS:
            raise InputError(
                f"{name} says that its axes are {':'.join(axes)}; expected theta, y and x, give "
                "the order yourself"
            )
    order = order or {2: "ad", 3: "sad"}.get(dimensions, "")
    if order not in _ORDERS or len(order) != dimensions:
        raise InputError(
            f"{describe(name, entry)} in the order {order!r}; expected two dimensions "
            "(order 'ad' or 'da') or three ('sad', 'asd', …; s slices, a angles, d detectors)"
        )
    return order


def _ordered(values: NDArray[np.float32], order: str) -> NDArray[np.float32]:
    """(slices, angles, detectors), contiguous."""
    if "s" not in order:
        values, order = values[None], "s" + order
    return np.ascontiguousarray(values.transpose([order.index(axis) for axis in "sad"]))


def _sizes(data: NDArray[np.float32]) -> str:
    named = zip(_AXIS_NAMES.values(), data.shape, strict=True)
    return ", ".join(f"{size} {name}" for name, size in named)


def _angles(
    entries: Entries, views: int, sizes: str, unit: AngleUnit | None
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Angles in radians, if the file has them, and what is doubtful about them."""
    found = [name for name in _ANGLES if name in entries]
    if not found:
        return None, ()
    name = found[0]
    load(entries[name], name)  # numbers, and finite
    values = np.asarray(entries[name].load(), dtype=np.float64).ravel()
    if values.size != views:
        raise InputError(
            f"{name} holds {values.size} angles, the array has {sizes}; give the order of the axes "
            "if they were taken for one another"
        )
    units = entries[name].attributes.get("units", "")
    stated = unit or _unit_of(units, name)
    degrees = _ANGLES[name] if stated is None else stated == "deg"
    doubts = () if unit else _implausible(values, name, degrees, stated is not None)
    return (np.deg2rad(values) if degrees else values), doubts


def _unit_of(units: str, name: str) -> AngleUnit | None:
    """The unit that an attribute or a name states."""
    text = units.strip().lower()
    for unit, beginnings in _UNITS.items():
        if text.startswith(beginnings):
            return unit
    if text:
        raise InputError(f"{name} is in {units!r}; expected degrees or radians: give --angle-unit")
    return "deg" if name == "angles_deg" else None


def _implausible(
    values: NDArray[np.float64], name: str, degrees: bool, stated: bool
) -> tuple[str, ...]:
    """Refuse an assumed unit that cannot be right, doubt a stated one."""
    if degrees and degrees_that_are_radians(values):
        found = (
            f"{name} has {values.size} views from {values.min():.4g} to {values.max():.4g}, taken "
            "for degrees; these are radians if they cover a turn"
        )
    elif not degrees and radians_that_are_degrees(values):
        found = (
            f"{name} runs to {float(np.abs(values).max()):.4g}, which are no radians but degrees"
        )
    else:
        return ()
    if stated:
        return (f"{found}: the file states the unit; --angle-unit rad or deg overrules it",)
    raise InputError(f"{found}: say --angle-unit rad or --angle-unit deg")


def _fields(
    entries: Entries, names: tuple[str, ...], slices: int, detectors: int
) -> NDArray[np.float32] | None:
    """Flat or dark fields as (fields, slices, detectors), if the file has them."""
    found = [name for name in names if name in entries]
    if not found:
        return None
    values = load(entries[found[0]], found[0])
    shape = values.shape
    if shape == (detectors,) or (shape == (slices, detectors) and slices > 1):
        values = values.reshape(1, -1, detectors)
    elif values.ndim == 2 and shape[1] == detectors and slices == 1:
        values = values[:, None]
    if values.ndim != 3 or values.shape[1:] not in ((slices, detectors), (1, detectors)):
        raise InputError(
            f"{found[0]} has the shape {shape}; expected (fields, {slices}, {detectors}), as many "
            "slices and detector pixels as the projections"
        )
    return np.array(np.broadcast_to(values, (len(values), slices, detectors)))
