"""A file on the disk -> the picture that is in it, decoded: for pictures, masks and kernels alike.

Internal to `pnp_recon.pictures`. Every error names the file, in one line.
"""

from __future__ import annotations

from pathlib import Path

from pnp_recon.errors import InputError
from pnp_recon.files import split_frame
from pnp_recon.pictures.decoding import EXPECTED, decode, sniff
from pnp_recon.pictures.samples import Decoded, FormatError

# Not pictures, but often in their place.
_OTHERS = {
    b"%PDF": "a PDF document; export the page as PNG",
    b"SIMPLE  =": "a FITS file; save its picture as a float TIFF",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 file; convert it to TIFF",
    b"\xffO\xffQ": "a JPEG 2000 file; convert it to TIFF",
    b"\x93NUMPY": "a NumPy array; save it as a float TIFF",
}


def read_bytes(source: Path, what: str = "picture") -> bytes:
    """All of a file, whichever picture in it is named.

    Raises:
        InputError: it is missing, a folder, forbidden or empty.
    """
    try:
        data = split_frame(source)[0].read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{source} does not exist; expected a {what} file") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder; expected a {what} file") from error
    except PermissionError as error:
        if source.is_dir():  # as Windows says it
            raise InputError(f"{source} is a folder; expected a {what} file") from error
        raise InputError(
            f"{source} may not be read (permission denied); change its permissions or copy it"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{source} cannot be read ({reason}); expected a {what} file") from error
    if not data:
        raise InputError(f"{source} is empty; expected a {what}, copy or export it again")
    return data


def decode_file(source: Path, data: bytes) -> Decoded:
    """The picture in the bytes of a file; of several, the one that "FILE[3]" names.

    Raises:
        InputError: it is none, or one that cannot be read; the message says what to do.
    """
    kind = sniff(data)
    if kind is None:
        raise InputError(f"{source} {_first_bytes(data)}")
    file, frame = split_frame(source)
    try:
        return decode(data, kind, frame)
    except FormatError as error:
        raise InputError(f"{source} {str(error).replace('FILE', file.name)}") from error


def _first_bytes(data: bytes) -> str:
    for start, words in _OTHERS.items():
        if data.startswith(start):
            return f"is {words}"
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("ascii", "replace").strip()
        return f"is a film or a picture of kind {brand!r}; convert it to TIFF or PNG first"
    start = data[:16]
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        text = " ".join(start.decode("ascii").split())
        found = f"is not a picture (it starts with the text {text!r})"
    else:
        found = f"is not a picture of a known kind (it starts with the bytes {start[:8].hex(' ')})"
    return f"{found}; expected {EXPECTED}, convert it first"
