"""Masks from files: white is known, and what is no mask is refused."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

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


@pytest.mark.parametrize(
    "kind",
    [
        *("miniswhite.tif", "fax.tif", "turned.png", "palette.png", "palette.tif", "bits.png"),
        *("01.png", "01.tif", "01-16.tif", "01-signed.tif", "mask.bmp", "mask.gif", "mask.webp"),
        *("rgba.png", "mask.npz", "mask.mat", "01-int64.npy"),
    ],
)
def test_one_decoder_for_masks_too(tmp_path: Path, kind: str) -> None:
    known = random_mask((6, 9)).numpy()
    ones, path = known.astype(np.uint8), tmp_path / kind
    image = Image.fromarray(255 * ones)
    match kind:
        case "miniswhite.tif":
            tifffile.imwrite(path, 255 - 255 * ones, photometric="miniswhite")
        case "fax.tif":
            image.convert("1").save(path, compression="group4")
        case "turned.png":
            exif = Image.Exif()
            exif[0x0112] = 6  # the camera was held upright: stored a quarter turn before
            Image.fromarray(np.rot90(255 * ones)).save(path, exif=exif)
        case "palette.png" | "palette.tif":
            indexed = Image.fromarray(1 - ones, "P")
            indexed.putpalette([255, 255, 255, 0, 0, 0])
            indexed.save(path)
        case "bits.png":
            image.convert("1").save(path)
        case "01.png":
            Image.fromarray(ones).save(path)
        case "rgba.png":
            image.convert("RGBA").save(path)
        case "mask.npz":
            np.savez(path, known=known)
        case "mask.mat":
            from scipy.io import savemat

            savemat(path, {"known": known})
        case "01-int64.npy":
            np.save(path, ones.astype(np.int64))
        case _ if kind.startswith("01"):
            dtype = {"01.tif": np.uint8, "01-16.tif": np.uint16}.get(kind, np.int16)
            tifffile.imwrite(path, ones.astype(dtype))
        case _:
            image.save(path, **({"lossless": True} if kind == "mask.webp" else {}))
    assert torch.equal(read_mask(path), torch.from_numpy(known))


def test_numbers_in_npy_masks(tmp_path: Path) -> None:
    known = random_mask((3, 6, 9)).numpy()
    for values in (known.astype(np.float64), known.astype(np.uint8), known.astype(np.uint8) * 255):
        np.save(tmp_path / "m.npy", values)
        assert torch.equal(read_mask(tmp_path / "m.npy"), torch.from_numpy(known))


def test_files_that_are_no_masks_are_refused(tmp_path: Path) -> None:
    grey = np.array([[0, 255, 17], [34, 34, 255]], dtype=np.uint8)
    (tmp_path / "grey.png").write_bytes(imagecodecs.png_encode(grey))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "m.jpg")
    colour = np.stack([grey // 255 * 255, 0 * grey, 0 * grey], -1)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(np.stack([grey, grey], -1)).save(tmp_path / "clear.png")
    damaged = bytearray(imagecodecs.png_encode(grey // 255 * 255))
    damaged[-20] ^= 1
    (tmp_path / "damaged.png").write_bytes(damaged)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([grey] * 3), photometric="minisblack")
    np.save(tmp_path / "half.npy", np.array([[0, 0.5]]))
    np.save(tmp_path / "line.npy", np.ones(4))
    for name, message in (
        ("grey.png", r"grey.png: is not binary: 3 of 6 pixels hold 2 other values .* \(17, 34\)"),
        ("text.png", "is not a picture"),
        ("damaged.png", "damaged.png is a damaged PNG file"),
        ("pages.tif", "pages.tif is a TIFF file of 3 pictures"),
        ("empty.png", "is empty; expected a mask"),
        ("none.png", "does not exist; expected a mask file"),
        ("m.jpg", "without JPEG"),
        ("colour.png", "colour picture"),
        ("clear.png", "partly transparent"),
        ("half.npy", "not binary"),
        ("line.npy", r"shape \(4,\)"),
    ):
        with pytest.raises(InputError, match=message):
            read_mask(tmp_path / name)
