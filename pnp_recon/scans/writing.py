"""Reconstructed slices -> .npy, 32 bit TIFF (both in physical units) or PNG (through a window)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pnp_recon.errors import InputError, OutputError
from pnp_recon.files import atomic_write, check_target
from pnp_recon.pictures.files import Picture, write_picture
from pnp_recon.scans.window import Window

SUFFIXES = (".npy", ".tif", ".tiff", ".png")


def check_slices_target(
    path: str | os.PathLike[str],
    window: Window | None = None,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> Path:
    """Say now, before a long run, whether `write_slices` will accept `path`.

    Raises:
        OutputError: unknown suffix, existing file, one of the inputs, missing folder, …, or a PNG
            without a window.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(
            f"cannot write {path}: it ends in {suffix or 'nothing'}; expected one of "
            f"{', '.join(SUFFIXES)}"
        )
    if suffix == ".png" and window is None:
        raise OutputError(
            f"cannot write {path}: a PNG holds no physical values; give a window, or write .npy or "
            ".tif"
        )
    return check_target(path, overwrite=overwrite, inputs=inputs)


def write_slices(
    path: str | os.PathLike[str],
    slices: Float[Tensor, "slices H W"],
    window: Window | None = None,
    *,
    bits: int = 16,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> None:
    """Write slices whole or not at all.

    .npy and .tif hold float32 in the unit of `slices`, whatever the window: (H, W) or one page
    for one slice, (slices, H, W) or as many pages for several. .png holds one slice, clipped to
    the window and rounded to 8 or 16 bit.

    Args:
        path: where to; the suffix chooses the format.
        slices: (slices, H, W) in 1/mm, HU, …, any float type, any device.
        window: what is black and what is white; for .png only, which needs it.
        bits: 8 or 16, of a .png.
        overwrite: replace an existing file; one of `inputs` never is.
        inputs: files that the slices came from.

    Raises:
        OutputError: not written, and why; also for values that are not finite.
        InputError: another shape, or `bits` is neither 8 nor 16.
    """
    if slices.ndim != 3 or not slices.numel():
        raise InputError(f"slices have the shape {tuple(slices.shape)}; expected (slices, H, W)")
    if bits not in (8, 16):
        raise InputError(f"bits is {bits}; expected 8 or 16")
    target = check_slices_target(path, window, overwrite=overwrite, inputs=inputs)
    values = slices.detach().to("cpu", torch.float32)
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise OutputError(
            f"cannot write {path}: {bad} values of {values.numel()} are not finite (NaN, infinity "
            "or beyond float32)"
        )
    array = values.numpy()
    array = np.ascontiguousarray(array[0] if len(array) == 1 else array)
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        atomic_write(target, lambda handle: np.save(handle, array, allow_pickle=False))
    elif suffix == ".png" and window is not None:
        if len(values) != 1:
            raise OutputError(
                f"cannot write {path}: a PNG holds one slice, {len(values)} were given; write them "
                "one by one, or .npy or .tif"
            )
        unit = window.to_unit(values.double()).clamp(0, 1)[None]
        like = Picture(unit, None, None, bits, "", Path(), "")  # for its depth only
        write_picture(target, unit, like, overwrite=True)
    else:
        atomic_write(target, _tiff(array))


def _tiff(array: np.ndarray) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        array,
        photometric="minisblack",
        compression="zlib",
        metadata=None,
        software=False,
    )
    return buffer.getvalue()
