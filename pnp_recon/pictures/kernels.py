"""Blur kernels from files: any picture, .npy, .npz, .h5, .mat (MATLAB 5 and 7.3).

What makes an array a kernel is decided by `operators.kernels.validate`. Pixel values are taken as
linear weights: no gamma curve is undone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from operators.kernels import validate
from pnp_recon.errors import InputError
from pnp_recon.pictures.arrays import Numbers, read_numbers

__all__ = ["load_kernel", "read_kernel"]


def load_kernel(
    path: str | Path, key: str | None = None, *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Read, check and normalise the blur kernel in a file: (kh, kw), both odd, sum one.

    - Pictures: what they show, upright, black being zero. A colour picture is a kernel per channel:
      (3, kh, kw), each with sum one. Alpha is accepted where it is opaque.
    - `.npy`: numbers only; pickled objects are never loaded.
    - `.npz`, `.h5`, `.mat`: `key` names the variable, "group/name" inside HDF5 and "struct.field"
      inside MATLAB; without it the only two-dimensional numeric one is taken. MATLAB's transposed
      storage is undone.

    A set of kernels (a MATLAB cell array, a stack of three dimensions) needs an index counted from
    zero: `key="kernels[3]"`, or `key="[3]"` where there is one array. The index runs over the first
    axis, in .mat over the last one, as each language stores stacks. "[:]" of a stack of three takes
    them as the kernels of red, green and blue.

    An array of four dimensions is a field: (gh, gw, kh, kw) a kernel for each cell of a grid over
    the picture, in reading order; in .mat it is (kh, kw, gh, gw).

    A side that is even gets a row or column of zeros at its end, which makes the pixel n/2 (counted
    from 0) the centre: that of MATLAB's psf2otf. The result may be shifted by half a pixel.

    Raises `InputError` for a file that is missing, empty, damaged or of another kind, for an
    ambiguous choice (the message lists the names), and for all that `kernels.validate` refuses.
    """
    return read_kernel(path, key, dtype=dtype)[0]


def read_kernel(
    path: str | Path, key: str | None = None, *, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, tuple[str, ...]]:
    """`load_kernel`, and what must not be overlooked about it, a sentence each."""
    notes: list[str] = []

    def accept(numbers: Numbers) -> Tensor:
        kernel = _kernel(numbers)
        height, width = numbers.values.shape[:2] if numbers.largest else numbers.values.shape[-2:]
        if (height, width) != tuple(kernel.shape[-2:]):
            notes.append(
                f"{path}: a kernel of {width}×{height} has no middle pixel; it was padded by zeros "
                f"to {kernel.shape[-1]}×{kernel.shape[-2]}, and the result may be shifted by half "
                "a pixel"
            )
        return kernel.to(dtype)

    return read_numbers(path, "kernel", accept, key), tuple(notes)


def _kernel(numbers: Numbers) -> Tensor:
    values = numbers.values.astype(np.float64)
    if numbers.largest is not None:  # a picture
        values = values[..., 0] if values.shape[-1] == 1 else np.moveaxis(values, -1, 0)
    kernel = torch.from_numpy(np.ascontiguousarray(values))
    if kernel.ndim == 3:
        if len(kernel) != 3:
            raise InputError(
                f"holds {len(kernel)} kernels; expected one, or one for each of red, green and "
                "blue: pick one by its index"
            )
        return torch.stack([validate(_odd(one)) for one in kernel])
    if kernel.ndim == 4 and kernel.numel():
        each = [validate(_odd(one)) for one in kernel.flatten(0, 1)]
        return torch.stack(each).unflatten(0, kernel.shape[:2])
    return validate(_odd(kernel))


def _odd(kernel: Tensor) -> Tensor:
    """With zeros at the end of a side that is even."""
    if kernel.ndim != 2 or not kernel.numel():
        return kernel  # refused with its own words
    height, width = kernel.shape
    return functional.pad(kernel, (0, 1 - width % 2, 0, 1 - height % 2))
