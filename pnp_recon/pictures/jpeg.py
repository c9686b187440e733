"""A JPEG file that lost its end marker: whether its pixels are there all the same.

Internal to `pnp_recon.pictures.decoding`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pnp_recon.pictures.samples import FormatError, check_size

_END = b"\xff\xd9"
_PROGRESSIVE, _SCAN = 0xC2, 0xDA


def with_end(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The file with its end marker, which downloads and cameras lose; said where it was added.

    Whether pixels are lost with it shows where the missing bytes are made up: a decoder that has
    all its pixels looks at none of them. A progressive file must have had its last refinement, too.

    Raises:
        FormatError: a part of the pixels is missing.
    """
    if data.rstrip(b"\0").endswith(_END) or _loads(data):
        return data, ()
    made_up = [data + filler * 512 + _END for filler in (b"", b"\x55", b"\xa6")]
    first, *others = (np.asarray(_opened(whole)) for whole in made_up)
    if not _refined(data) or any((other != first).any() for other in others):
        raise FormatError(
            f"is a truncated JPEG file ({len(data)} bytes, a part of its pixels is missing); "
            "expected a complete one, copy or export it again"
        )
    note = "is a JPEG file without its end marker, cut off somewhere; all of its pixels are there"
    return made_up[0], (note,)


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    check_size(*image.size)
    return image


def _loads(data: bytes) -> bool:
    """Whether Pillow finds the end, wherever it is."""
    try:
        _opened(data).load()
    except OSError as error:
        return "truncated" not in str(error)
    return True


def _refined(data: bytes) -> bool:
    """Whether the scans give every coefficient to its last bit (ISO 10918-1, G.1.1.1)."""
    missing: set[tuple[int, int]] = set()
    for marker, body in _segments(data):
        if marker == _PROGRESSIVE:
            missing = {(body[6 + 3 * i], k) for i in range(body[5]) for k in range(64)}
        elif marker == _SCAN:
            count = body[0]
            first, last, bits = body[1 + 2 * count : 4 + 2 * count]
            if bits & 15 == 0:
                names = [body[1 + 2 * i] for i in range(count)]
                missing -= {(name, k) for name in names for k in range(first, last + 1)}
    return not missing


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with their parameters; the coded data between them is passed over."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD8:  # data, fill bytes, restarts
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if len(body) == length - 2:
            yield marker, body
        at += 2 + length
