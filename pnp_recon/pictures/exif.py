"""What a camera noted in a picture file (EXIF, Exif 2.32), and what of it stays true of a result.

Kept are words about the camera, the exposure, the place and the rights. Left out is what would be
stale: orientation (it has been applied), sizes, thumbnail, and the maker's own block, whose inner
offsets do not survive a move. Internal to `pnp_recon.pictures`.
"""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_EXIF, _GPS = 0x8769, 0x8825
# Description, maker, model, software, date, artist, host; copyright; Windows' title to subject.
_KEPT = frozenset({270, 271, 272, 305, 306, 315, 316, 33432, *range(0x9C9B, 0x9CA0)})
# Pixel sizes, interoperability and MakerNote, user comments of editors are kept.
_STALE = frozenset({0xA002, 0xA003, 0xA005, 0x927C})


def kept(exif: Image.Exif) -> bytes | None:
    """The notes that outlive an edit, as an EXIF block (with its six bytes of header), or None."""
    out = Image.Exif()
    try:
        for tag in _KEPT & set(exif):
            out[tag] = exif[tag]
        for tag in (_EXIF, _GPS):
            inner = {key: v for key, v in exif.get_ifd(tag).items() if key not in _STALE}
            if inner:
                out[tag] = inner
        return out.tobytes() if len(out) else None
    except Exception:  # the notes of some cameras are broken: no reason to lose the picture
        return None


def of_tiff(data: bytes) -> bytes | None:
    """`kept` of a TIFF file, which is an EXIF block itself."""
    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + data)
    except Exception:
        return None
    return kept(exif)


def into_tiff(data: bytes, exif: bytes) -> bytes:
    """A little-endian TIFF file of one page with the notes added to its directory.

    The old entries stay valid where they are; a directory with both is put at the end (TIFF 6.0,
    section 2).
    """
    notes = Image.Exif()
    notes.load(exif)
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in notes.items():
        directory[tag] = notes.get_ifd(tag) if tag in (_EXIF, _GPS) else value
    data += b"\0" * (len(data) % 2)
    block = directory.tobytes(len(data))
    (first,) = struct.unpack_from("<I", data, 4)
    entries = {
        tag: entry for part, at in ((data, first), (block, 0)) for tag, entry in _of(part, at)
    }
    merged = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    whole = data + block + b"\0" * (len(block) % 2)
    return whole[:4] + struct.pack("<I", len(whole)) + whole[8:] + merged + b"\0\0\0\0"


def _of(data: bytes, at: int) -> list[tuple[Any, bytes]]:
    """The entries of the directory there, by tag."""
    (count,) = struct.unpack_from("<H", data, at)
    starts = range(at + 2, at + 2 + 12 * count, 12)
    return [
        (struct.unpack_from("<H", data, start)[0], data[start : start + 12]) for start in starts
    ]
