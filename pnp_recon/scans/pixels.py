"""The distance of detector pixels that a file states (NXtomo's x_pixel_size), in mm."""

from __future__ import annotations

import math
import re

import numpy as np

from pnp_recon.scans.entry import Entries, Entry, last_name

_NAME = "x_pixel_size"
# What people call units of length.
_UNIT = re.compile(r"(n|nano|u|µ|μ|micro|m|milli|c|centi|)(m|met(?:er|re)s?)|(microns?)")
_MM = {"n": 1e-6, "nano": 1e-6, "m": 1.0, "milli": 1.0, "c": 10.0, "centi": 10.0, "": 1e3}


def find_pixel_size(
    entries: Entries, name: str, is_nexus: bool
) -> tuple[float | None, tuple[str, ...]]:
    """mm, or None; and a sentence where the file gives sizes that are not to be taken.

    Args:
        entries: arrays of the file.
        name: what the scan's array is called.
        is_nexus: other formats mean other things by that name, or nothing that is known.
    """
    if not is_nexus:
        return None, ()
    found = [one for one in entries if last_name(one) == _NAME and one != name]
    sizes = {one: _in_mm(entries[one]) for one in found}
    known = [size for size in sizes.values() if size is not None]
    remedy = "lengths stay in detector pixels, --detector-mm says theirs"
    if len(known) < len(sizes):
        odd = next(one for one, size in sizes.items() if size is None)
        return None, (f"{odd} is no length above 0 with a unit such as mm; {remedy}",)
    if known and max(known) > (1 + 1e-6) * min(known):
        said = ", ".join(f"{one} {size:.4g} mm" for one, size in sizes.items())
        return None, (f"the file gives several sizes of pixels ({said}); {remedy}",)
    return (known[0] if known else None), ()


def _in_mm(entry: Entry) -> float | None:
    text = entry.attributes.get("units", entry.attributes.get("unit", "")).strip()
    unit = _UNIT.fullmatch(text.lower())
    if unit is None or entry.missing or not entry.is_list:
        return None
    values = np.unique(np.asarray(entry.load(), dtype=np.float64))
    size = float(values[0]) * _MM.get(unit[1], 1e-3)  # all the others are micro
    return size if len(values) == 1 and 0 < size < math.inf else None
