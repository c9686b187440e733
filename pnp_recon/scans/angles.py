"""The angles of a scan in its file: by name, by the format's rule, in the unit that is said."""

from __future__ import annotations

import math
import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError
from pnp_recon.scans.arrays import load
from pnp_recon.scans.entry import Entries, Entry, last_name, parent_of
from pnp_recon.scans.plausibility import degrees_that_are_radians, radians_that_are_degrees

AngleUnit = Literal["deg", "rad"]

_BASES = r"(angles?|thetas?|rotation_?angles?|projection_?angles?|proj_?angles?|view_?angles?)"
_NAME = re.compile(rf"{_BASES}_?(?:in_?)?(deg(?:rees)?|rad(?:ians)?)?", re.IGNORECASE)
_UNITS: dict[AngleUnit, tuple[str, ...]] = {"deg": ("deg", "°"), "rad": ("rad",)}

# Where Data Exchange keeps a rotation in even steps, in degrees.
_ROTATION = "process/acquisition/rotation/"

Found = tuple[NDArray[np.float64], tuple[str, ...]]


def is_angles(last: str) -> bool:
    """Whether an array called so holds angles: theta, anglesRad, rotation_angle, …"""
    return _NAME.fullmatch(last) is not None


def find_angles(
    entries: Entries,
    name: str,
    views: int,
    sizes: str,
    unit: AngleUnit | None,
    key: str | None,
    projections: NDArray[np.intp] | None = None,
) -> Found | None:
    """Angles of the projections in radians, and what is doubtful about them; None: there are none.

    Args:
        entries: arrays of the file.
        name: what the scan's array is called.
        views: how many views (frames, fields among them) it has.
        sizes: the scan's, for the message.
        unit: overrules what the file says.
        key: what the angles are called; None: they are looked for.
        projections: which of the views are projections; None: all. Then the file may have an angle
            for each of these alone, and what it says of the others does not count.

    Raises:
        InputError: as many angles as there are no views; several that differ; an unknown unit, or
            one that is assumed and cannot be right.
    """
    counts = (views,) if projections is None else (views, len(projections))
    chosen = _chosen(entries, name, counts, key)
    if chosen is None:
        return _even(entries, counts[-1])
    entry = entries[chosen]
    if entry.missing:
        raise InputError(entry.missing)
    load(entry, chosen, finite=False)  # numbers
    values = _values(entry)
    if values.size not in counts:
        among = "" if projections is None else f", {len(projections)} of them projections"
        raise InputError(
            f"{chosen} holds {values.size} angles, the array has {sizes}{among}; give the order of "
            "the axes if they were taken for one another"
        )
    if projections is not None and values.size == views:
        values = values[projections]
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(
            f"{chosen} holds {bad} angles of {values.size} that are not finite; write them, or "
            "leave these views out"
        )
    if values.size > 1 and not np.ptp(values):
        raise InputError(
            f"all {values.size} angles of {chosen} are {values[0]:.4g}: nothing turned; write the "
            "angles of the views"
        )
    stated = unit or _stated(entry, chosen)
    degrees = _means_degrees(chosen) if stated is None else stated == "deg"
    doubts = () if unit else _implausible(values, chosen, degrees, stated is not None)
    return (np.deg2rad(values) if degrees else values), doubts


def _chosen(entries: Entries, name: str, counts: tuple[int, ...], key: str | None) -> str | None:
    if key is not None:
        if key not in entries or not (entries[key].is_list or entries[key].missing):
            lists = [one for one, entry in entries.items() if entry.is_list]
            raise InputError(
                f"holds no list of angles {key!r}; choose one of: {', '.join(lists) or 'none'}"
            )
        return key
    found = [one for one, entry in entries.items() if is_angles(last_name(one)) and one != name]
    found = [one for one in found if entries[one].is_list or entries[one].missing]
    fitting = [one for one in found if math.prod(entries[one].shape) in counts]
    near = [one for one in fitting if parent_of(one) == parent_of(name)]
    best = near or fitting or found
    others = [one for one in best[1:] if _differ(entries, best[0], one)]
    if others and fitting:
        raise InputError(
            f"holds the angles {best[0]} and {', '.join(others)}, which differ; choose one with "
            "--angles-key"
        )
    return best[0] if best else None


def _values(entry: Entry) -> NDArray[np.float64]:
    return np.asarray(entry.load(), dtype=np.float64).ravel()


def _differ(entries: Entries, one: str, other: str) -> bool:
    """Whether two lists are other angles, each in the unit that it states or means."""
    if entries[one].missing or entries[other].missing:
        return False
    turned: list[NDArray[np.float64]] = []
    for name in (one, other):
        stated = _stated(entries[name], name)
        degrees = _means_degrees(name) if stated is None else stated == "deg"
        values = _values(entries[name])
        turned.append(np.deg2rad(values) if degrees else values)
    return turned[0].shape != turned[1].shape or not np.allclose(turned[0], turned[1], atol=1e-4)


def _even(entries: Entries, views: int) -> Found | None:
    """From `rotation_start` on in steps of `rotation_step`, as Data Exchange writes them."""
    names = (_ROTATION + "rotation_start", _ROTATION + "rotation_step")
    if any(name not in entries or not entries[name].is_list for name in names):
        return None
    start, step = (float(_values(entries[name])[0]) for name in names)
    said = entries.get(_ROTATION + "num_angles")
    doubts: tuple[str, ...] = ()
    if said is not None and said.is_list and int(_values(said)[0]) != views:
        doubts = (
            f"{_ROTATION}num_angles is {int(_values(said)[0])}, but there are {views} views; the "
            "steps are taken from the first on",
        )
    return np.deg2rad(start + step * np.arange(views)), doubts


def _means_degrees(name: str) -> bool:
    """What a name means where nothing is stated: theta and the rotation of a stage are degrees."""
    return last_name(name).lower().startswith(("theta", "rotation"))


def _stated(entry: Entry, name: str) -> AngleUnit | None:
    """The unit that an attribute states, or the end of a name."""
    units = entry.attributes.get("units", entry.attributes.get("unit", ""))
    text = units.strip().lower()
    if not text:
        match = _NAME.fullmatch(last_name(name))
        text = (match.group(2) or "").lower() if match else ""
    for unit, beginnings in _UNITS.items():
        if text.startswith(beginnings):
            return unit
    if text:
        raise InputError(f"{name} is in {units!r}; expected degrees or radians: give --angle-unit")
    return None


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
