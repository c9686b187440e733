"""Which slices, in which slabs, and what they take: all that is known before the first is read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pnp_recon.errors import InputError

# A slab is no larger than this: it is what a kill of a process loses.
LARGEST_SLAB = 16
# Copies of a slab that are held while it is read: as stored, as float32, and in its order.
COPIES = 3
# Of the memory that is free, what the slabs of all processes may take.
SHARE = 8


@dataclass(frozen=True)
class Plan:
    """What is asked for, and all that decides the values of a slice.

    Attributes:
        sha256: hash of the scan.
        slices: numbers in the scan, in the order of the volume.
        shape: (rows, columns) of a slice.
        settings: what was asked of the reconstruction, as plain JSON values.
        shared: what was found once for all slices (axis, window, strength), as plain JSON values.
    """

    sha256: str
    slices: range
    shape: tuple[int, int]
    settings: Mapping[str, Any]
    shared: Mapping[str, Any]

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        return len(self.slices), *self.shape

    @property
    def volume_bytes(self) -> int:
        return 4 * math.prod(self.volume_shape)

    @property
    def fingerprint(self) -> str:
        """Equal for two plans whose slices have the same values."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "slices": [self.slices.start, self.slices.stop, self.slices.step],
            "shape": list(self.shape),
            "settings": dict(self.settings),
            "shared": dict(self.shared),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Plan:
        height, width = found["shape"]
        return cls(
            found["sha256"],
            range(*found["slices"]),
            (height, width),
            found["settings"],
            found["shared"],
        )


def parse_slices(text: str, total: int) -> range:
    """The slices that "all", "0:512" or "0:512:4" asks for, of `total`.

    A number alone is refused: it is --slice, one letter apart, that takes one.

    Raises:
        InputError: it is none of these, or asks for slices that there are not.
    """
    try:
        if text.strip() == "all":
            numbers = [0, total]
        elif ":" in text:
            parts = [part.strip() for part in text.split(":")]
            defaults = (0, total, 1)
            numbers = [
                int(part) if part else default
                for part, default in zip(parts, defaults[: len(parts)], strict=True)
            ]
        else:
            one = int(text)
            raise InputError(
                f"--slices is {one}, a single slice, and makes a volume of several; give --slice "
                f"{one} for the slice with its report, or --slices {one}:{one + 1} for a volume"
            )
        start, stop, step = (*numbers, 1)[:3]
    except InputError:
        raise
    except ValueError:
        raise InputError(
            f"--slices is {text!r}; expected all, or a range such as 0:512 or 0:512:4"
        ) from None
    if not (0 <= start < stop <= total and step >= 1):
        raise InputError(
            f"--slices is {text}, but the scan holds {total} slices, 0 to {total - 1}; expected "
            "FIRST:LAST:STEP with 0 <= FIRST < LAST, LAST excluded, STEP at least 1"
        )
    return range(start, stop, step)


def probes(slices: range) -> list[int]:
    """The slices that speak for all: first, middle and last."""
    return sorted({slices[0], slices[len(slices) // 2], slices[-1]})


def slab_size(slice_bytes: int, free: int, workers: int, count: int) -> int:
    """Slices that are read together: few enough for the memory and for all workers to have some."""
    fits = free // SHARE // max(workers, 1) // max(COPIES * slice_bytes, 1)
    fair = math.ceil(count / (2 * workers)) if workers > 1 else LARGEST_SLAB
    return max(1, min(LARGEST_SLAB, fits, fair, count))


def slabs(todo: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """The slices still to do, in slabs of neighbours."""
    return [tuple(todo[first : first + size]) for first in range(0, len(todo), size)]


def runs(slab: Sequence[int]) -> list[slice]:
    """The stretches without a gap in a slab, each of which is one read."""
    found: list[slice] = []
    for number in slab:
        if found and number == found[-1].stop:
            found[-1] = slice(found[-1].start, number + 1)
        else:
            found.append(slice(number, number + 1))
    return found
