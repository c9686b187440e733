"""Numbers from files as they are meant: what the readers of kernels and of masks share.

A picture is decoded as every other picture is (`decoding`), a file of arrays by `named`; which of
them a file is, its first bytes say. Everything that a reader can stumble over becomes one
`InputError` of one line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from pnp_recon.errors import InputError
from pnp_recon.pictures.decoding import sniff
from pnp_recon.pictures.named import HDF5_SIGNATURE, load_hdf5, load_matlab, load_npy, pick
from pnp_recon.pictures.sources import decode_file, read_bytes

_LOADERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npy": load_npy,
    ".npz": load_npy,
    ".mat": load_matlab,
    ".h5": load_hdf5,
    ".hdf5": load_hdf5,
}


@dataclass(frozen=True, eq=False)
class Numbers:
    """An array from a file: of a picture (H, W, C), opaque, C = 1 or 3, or any other.

    `largest` is the number of white, None where the file is no picture.
    """

    values: NDArray[Any]
    largest: float | None = None


def read_numbers(
    path: str | Path, what: str, accept: Callable[[Numbers], Tensor], key: str | None = None
) -> Tensor:
    """`accept` of the array in a file.

    Whatever goes wrong becomes an `InputError` of one line that names the file; `what` says what
    it should hold, `key` which of its arrays.
    """
    file = Path(path)
    try:
        data = read_bytes(file, what)
        loader = _loader(file, data)
        if loader is not None:
            numbers = Numbers(pick(loader(file), key, what))
        elif key is not None and re.fullmatch(r"\[\d+\]", key):
            numbers = _opaque(Path(f"{file}{key}"), data)
        elif key is not None:
            raise InputError(f"is a picture, which holds one {what}; leave out the key {key!r}")
        else:
            numbers = _opaque(file, data)
        if numbers.values.dtype.kind not in "biuf":
            raise InputError(f"holds {numbers.values.dtype} values; expected real numbers")
        return accept(numbers)
    except (InputError, OperatorError) as error:
        text = str(error)
        raise InputError(text if text.startswith(str(file)) else f"{file}: {text}") from None
    except Exception as error:  # the parsers raise anything, from OSError to zlib.error
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{file}: cannot be read as {file.suffix.lower()} ({reason});"
            " the file is damaged, unreadable or of another kind"
        ) from error


def _loader(file: Path, data: bytes) -> Callable[[Path], dict[str, Any]] | None:
    """The reader of a file of arrays; None for a picture."""
    if sniff(data) is not None:
        return None
    if data.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return load_npy
    if HDF5_SIGNATURE in (data[:8], data[512:520]):
        return load_hdf5
    return _LOADERS.get(file.suffix.lower())


def _opaque(file: Path, data: bytes) -> Numbers:
    """The colours of a picture, one channel where all are equal."""
    decoded = decode_file(file, data)
    colour, alpha = (
        decoded.values[..., : decoded.colours],
        decoded.values[..., decoded.colours :],
    )
    if not (alpha == decoded.largest).all():
        raise InputError("is partly transparent; expected a picture without alpha: flatten it")
    if decoded.missing is not None:
        raise InputError('holds values that it declares to be "no data"; replace them')
    if (colour == colour[..., :1]).all():
        colour = colour[..., :1]
    return Numbers(colour, decoded.largest)
