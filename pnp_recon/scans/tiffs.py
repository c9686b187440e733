"""Pages of a TIFF file, or of a folder of TIFFs, as one array that is read page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_recon.errors import InputError
from pnp_recon.scans.entry import Entries, Entry, Selection


@contextmanager
def open_tiff(file: Path) -> Iterator[Entries]:
    """The one series of a TIFF file, called ""."""
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        if len(tiff.series) != 1:
            raise InputError(
                f"holds {len(tiff.series)} series of pages of different size; save one of them"
            )
        series = tiff.series[0]
        # Three or four planes before rows and columns are as many pages: tifffile takes them, too,
        # for colours when it writes a stack.
        if "S" in series.axes[1:]:
            raise InputError("is a colour picture; expected one channel")
        shape = tuple(series.shape)

        def part(chosen: Selection) -> NDArray[Any]:
            pages = range(shape[0])[chosen[0]]
            read: Any = series.pages  # pages that are None are of damaged files: refused
            return np.stack([read[page].asarray()[chosen[1:]] for page in pages])

        paged = len(shape) == 3 and len(series.pages) == shape[0]
        whole = Entry(shape, np.dtype(series.dtype), lambda: series.asarray())
        yield {"": replace(whole, part=part) if paged else whole}


# ---- folders of TIFFs --------------------------------------------------------------------------

# Whole words: "flat_0001" and "di000001" are fields, "disk_0001" and "reflex_0001" are not.
_FIELDS = {
    kind: re.compile(rf"({words})([\W\d_].*)?")
    for kind, words in (
        ("flat", r"flats?([ _-]?fields?)?|ff|whites?([ _-]?fields?)?|refs?|io|i0(?!\d)"),
        ("dark", r"darks?([ _-]?fields?)?|df|di"),
    )
}


def tiffs_in(folder: Path) -> list[Path]:
    """The TIFFs of a folder in the order of the numbers in their names: 9 before 10."""
    found = [
        one
        for one in folder.iterdir()
        if one.suffix.lower() in (".tif", ".tiff") and one.name[0] != "."
    ]

    def order(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.stem.lower())
        return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]

    return sorted(found, key=order)


def folder_entries(folder: Path) -> Entries:
    """The projections "", and the "flat" and "dark" fields, of one TIFF each."""
    kinds: dict[str, list[Path]] = {"": [], "flat": [], "dark": []}
    prefixes = set()
    for path in tiffs_in(folder):
        prefix = re.sub(r"[\d_\-. ]+$", "", path.stem.lower())
        stem = path.stem.lower()
        kind = next((one for one, word in _FIELDS.items() if word.fullmatch(stem)), "")
        kinds[kind].append(path)
        if not kind:
            prefixes.add(prefix)
    if len(prefixes) > 1:
        raise InputError(
            f"holds TIFFs of several names ({', '.join(sorted(prefixes)[:4])}); expected those of "
            "one scan, numbered, with flat… and dark… for its fields"
        )
    if not kinds[""]:
        raise InputError("holds flat and dark fields only; expected projections, too")
    return {kind: _stacked(paths) for kind, paths in kinds.items() if paths}


def _stacked(paths: list[Path]) -> Entry:
    import tifffile

    def page(path: Path) -> NDArray[Any]:
        try:
            return np.asarray(tifffile.imread(path))
        except Exception as error:  # tifffile raises anything
            raise InputError(f"{path.name} cannot be read as TIFF ({error})") from error

    def part(chosen: Selection) -> NDArray[Any]:
        read = {place: page(paths[place]) for place in range(len(paths))[chosen[0]]}
        for place, one in read.items():
            if one.shape != first.shape or one.ndim != 2:
                raise InputError(
                    f"{paths[place].name} has the shape {one.shape}, {paths[0].name} "
                    f"{first.shape}; expected one grey page of one size in each file"
                )
        pages = list(read.values())
        return np.stack([one[chosen[1:]] for one in pages])

    first = page(paths[0])
    shape = (len(paths), *first.shape)
    return Entry(shape, first.dtype, lambda: part((slice(None),) * len(shape)), part=part)
