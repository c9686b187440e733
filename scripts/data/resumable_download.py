"""Download a file over HTTP; what a broken connection left is continued, in this run or the next.

While it is incomplete the file is called NAME.part, beside the NAME that it will get, and
NAME.part.json says of which file on which server it is a part.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pnp_recon.errors import InputError, OutputError, PnPReconError
from pnp_recon.files import atomic_write, write_reason

Tick = Callable[[int, int | None], object]
"""Called with the bytes at hand and, where the server tells it, the size of the file."""

_BLOCK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)


class _BrokenOffError(Exception):
    """The transfer ended early; another attempt may bring more."""


def download(
    address: str,
    target: Path,
    *,
    attempts: int = 4,
    pause: float = 2.0,
    tick: Tick = lambda have, size: None,
    say: Callable[[str], object] = lambda words: None,
) -> None:
    """Brings `target` from `address`, in one piece or in several.

    An attempt that brings nothing new counts against `attempts`, and the pauses between them grow;
    one that brings something starts the count anew.

    Args:
        address: http:// or https://.
        target: the file to make; its folder exists.
        attempts: how many may fail in a row.
        pause: seconds before the second attempt, twice as many before the third, and so on.
        tick: called after every block.
        say: called with a line about whatever does not go as it should.

    Raises:
        InputError: the server cannot be reached, does not have the file, or breaks off each time.
        OutputError: the file cannot be written. What has come so far stays for the next call.
    """
    if not re.match(r"https?://\S", address):
        raise InputError(f"{address!r} is no address; expected http://... or https://...")
    part = target.with_name(f"{target.name}.part")
    most, failures = _size(part), 0
    while True:
        try:
            _attempt(address, part, tick, say)
            break
        except _BrokenOffError as error:
            have, failures = _size(part), failures + 1
            if have > most:
                most, failures = have, 1
            if failures >= attempts:
                raise InputError(
                    f"{address} failed {failures} times in a row ({error}); {have} bytes are kept "
                    f"in {part}: the same command continues from there"
                ) from error
            wait = pause * 2 ** (failures - 1)
            say(f"{error}; {have} bytes are at hand, trying again in {wait:g} s")
            time.sleep(wait)
    part.replace(target)
    _note_of(part).unlink(missing_ok=True)


def _attempt(address: str, part: Path, tick: Tick, say: Callable[[str], object]) -> None:
    """One request; returns when `part` is complete."""
    known = _read_note(part, address)
    have = _size(part) if known else 0
    request = urllib.request.Request(address)
    if known and have:
        if have == known.size:
            return
        request.add_header("Range", f"bytes={have}-")
        if known.validator:  # the rest, but only of the same file
            request.add_header("If-Range", known.validator)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
            start, size = _span(reply)
            changed = known and None not in (known.size, size) and known.size != size
            if start and (changed or start != have):
                _forget(part)
                raise _BrokenOffError(f"the server has another file now, of {size} bytes")
            if not start:
                if have:
                    why = f"has another file now, of {size} bytes" if changed else "cannot continue"
                    say(f"the server {why}: starting from the beginning")
                _begin(part, Note(address, size, _validator(reply.headers)))
            _receive(reply, part, start, size, tick)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing lies behind `have`: that was all, or it is another file
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            _forget(part)
            raise _BrokenOffError("the server has another file now, a shorter one") from error
        if error.code in _MAY_PASS:
            raise _BrokenOffError(f"HTTP {error.code} {error.reason}") from error
        raise _unreachable(address, f"HTTP {error.code} {error.reason}") from error
    except PnPReconError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _BrokenOffError(str(error.reason)) from error
        raise _unreachable(address, str(error.reason)) from error
    except (http.client.InvalidURL, ValueError) as error:  # such as http://a:b
        raise _unreachable(address, str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _span(reply: Any) -> tuple[int, int | None]:
    """First byte that the reply brings, and the size of the whole file."""
    if reply.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
        if match is None:
            raise InputError("the server answers a range without saying which; use --from PATH")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = reply.headers.get("Content-Length")
    return 0, int(length) if length is not None and length.isdigit() else None


def _receive(reply: Any, part: Path, start: int, size: int | None, tick: Tick) -> None:
    have = start
    try:
        handle = part.open("ab" if start else "wb")
    except OSError as error:
        raise _unwritable(part, error) from error
    with handle:
        while block := reply.read(_BLOCK):
            try:
                handle.write(block)
                handle.flush()
            except OSError as error:
                raise _unwritable(part, error) from error
            have += len(block)
            tick(have, size)
    if size is not None and have < size:  # urllib says nothing when a body ends early
        raise _BrokenOffError(f"the connection ended {size - have} bytes early")


def _unreachable(address: str, reason: str) -> InputError:
    return InputError(
        f"{address} cannot be reached ({reason}); download it by other means and pass it with "
        "--from PATH, or give another --address"
    )


def _unwritable(part: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {part}: {write_reason(error)}")


# ---- What is at hand -------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """Which file a part is of: address, size if known, ETag or date ("" if neither is sent)."""

    address: str
    size: int | None
    validator: str


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _validator(headers: Any) -> str:
    tag = headers.get("ETag") or ""
    # A weak tag (W/"...") promises no equal bytes and may not stand in If-Range (RFC 9110, 13.1.5).
    return tag if tag.startswith('"') else headers.get("Last-Modified") or ""


def _begin(part: Path, note: Note) -> None:
    part.unlink(missing_ok=True)  # of another file, or sent again from its beginning
    atomic_write(_note_of(part), json.dumps(asdict(note)) + "\n")


def _read_note(part: Path, address: str) -> Note | None:
    """What `part` is a part of; None: nobody knows, or of something at another address."""
    try:
        note = Note(**json.loads(_note_of(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.address == address else None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)
