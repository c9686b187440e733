"""What requests bring along: files and JSON, read piece by piece and never beyond a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pnp_recon.errors import InputError

# Bytes of a request that is no upload.
MOST_JSON = 20_000


def check_length(request: Request, most: int) -> None:
    """Refuses by what the request says of itself, before anything is read.

    Raises:
        HTTPException: 413.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)


async def receive(request: Request, path: Path, most: int) -> None:
    """The body into a file; of one that is too large, or is broken off, nothing stays.

    Raises:
        HTTPException: 413.
        InputError: it is empty.
        OSError: the disk is full.
        ClientDisconnect: the other side has hung up.
    """
    received = 0
    try:
        with open(path, "wb") as file:
            async for piece in request.stream():
                received += len(piece)
                if received > most:
                    raise _too_large(most)
                file.write(piece)
        if not received:
            raise InputError("the file is empty; expected a picture")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def read_json(request: Request) -> dict[str, Any]:
    """The body as an object.

    Raises:
        HTTPException: 413.
        InputError: it is none.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON:
            raise HTTPException(413, "the request is too long")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("the request is no JSON object; reload the page")
    return found


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        413,
        f"the file is larger than {most / 10**6:g} MB; make it smaller, or start pnp-recon serve "
        "with --max-mb",
        {"Connection": "close"},  # else what is still to come would be read, and thrown away
    )
