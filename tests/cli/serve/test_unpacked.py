"""Files of arrays say how much they unpack to, and what is too much is refused unread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pnp_recon.cli.serve.unpacked import check_unpacked
from pnp_recon.errors import InputError

ZEROS = np.zeros((2000, 1000))


def as_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("inner/zeros", data=ZEROS, compression="gzip")


WRITERS: dict[str, Callable[[Path], None]] = {
    "zeros.npz": lambda path: np.savez_compressed(path, zeros=ZEROS),
    "zeros.mat": lambda path: savemat(path, {"zeros": ZEROS}, do_compression=True),
    "zeros.h5": as_hdf5,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_small_file_of_many_zeros_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    assert path.stat().st_size < ZEROS.nbytes / 20
    check_unpacked(path, 2 * ZEROS.nbytes)
    with pytest.raises(InputError, match=f"{name} would unpack to 16 MB; at most 8 MB"):
        check_unpacked(path, ZEROS.nbytes // 2)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0", b"text"])
def test_what_is_no_such_file_is_left_to_its_reader(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    check_unpacked(tmp_path / "x", 1)
