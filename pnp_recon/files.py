"""Files as such: which ones are meant, whole-or-nothing writing, SHA-256, and what ships.

Knows nothing of what is in them: pictures, weights and reports write their bytes through it. It
imports neither torch nor numpy, so that a command can check its paths before it loads anything
heavy.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from pnp_recon.errors import InputError, OutputError

# Pictures that are read and written, and those that are only read. Raw files of cameras are read
# where they are named: beside each lies its JPEG.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".tif", ".tiff", ".webp", ".bmp")
READ_SUFFIXES = (*PICTURE_SUFFIXES, ".gif", ".heic", ".heif")

# "FILE[3]", the picture of that number, counted from 0, in a file of several.
_FRAME = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)

_PACKAGE = Path(__file__).resolve().parent

# Where a shipped folder lies in a checkout; in a wheel it is `_shipped/<folder>` (pyproject).
_CHECKOUT_FOLDERS = {
    "trained_models": "trained_models",
    "samples": "data/samples",
    "bsds500.sha256": "data/bsds500.sha256",  # a file on its own
}

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "it is a folder; give a file name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def split_frame(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """The file and the number of the picture in it that "FILE[3]" names; None: just a file.

    A file that is really called so comes first.
    """
    given = Path(path)
    found = _FRAME.fullmatch(os.fspath(path))
    if found is None or given.exists() or not Path(found[1]).is_file():
        return given, None
    return Path(found[1]), int(found[2])


def expand_inputs(
    patterns: Iterable[str | os.PathLike[str]], suffixes: tuple[str, ...] = PICTURE_SUFFIXES
) -> list[Path]:
    """Files meant by file names, folders (their pictures, not those of subfolders) and globs.

    Order as given, each folder or glob sorted by name; a file named twice comes once. Folders and
    globs give files with one of the suffixes only (those of pictures), a file that is named comes
    whatever its suffix, as does a picture in a file of several, see `split_frame`.

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
        one = split_frame(path)[1] is not None or path.exists()
        if one or not glob.has_magic(entry):
            if not one:
                raise InputError(f"{entry} does not exist; expected a file, a folder or a glob")
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


def write_reason(error: OSError) -> str:
    """What an error of the operating system means for somebody who wants to write a file."""
    known = _REASONS.get(error.errno or 0)
    return known if known else f"{error.strerror or error}; choose another path"


def check_target(
    path: str | os.PathLike[str], *, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Path:
    """Say now, before the work is done, whether `path` may be written.

    Refused are: a missing folder, a folder or device in its place, an existing file unless
    `overwrite`, and, `overwrite` or not, any of `inputs` (the same file under another name,
    through a symbolic or a hard link, counts).

    Returns:
        the file that will really be written, symbolic links followed.

    Raises:
        OutputError: with the reason.
    """
    given = Path(path)
    target = Path(os.path.realpath(given))
    try:
        if target.is_dir():
            raise OutputError(f"cannot write {given}: it is a folder; give a file name")
        if not target.parent.is_dir():
            raise OutputError(
                f"cannot write {given}: the folder {target.parent} does not exist; create it first"
            )
        if not target.exists():
            return target
        for source in inputs:
            source = split_frame(source)[0]
            if source.exists() and os.path.samefile(source, target):
                raise OutputError(
                    f"cannot write {given}: it is the input itself ({source}), which is never "
                    "overwritten; choose another name"
                )
        if not target.is_file():
            # Replacing a device or a pipe by a file would destroy it.
            raise OutputError(f"cannot write {given}: it is not a regular file; give a file name")
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {given}: {write_reason(error)}") from error
    if not overwrite:
        raise OutputError(
            f"cannot write {given}: it exists already; give another name, or overwrite it "
            "(--overwrite)"
        )
    return target


def atomic_write(
    path: str | os.PathLike[str], data: bytes | str | Callable[[BinaryIO], object]
) -> None:
    """Write a file whole or not at all, replacing what was there.

    The bytes go to a temporary file in the same folder, are flushed to the disk and take the
    name in one step (`os.replace`), so that a reader sees the old file or the new one and a
    crash leaves no half of either.

    Args:
        path: the file; a symbolic link is followed, its target is replaced.
        data: bytes, text (written as UTF-8), or a function that writes to the open file given.

    Raises:
        OutputError: the disk is full, the folder is missing or not writable, and so on; the old
            file, if any, is untouched and no temporary file is left.
    """
    target = check_target(path, overwrite=True)
    # A short name of its own: the target's name may already be as long as the system allows.
    temporary = target.parent / f".pnp-{secrets.token_hex(8)}.tmp"
    try:
        try:
            with open(temporary, "xb") as handle:
                set_mode = getattr(os, "fchmod", None)  # not on Windows
                if target.exists() and set_mode is not None:
                    set_mode(handle.fileno(), target.stat().st_mode & 0o7777)
                if callable(data):
                    data(handle)
                else:
                    handle.write(_utf8(data) if isinstance(data, str) else data)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        except BaseException:  # Ctrl-C as well must leave nothing behind
            temporary.unlink(missing_ok=True)
            raise
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {write_reason(error)}") from error
    _sync_folder(target.parent)


def append_line(path: Path, line: bytes) -> None:
    """Appends a whole line in one write, flushed to the disk: a kill leaves it out or whole.

    Raises:
        OutputError: the disk is full, or the file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            written = os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {write_reason(error)}") from error
    if written < len(line):
        raise OutputError(f"cannot write {path}: the disk is full; free some space")


def _utf8(text: str) -> bytes:
    """A file name that is no text in any encoding (surrogates) must not cost the file."""
    return text.encode("utf-8", "backslashreplace")


def _sync_folder(folder: Path) -> None:
    """Make the new name durable; some file systems cannot, and the file is whole all the same."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, all of it for "FILE[3]", as 64 lower-case hexadecimal digits.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open(split_frame(path)[0], "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; expected a readable file"
        ) from error


def shipped(name: str) -> Path:
    """Path of a file or folder that ships with the package.

    Args:
        name: "trained_models/<file>", "samples/<file>", one of the two folders itself, or
            "bsds500.sha256".

    Returns:
        its path, in an installed wheel (`pnp_recon/_shipped/`) and in a checkout alike.

    Raises:
        InputError: nothing of that name ships; the message lists what does.
    """
    return find_shipped(name, _PACKAGE)


def find_shipped(name: str, package: Path) -> Path:
    """`shipped` for a package that lies at `package`."""
    folder, _, rest = name.partition("/")
    if folder not in _CHECKOUT_FOLDERS or ".." in Path(rest).parts or Path(rest).is_absolute():
        raise InputError(
            f"{name!r} is not the name of a shipped file; expected 'trained_models/<file>' or "
            "'samples/<file>'"
        )
    roots = [package / "_shipped" / folder]
    checkout = package.parent
    # A folder beside an installed package may be called `data` too: only a checkout counts.
    if (checkout / "pyproject.toml").is_file():
        roots.append(checkout / _CHECKOUT_FOLDERS[folder])
    for root in roots:
        found = root / rest
        if found.exists():
            return found
    present = sorted({item.name for root in roots if root.is_dir() for item in root.iterdir()})
    listing = ", ".join(present) if present else "nothing: the package is incomplete, reinstall it"
    raise InputError(f"{name!r} does not ship with the package; {folder} holds {listing}")
