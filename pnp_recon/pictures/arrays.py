"""Numbers from files as they are stored: what the readers of kernels and of masks share.

Everything that a reader of files can stumble over becomes one `InputError` of one line. This knows
what files hold and not what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from operators.errors import OperatorError
from pnp_recon.errors import InputError
from pnp_recon.pictures.decoding import sniff, stored_values
from pnp_recon.pictures.samples import FormatError

_KINDS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}


def read_array(
    path: str | Path,
    what: str,
    readers: Mapping[str, Callable[[Path], np.ndarray]],
    accept: Callable[[np.ndarray], Tensor],
) -> Tensor:
    """`accept` of the array in a file, read by the reader of its ending.

    Whatever goes wrong becomes an `InputError` of one line that names the file; `what` says what
    it should hold.
    """
    file = Path(path)
    reader = readers.get(file.suffix.lower())
    if reader is None:
        found = file.suffix or "no ending"
        raise InputError(f"{file}: {what} files end in {', '.join(readers)}; found {found}")
    try:
        if not file.is_file():
            found = "is a folder" if file.is_dir() else "does not exist"
            raise InputError(f"{file}: the {what} file {found}; check the path")
        if file.stat().st_size == 0:
            raise InputError(f"{file}: the {what} file is empty; write it again")
        array = reader(file)
        if array.dtype == object or array.dtype.kind not in "biuf":
            raise InputError(f"holds {array.dtype} values; expected real numbers")
        return accept(array)
    except (InputError, OperatorError, FormatError) as error:
        text = str(error)
        raise InputError(text if text.startswith(str(file)) else f"{file}: {text}") from None
    except Exception as error:  # the parsers raise anything, from OSError to zlib.error
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{file}: cannot be read as {file.suffix.lower()} ({reason});"
            " the file is damaged, unreadable or of another kind"
        ) from error


def read_grey(path: Path) -> np.ndarray:
    """The grey values (h, w) of a .png or .tif, in the dtype of the file."""
    kind, data = _KINDS[path.suffix.lower()], path.read_bytes()
    if sniff(data) != kind:
        raise ValueError(f"its first bytes are not those of a {kind} file")
    return _one_channel(stored_values(data, kind))


def _one_channel(array: np.ndarray) -> np.ndarray:
    """One channel of a picture (h, w, 1..4), refused where it has more to tell."""
    if array.shape[-1] > 4:
        raise InputError(f"holds an array of shape {array.shape}; expected one grey picture")
    channels = array.shape[-1]
    if channels in (2, 4):
        opaque = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
        if not (array[..., -1] == opaque).all():
            raise InputError("is partly transparent; expected a grey picture without alpha")
        array = array[..., :-1]
    if not (array == array[..., :1]).all():
        raise InputError("is a colour picture; expected grey: convert it to one channel")
    return array[..., 0]


def load_npy(path: Path) -> np.ndarray:
    """The one array of a .npy file; pickled objects are never loaded."""
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise InputError("is an archive of several arrays; expected a single .npy array")
    return array
