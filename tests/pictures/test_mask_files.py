"""Masks from files: white is known, and what is no mask is refused."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch

from laws.operators import random_mask
from pnp_recon.errors import InputError
from pnp_recon.pictures.masks import read_mask


@pytest.mark.parametrize("kind", ["8.png", "16.png", "rgb.png", "8.tif", "float.tif", "bool.npy"])
def test_masks_from_files_white_is_known(tmp_path: Path, kind: str) -> None:
    known = random_mask((6, 9)).numpy()
    path = tmp_path / kind
    if kind == "rgb.png":
        white = np.repeat(known[..., None].astype(np.uint8) * 255, 3, axis=-1)
        path.write_bytes(imagecodecs.png_encode(white))
    elif kind.endswith(".png"):
        dtype = np.uint8 if kind == "8.png" else np.uint16
        path.write_bytes(imagecodecs.png_encode(known.astype(dtype) * np.iinfo(dtype).max))
    elif kind.endswith(".tif"):
        values = known.astype(np.uint8) * 255 if kind == "8.tif" else known.astype(np.float32)
        tifffile.imwrite(path, values)
    else:
        np.save(path, known)
    mask = read_mask(path)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, torch.from_numpy(known))


def test_numbers_in_npy_masks(tmp_path: Path) -> None:
    known = random_mask((3, 6, 9)).numpy()
    for values in (known.astype(np.float64), known.astype(np.uint8), known.astype(np.uint8) * 255):
        np.save(tmp_path / "m.npy", values)
        assert torch.equal(read_mask(tmp_path / "m.npy"), torch.from_numpy(known))


def test_files_that_are_no_masks_are_refused(tmp_path: Path) -> None:
    grey = np.array([[0, 255, 17], [34, 34, 255]], dtype=np.uint8)
    (tmp_path / "grey.png").write_bytes(imagecodecs.png_encode(grey))
    (tmp_path / "ones.png").write_bytes(imagecodecs.png_encode(grey // 255))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "m.jpg").touch()
    damaged = bytearray(imagecodecs.png_encode(grey // 255 * 255))
    damaged[-20] ^= 1
    (tmp_path / "damaged.png").write_bytes(damaged)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([grey] * 3), photometric="minisblack")
    np.save(tmp_path / "half.npy", np.array([[0, 0.5]]))
    np.save(tmp_path / "line.npy", np.ones(4))
    for name, message in (
        ("grey.png", r"grey.png: is not binary: 3 of 6 pixels hold 2 other values .* \(17, 34\)"),
        ("ones.png", "not binary: 2 of 6"),  # 1 of 255 is nearly black
        ("text.png", "cannot be read"),
        ("damaged.png", "damaged.png: is a damaged PNG file"),
        ("pages.tif", "pages.tif: is a TIFF file of 3 pages"),
        ("empty.png", "the mask file is empty"),
        ("none.png", "the mask file does not exist"),
        ("m.jpg", "mask files end in"),
        ("half.npy", "not binary"),
        ("line.npy", r"shape \(4,\)"),
    ):
        with pytest.raises(InputError, match=message):
            read_mask(tmp_path / name)
