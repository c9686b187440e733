"""A measured scan from a file: projections, angles, flat and dark fields, and what they are.

What is read stays as it was measured; `correction` and `counts` turn it into line integrals. Only
the slices that are asked for are read, of the fields, too.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.scans.angles import AngleUnit, find_angles
from pnp_recon.scans.arrays import load, open_arrays
from pnp_recon.scans.counts import check_counts
from pnp_recon.scans.entry import Entries, Selection
from pnp_recon.scans.layouts import EXCHANGE, Layout, layout_of
from pnp_recon.scans.missing import marked, without_gaps
from pnp_recon.scans.pixels import find_pixel_size
from pnp_recon.scans.tiffs import tiffs_in

Kind = Literal["counts", "intensities", "line integrals"]

_AXIS_NAMES = {"s": "slices", "a": "angles", "d": "detectors"}


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
        sha256: the hash of the file's bytes, hexadecimal; of a folder, of all its TIFFs.
        first, total: number in the file of the first slice that was read, and how many it has.
        missing: (slices, angles, detectors) True where the file says that nothing was measured, of
            which `data` are filled from what is beside; None: nothing is missing.
        detector_mm: distance of detector pixels in mm, or None where the file does not say.
        fields_among: how many frames beside the views were flat or dark fields, or invalid.
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
    first: int = 0
    total: int = 0
    missing: Bool[Tensor, "slices angles detectors"] | None = None
    detector_mm: float | None = None
    fields_among: int = 0
    kind_assumed: bool = False
    order_assumed: bool = False
    doubts: tuple[str, ...] = ()


def read_scan(
    path: str | os.PathLike[str],
    key: str | None = None,
    order: str | None = None,
    kind: Kind | None = None,
    angle_unit: AngleUnit | None = None,
    angles_key: str | None = None,
    slices: slice | None = None,
    sha256: str | None = None,
) -> Scan:
    """Read a sinogram or a scan from .npy, .npz, .h5 (.hdf5, .nxs), .mat, .tif or a folder.

    Axes, in the letters s (slices), a (angles), d (detectors):
    - two dimensions: "ad", angles × detectors, unless `order` is "da";
    - three dimensions: "sad", a stack of sinograms, also for the pages of a TIFF, unless `order`
      says otherwise, for example "asd" for a stack of projections;
    - Data Exchange (an HDF5 file with exchange/data): "asd", or what its attribute `axes` says;
    - NXtomo (an array with `image_key` beside it): "asd"; keys 0, 1, 2 are projections, flat and
      dark fields, frames of other keys are left out;
    - a folder of TIFFs, one for each projection: "asd".
    Values that are not finite, and −1, −2 and 2³² − 1 among whole numbers, were not measured: see
    `missing`. The count of the angles in the file is held against the axis that they belong to.

    Beside the array, the same file may hold angles (`angles`, `theta`, `rotation_angle`,
    `anglesRad` and so on, see `angles`; an HDF5 attribute `units` or the end of the name says the
    unit, otherwise `angles` are radians, `theta` and `rotation_angle` degrees), flat fields
    (`flat`, `white`, `data_white`) and dark fields (`dark`, `data_dark`), each field in the axes of
    one projection: (fields, slices, detectors), or fewer dimensions where there is one field or
    one slice. NXtomo's angles are one for each frame, or one for each projection; its x_pixel_size
    is the detector's, if it has a unit. Data Exchange without `theta` may have
    process/acquisition/rotation.

    Args:
        path: the file, its suffix tells the format; or a folder.
        key: name of the array where the file holds several ("exchange/data", "sinogram").
        order: order of the axes.
        kind: what the values are. Default: counts where the file has flat fields, line integrals
            otherwise. A Data Exchange or NXtomo file without flat fields needs it.
        angle_unit: "deg" or "rad", whatever the file says. Default: what it says, or what the name
            of its angles means.
        angles_key: name of the angles. Default: they are looked for by the names above.
        slices: which slices; nothing else is read where the format allows. Default: all.
        sha256: the file's hash where it is known, so that the whole file is not read for it.

    Raises:
        InputError: the file is missing, damaged or of another kind; the choice of the array is
            ambiguous or `key` unknown (the message lists them); too many values that are not
            finite (says how many); negative counts; angles or fields that do not fit, or angles
            that are not in the unit that their name means; slices that it does not have; not enough
            memory.
    """
    file = Path(path)
    if kind is not None and kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    with open_arrays(file) as entries:
        layout = layout_of(entries, key, order, file.is_dir())
        shape = dict(zip(layout.order, entries[layout.name].shape, strict=True))
        shape.setdefault("s", 1)
        chosen = _chosen_slices(slices, shape["s"])
        data = _ordered(_loaded(entries, layout, chosen), layout.order)
        frames = None if layout.frames is None else layout.projections
        found = find_angles(
            entries, layout.name, shape["a"], _sizes(shape), angle_unit, angles_key, frames
        )
        angles, doubts = found or (None, ())
        detector_mm, unsure = find_pixel_size(entries, layout.name, layout.frames is not None)
        flat, dark = (
            _fields(entries, name, shape["s"], shape["d"], chosen)
            for name in (layout.flat, layout.dark)
        )
    if layout.frames is not None:
        flat, dark, data = _told_apart(layout, flat, dark, data)
    name = layout.name or "the array"
    data, flat, dark, missing = without_gaps(data, flat, dark, f"{file}: {name}")
    assumed = kind is None and flat is None
    if kind is None:
        if flat is None and (layout.name == EXCHANGE or layout.frames is not None):
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
        key=layout.name,
        sha256=sha256 or _hash(file),
        first=chosen.start,
        total=shape["s"],
        missing=None if missing is None else torch.from_numpy(missing),
        detector_mm=detector_mm,
        fields_among=shape["a"] - data.shape[1],
        kind_assumed=assumed,
        order_assumed=not layout.order_stated,
        doubts=(*doubts, *unsure),
    )


def extent(
    path: str | os.PathLike[str], key: str | None = None, order: str | None = None
) -> tuple[int, str]:
    """How many slices a scan holds, and its hash; no projection is looked at. See `read_scan`."""
    file = Path(path)
    with open_arrays(file) as entries:
        layout = layout_of(entries, key, order, file.is_dir())
        shape = dict(zip(layout.order, entries[layout.name].shape, strict=True))
    return shape.get("s", 1), _hash(file)


def _hash(file: Path) -> str:
    if not file.is_dir():
        return sha256_of(file)
    together = hashlib.sha256()
    for one in tiffs_in(file):
        together.update(f"{one.name} {sha256_of(one)}\n".encode())
    return together.hexdigest()


def _chosen_slices(slices: slice | None, total: int) -> slice:
    if slices is None:
        return slice(0, total)
    start = 0 if slices.start is None else slices.start
    stop = total if slices.stop is None else slices.stop
    if not 0 <= start < stop <= total or slices.step not in (None, 1):
        asked = f"slice {start} was" if stop == start + 1 else f"slices {start}:{stop} were"
        raise InputError(f"{asked} asked for; it holds {total} slices, 0 to {total - 1}")
    return slice(start, stop)


def _loaded(entries: Entries, layout: Layout, chosen: slice) -> NDArray[np.float32]:
    entry, name = entries[layout.name], layout.name or "the array"
    if "s" not in layout.order or chosen == slice(0, entry.shape[layout.order.index("s")]):
        return marked(load(entry, name, finite=False), entry.dtype)
    part = tuple(chosen if axis == "s" else slice(None) for axis in layout.order)
    name = f"{name}, slices {chosen.start} to {chosen.stop - 1} of"
    return marked(load(entry, name, part, finite=False), entry.dtype)


def _ordered(values: NDArray[np.float32], order: str) -> NDArray[np.float32]:
    """(slices, angles, detectors), contiguous."""
    if "s" not in order:
        values, order = values[None], "s" + order
    return np.ascontiguousarray(values.transpose([order.index(axis) for axis in "sad"]))


def _sizes(shape: dict[str, int]) -> str:
    return ", ".join(f"{shape[axis]} {name}" for axis, name in _AXIS_NAMES.items())


Array = NDArray[np.float32]


def _told_apart(
    layout: Layout, flat: Array | None, dark: Array | None, data: Array
) -> tuple[Array | None, Array | None, Array]:
    """NXtomo's frames by their key: flat and dark fields, projections."""

    def fields(frames: NDArray[np.intp], given: Array | None) -> Array | None:
        return data[:, frames].transpose(1, 0, 2).copy() if len(frames) else given

    views = np.ascontiguousarray(data[:, layout.projections])
    return fields(layout.flats, flat), fields(layout.darks, dark), views


def _fields(
    entries: Entries, name: str | None, slices: int, detectors: int, chosen: slice
) -> Array | None:
    """Flat or dark fields of the chosen slices as (fields, slices, detectors), if there are any."""
    if name is None:
        return None
    entry = entries[name]
    shape = entry.shape
    selection: Selection | None = None
    if shape[-2:] == (slices, detectors) and len(shape) in (2, 3) and slices > 1:
        selection = (*((slice(None),) * (len(shape) - 2)), chosen, slice(None))
    values = marked(load(entry, name, selection, finite=False), entry.dtype)
    count = chosen.stop - chosen.start
    if selection is not None or shape == (detectors,):
        values = values.reshape(-1, count if selection else 1, detectors)
    elif values.ndim == 2 and shape[1] == detectors and slices == 1:
        values = values[:, None]
    if values.ndim != 3 or values.shape[1:] not in ((count, detectors), (1, detectors)):
        raise InputError(
            f"{name} has the shape {shape}; expected (fields, {slices}, {detectors}), as many "
            "slices and detector pixels as the projections"
        )
    return np.array(np.broadcast_to(values, (len(values), count, detectors)))
