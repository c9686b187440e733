"""Arrays of an HDF5 file by every name that leads to them: hard, soft and external links.

A link that leads nowhere, and a virtual data set whose source is not there (HDF5 gives zeros for
it, without a word), are entries too, which say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pnp_recon.scans.entry import Entries, Entry

# Groups inside groups; a loop of links is cut off by the names that it passes, too.
_DEEPEST = 24


@contextmanager
def open_hdf5(file: Path) -> Iterator[Entries]:
    """All arrays by name; external files are open as long as this one is."""
    import h5py

    with h5py.File(file, "r") as handle:
        entries: Entries = {}
        _walk(handle, "", (), entries, file)
        yield entries


def _walk(group: Any, before: str, above: tuple[Any, ...], entries: Entries, file: Path) -> None:
    import h5py

    here = _identity(group)
    if here in above or len(above) > _DEEPEST:
        return  # a link back to a group that it lies in
    for name in group:
        try:
            item = group[name]
        except (KeyError, OSError):
            link = group.get(name, getlink=True)
            entries[before + name] = _nothing(_where(link, before + name, file))
            continue
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            entries[before + name] = _entry(item, before + name)
        elif isinstance(item, h5py.Group):
            _walk(item, f"{before}{name}/", (*above, here), entries, file)


def _identity(item: Any) -> tuple[Any, ...]:
    """Equal for two names of one object."""
    import h5py

    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _where(link: Any, name: str, file: Path) -> str:
    target = getattr(link, "path", "nowhere")
    other = getattr(link, "filename", None)
    if other is None:
        return f"{name} is a link to {target}, which the file does not hold"
    return (
        f"{name} is a link to {target} in {other}, which is not there or does not hold it; put "
        f"{other} beside {file.name}"
    )


def _nothing(reason: str) -> Entry:
    return Entry((), np.dtype(object), lambda: np.zeros(0), missing=reason)


def _entry(item: Any, name: str) -> Entry:
    attributes = {}
    for key, value in item.attrs.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.ravel()[0]
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if isinstance(text, str):
            attributes[key] = str(text)
    return Entry(
        item.shape,
        item.dtype,
        lambda: item[()],
        attributes,
        part=lambda chosen: item[chosen],
        identity=_identity(item),
        missing=_missing_sources(item, name),
    )


def _missing_sources(item: Any, name: str) -> str:
    """Which files a virtual data set lacks; "" if none, or if it is stored as it is."""
    if not item.is_virtual:
        return ""
    folder = Path(item.file.filename).parent
    wanted = {source.file_name for source in item.virtual_sources()} - {"."}
    # Names with a pattern (%b) stand for many files: whichever there are, HDF5 finds.
    lacking = [
        one
        for one in sorted(wanted)
        if "%" not in one and not (Path(one).is_file() or (folder / Path(one)).is_file())
    ]
    if not lacking:
        return ""
    return (
        f"{name} is put together from other files, and {len(lacking)} of {len(wanted)} are not "
        f"there ({', '.join(lacking[:3])}): its values would be zeros; copy them beside it"
    )
