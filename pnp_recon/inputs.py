"""Which picture files are meant by the names, folders and globs that a user gives."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from pnp_recon.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


def expand_inputs(
    patterns: Iterable[str | os.PathLike[str]], suffixes: tuple[str, ...] = SUFFIXES
) -> list[Path]:
    """Files meant by file names, folders (their pictures, not those of subfolders) and globs.

    Order as given, each folder or glob sorted by name; a file named twice comes once. Folders and
    globs give files with one of the suffixes only (those of pictures), a file that is named comes
    whatever its suffix.

    Raises:
        InputError: an entry matches nothing, or there is no entry.
    """
    found: dict[Path, None] = {}
    entries = [os.fspath(pattern) for pattern in patterns]
    for entry in entries:
        for path in _expand(entry, suffixes):
            found.setdefault(path)
    if not found:
        raise InputError("no input was given; expected a picture file, a folder or a glob")
    return list(found)


def _expand(entry: str, suffixes: tuple[str, ...]) -> list[Path]:
    path = Path(entry)
    try:
        if path.is_dir():
            pictures = _pictures(path.iterdir(), suffixes)
            if not pictures:
                raise InputError(
                    f"the folder {entry} holds no picture; expected files that end in one of "
                    f"{', '.join(suffixes)}"
                )
            return pictures
        if path.exists() or not glob.has_magic(entry):
            if not path.exists():
                raise InputError(f"{entry} does not exist; expected a picture, a folder or a glob")
            return [path]
    except PermissionError as error:
        raise InputError(
            f"{entry} may not be read (permission denied); change its permissions or copy it"
        ) from error
    pictures = _pictures((Path(match) for match in glob.glob(entry, recursive=True)), suffixes)
    if not pictures:
        raise InputError(
            f"no picture matches {entry!r}; expected files that end in one of {', '.join(suffixes)}"
        )
    return pictures


def _pictures(paths: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )
