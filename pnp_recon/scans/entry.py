"""One named array of a file: what is known before it is read, and how a part of it is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Selection = tuple[slice, ...]


@dataclass(frozen=True)
class Entry:
    """An array that a file holds.

    Attributes:
        shape, dtype: as stored; those of a MATLAB variable as MATLAB shows it.
        load: reads it; only while the file is open.
        attributes: what an HDF5 file says about it, text only.
        part: reads a part of it without the rest; None: the rest is read and dropped.
        identity: the same for two names of one array (links); None: it has one name.
        missing: why it cannot be read, where a link or a virtual data set leads nowhere.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], NDArray[Any]]
    attributes: dict[str, str] = field(default_factory=dict)
    part: Callable[[Selection], NDArray[Any]] | None = None
    identity: object = None
    missing: str = ""

    @property
    def is_numeric(self) -> bool:
        return self.dtype.kind in "biuf" and math.prod(self.shape) > 0

    @property
    def is_list(self) -> bool:
        """A row or a column of numbers, or a single one."""
        return self.is_numeric and max(self.shape, default=1) == math.prod(self.shape)

    def read(self, selection: Selection | None) -> NDArray[Any]:
        """The array, or the part of it in `selection`, one slice for each axis."""
        if selection is None:
            return np.asarray(self.load())
        if self.part is not None:
            return np.asarray(self.part(selection))
        return np.asarray(self.load())[selection]

    def needs(self, selection: Selection | None) -> int:
        """Numbers that are in memory while it is read."""
        whole = math.prod(self.shape)
        if selection is None:
            return whole
        chosen = math.prod(
            len(range(size)[one]) for size, one in zip(self.shape, selection, strict=True)
        )
        return chosen if self.part is not None else whole


Entries = dict[str, Entry]


def last_name(name: str) -> str:
    """The last part of a name: "data" of "exchange/data" and of "scan.data"."""
    return name.replace(".", "/").rpartition("/")[2]


def parent_of(name: str) -> str:
    """What stands before `last_name`, with its separator; "" at the top."""
    return name[: len(name) - len(last_name(name))]
