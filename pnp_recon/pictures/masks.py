"""Masks of known pixels from files, for `operators.Inpainting`: .png, .tif/.tiff, .npy.

True where a pixel is known. `operators.masks` draws masks at random.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.pictures.arrays import load_npy, read_array, read_grey


def read_mask(path: str | Path) -> Tensor:
    """The mask in a file (H, W): white, the largest value, is known; black, zero, is missing.

    - `.png`, `.tif`, `.tiff`: 0 and 255 in 8 bit (0 and 65535 in 16 bit, 0 and 1 in float). Colour
      is accepted where the three channels are equal, alpha where it is opaque.
    - `.npy`: booleans, numbers 0 and 1, or unsigned integers 0 and the largest of their kind;
      (H, W), or (C, H, W) for a mask of every channel.

    Nothing is thresholded: a grey value is more likely a mistake (JPEG, resizing) than a mask.

    Raises:
        InputError: for a file that is missing, damaged or of another kind, and for a picture
            that holds other values, with their number.
    """
    readers = {".png": read_grey, ".tif": read_grey, ".tiff": read_grey, ".npy": _read_npy}
    numbers = Path(path).suffix.lower() == ".npy"
    return read_array(path, "mask", readers, lambda array: _binary(array, ones=numbers))


def _read_npy(path: Path) -> np.ndarray:
    array = load_npy(path)
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"holds an array of shape {array.shape}; expected (H, W) or (C, H, W)")
    return array


def _binary(array: np.ndarray, *, ones: bool) -> Tensor:
    white = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    if ones and not (array > 1).any():
        white = 1
    other = (array != 0) & (array != white)
    if other.any():
        values = np.unique(array[other])
        listing = ", ".join(f"{v:g}" for v in values[:3]) + (", …" if len(values) > 3 else "")
        raise InputError(
            f"is not binary: {int(other.sum())} of {array.size} pixels hold {len(values)} other "
            f"values than 0 and {white:g} ({listing}); threshold it, and save it without JPEG"
        )
    return torch.from_numpy(array == white)
