"""How large the arrays of a file are once they are unpacked, read off its headers.

Pictures say their size before they are decoded, and the one decoder looks (`limit_pixels`). Files
of arrays are compressed as well: a few bytes may hold gigabytes of zeros.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

from pnp_recon.errors import InputError

# Bytes of a number in a .mat file: its header does not say the kind without being unpacked.
WIDEST = 8


def check_unpacked(path: Path, most: int) -> None:
    """Refuses a file of arrays that unpacks to more than `most` bytes; leaves all others alone.

    Raises:
        InputError: with both sizes.
    """
    try:
        size = _unpacked(path)
    except Exception:  # damaged: whoever reads it says how
        return
    if size > most:
        raise InputError(
            f"{path} would unpack to {size / 10**6:.0f} MB; at most {most / 10**6:.0f} MB are read "
            "here, give a smaller file"
        )


def _unpacked(path: Path) -> int:
    with open(path, "rb") as file:
        head = file.read(520)
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            return sum(one.file_size for one in archive.infolist())
    if b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520]):
        return _of_hdf5(path)
    if head.startswith(b"MATLAB 5.0"):
        from scipy.io import whosmat

        return sum(WIDEST * math.prod(shape) for _, shape, _ in whosmat(path))
    return 0


def _of_hdf5(path: Path) -> int:
    import h5py

    sizes: list[int] = []

    def add(_: str, found: object) -> None:
        if isinstance(found, h5py.Dataset):
            sizes.append(int(found.size or 0) * found.dtype.itemsize)

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return sum(sizes)
