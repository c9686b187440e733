"""Masks of known pixels from files, for `operators.Inpainting`: any picture, or an array.

True where a pixel is known. `operators.masks` draws masks at random.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.pictures.arrays import Numbers, read_numbers


def read_mask(path: str | Path) -> Tensor:
    """The mask in a file (H, W): white, the largest value, is known; black, zero, is missing.

    - Pictures: what they show, upright. Black and white in any depth, or the numbers 0 and 1 of
      an integer type. Colour is accepted where the three channels are equal, alpha where it is
      opaque.
    - `.npy`, `.npz`, `.h5`, `.mat`: booleans, numbers 0 and 1, or unsigned integers 0 and the
      largest of their kind; (H, W), or in .npy (C, H, W) for a mask of every channel.

    Nothing is thresholded: a grey value is more likely a mistake (JPEG, resizing) than a mask.

    Raises:
        InputError: for a file that is missing, damaged or of another kind, and for a picture
            that holds other values, with their number.
    """
    return read_numbers(path, "mask", _known, key="[:]" if _is_stack(Path(path)) else None)


def _is_stack(path: Path) -> bool:
    """Whether a .npy file holds a mask of every channel."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).ndim == 3
    except Exception:  # the reader says what is wrong
        return False


def _known(numbers: Numbers) -> Tensor:
    array, white = numbers.values, numbers.largest
    if white is None:
        if array.ndim not in (2, 3) or array.size == 0:
            raise InputError(f"holds an array of shape {array.shape}; expected (H, W) or (C, H, W)")
        white = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    elif array.shape[-1] > 1:
        raise InputError("is a colour picture; expected black and white: convert it to one channel")
    else:
        array = array[..., 0]
    if not (array > 1).any():
        white = 1  # of integers, too
    other = (array != 0) & (array != white)
    if other.any():
        values = np.unique(array[other])
        listing = ", ".join(f"{v:g}" for v in values[:3]) + (", …" if len(values) > 3 else "")
        raise InputError(
            f"is not binary: {int(other.sum())} of {array.size} pixels hold {len(values)} other "
            f"values than 0 and {white:g} ({listing}); threshold it, and save it without JPEG"
        )
    return torch.from_numpy(np.ascontiguousarray(array == white))
