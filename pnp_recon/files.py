"""Files as such: whole-or-nothing writing, SHA-256, and the files that ship with the package.

Knows nothing about pictures, weights or reports; they write their bytes through it. It imports
neither torch nor numpy, so that a command can check its paths before it loads anything heavy.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from pnp_recon.errors import InputError, OutputError

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
            f"cannot write {given}: it exists already; choose another name or ask to overwrite it"
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
                if target.exists():
                    os.fchmod(handle.fileno(), target.stat().st_mode & 0o7777)
                if callable(data):
                    data(handle)
                else:
                    handle.write(data.encode() if isinstance(data, str) else data)
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
    """SHA-256 of a file as 64 lower-case hexadecimal digits.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open(path, "rb") as handle:
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
