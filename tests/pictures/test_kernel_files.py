"""Blur kernels from files: every format the right way up, and every bad file one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.pictures.kernels import load_kernel

WEIGHTS = np.array([[0, 1, 2], [3, 9, 4], [5, 6, 7], [0, 0, 1], [2, 0, 0]], dtype=np.float64)
EXPECTED = torch.from_numpy(WEIGHTS / WEIGHTS.sum()).float()


def write_v73(path: Path, variables: dict[str, np.ndarray | list[np.ndarray]]) -> None:
    """As MATLAB's save -v7.3: HDF5 after 512 bytes, arrays transposed, cells by reference."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, list):
                cell = file.create_dataset(name, (len(value), 1), dtype=h5py.ref_dtype)
                cell.attrs["MATLAB_class"] = np.bytes_("cell")
                for index, element in enumerate(value):
                    inner = file.create_dataset(f"#refs#/{name}{index}", data=element.T)
                    cell[index, 0] = inner.ref
            else:
                file.create_dataset(name, data=value.T).attrs["MATLAB_class"] = np.bytes_("double")


def write(path: Path) -> Path:
    """`WEIGHTS` in the format that the ending names."""
    kind = path.name.split(".", 1)[1]
    if kind == "png":
        from PIL import Image

        Image.fromarray(WEIGHTS.astype(np.uint8)).save(path)
    elif kind == "16.png":
        from imagecodecs import png_encode

        path.write_bytes(png_encode((WEIGHTS * 5000).astype(np.uint16)))
    elif kind == "rgba.png":
        from PIL import Image

        opaque = np.full_like(WEIGHTS, 255)
        rgba = np.stack([WEIGHTS, WEIGHTS, WEIGHTS, opaque], -1).astype(np.uint8)
        Image.fromarray(rgba).save(path)
    elif kind in ("tif", "tiff"):
        import tifffile

        tifffile.imwrite(path, WEIGHTS.astype(np.float32 if kind == "tif" else np.uint16))
    elif kind == "npy":
        np.save(path, WEIGHTS)
    elif kind == "v5.mat":
        from scipy.io import savemat

        savemat(path, {"kernel": WEIGHTS, "sigma": 0.01, "note": "text"})
    else:
        write_v73(path, {"kernel": WEIGHTS, "sigma": np.array([[0.01]])})
    return path


@pytest.mark.parametrize(
    "kind", ["png", "16.png", "rgba.png", "tif", "tiff", "npy", "v5.mat", "v73.mat"]
)
def test_every_format_gives_the_same_kernel_the_right_way_up(tmp_path: Path, kind: str) -> None:
    kernel = load_kernel(write(tmp_path / f"k.{kind}"))
    assert kernel.dtype == torch.float32
    assert torch.allclose(kernel, EXPECTED, atol=1e-7)
    assert not torch.allclose(kernel.flip(0), EXPECTED)


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_a_kernel_is_picked_from_several(tmp_path: Path, version: str) -> None:
    path = tmp_path / "set.mat"
    other = np.ones((7, 7))
    stack = np.stack([other[:5, :3], WEIGHTS], axis=-1)
    if version == "v5":
        from scipy.io import savemat

        cell = np.empty((1, 2), dtype=object)
        cell[0, 0], cell[0, 1] = other, WEIGHTS
        savemat(path, {"a": other, "f": WEIGHTS, "cells": cell, "stack": stack})
    else:
        write_v73(path, {"a": other, "f": WEIGHTS, "cells": [other, WEIGHTS], "stack": stack})
    for key in ("f", "cells[1]", "stack[1]"):
        assert torch.allclose(load_kernel(path, key), EXPECTED, atol=1e-7)
    for key, message in [
        (None, r"several arrays: a \(7x7\).*f \(5x3\)"),
        ("g", "no numeric array 'g'; it holds a"),
        ("cells", r"set of 2 kernels; pick one: FILE:cells\[0\] "),
        ("stack", r"stack\[0\]"),
        ("cells[2]", "not below 2"),
        ("f[0]", "single array"),
        ("f{0}", "expected a name"),
    ]:
        with pytest.raises(InputError, match=message):
            load_kernel(path, key)


def test_a_set_alone_says_how_to_pick(tmp_path: Path) -> None:
    write_v73(tmp_path / "levin.mat", {"kernels": [WEIGHTS, WEIGHTS]})
    with pytest.raises(InputError, match=r"set of 2 kernels; pick one: FILE:kernels\[0\] "):
        load_kernel(tmp_path / "levin.mat")
    assert torch.allclose(load_kernel(tmp_path / "levin.mat", "[1]"), EXPECTED, atol=1e-7)
    np.save(tmp_path / "stack.npy", np.stack([np.ones((5, 3)), WEIGHTS]))
    assert torch.allclose(load_kernel(tmp_path / "stack.npy", "[1]"), EXPECTED, atol=1e-7)
    with pytest.raises(InputError, match=r"FILE:\[0\] "):
        load_kernel(tmp_path / "stack.npy")


@pytest.mark.parametrize("kind", ["png", "tif", "npy", "v5.mat", "v73.mat"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "folder"])
def test_a_bad_file_is_one_clear_line(tmp_path: Path, kind: str, damage: str) -> None:
    path = tmp_path / f"k.{kind}"
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        content = write(path).read_bytes()
        cut = {"empty": b"", "truncated": content[: len(content) * 2 // 3], "text": b"no kernel\n"}
        path.write_bytes(cut[damage])
    with pytest.raises(InputError) as caught:
        load_kernel(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_a_picture_of_a_kernel_means_is_read(tmp_path: Path) -> None:
    """White on black, however it is stored: negative, turned, with a palette, in colour."""
    import tifffile
    from PIL import Image

    grey = WEIGHTS.astype(np.uint8)
    tifffile.imwrite(tmp_path / "negative.tif", 255 - grey, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "signed.tif", grey.astype(np.int16))
    tifffile.imwrite(tmp_path / "long.tif", grey.astype(np.uint32) * 1000)
    turned = Image.Exif()
    turned[0x0112] = 3
    Image.fromarray(np.rot90(grey, 2)).save(tmp_path / "turned.png", exif=turned)
    Image.fromarray(grey).save(tmp_path / "k.bmp")
    Image.fromarray(grey).save(tmp_path / "k.webp", lossless=True)
    Image.fromarray(grey).save(tmp_path / "k.gif")
    for path in tmp_path.iterdir():
        assert torch.allclose(load_kernel(path), EXPECTED, atol=1e-7), path.name
    colour = np.stack([grey, grey[::-1], 2 * grey], -1)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    expected = torch.stack([EXPECTED, EXPECTED.flip(0), EXPECTED])
    assert torch.allclose(load_kernel(tmp_path / "colour.png"), expected, atol=1e-7)


def test_an_even_side_gets_zeros_at_its_end(tmp_path: Path) -> None:
    np.save(tmp_path / "even.npy", WEIGHTS[:4])  # 4×3
    kernel = load_kernel(tmp_path / "even.npy")
    assert kernel.shape == (5, 3)
    assert torch.allclose(kernel[:4], torch.from_numpy(WEIGHTS[:4] / WEIGHTS[:4].sum()).float())
    assert bool((kernel[4] == 0).all())


@pytest.mark.parametrize("kind", ["npz", "h5", "npy", "mat"])
def test_sets_of_kernels(tmp_path: Path, kind: str) -> None:
    import h5py
    from scipy.io import savemat

    path = tmp_path / f"set.{kind}"
    stack = np.stack([WEIGHTS, WEIGHTS[::-1], np.ones_like(WEIGHTS)])
    name = "" if kind == "npy" else "psf"
    if kind == "npz":
        np.savez(path, psf=stack, sigma=0.1)
    elif kind == "npy":
        np.save(path, stack)
    elif kind == "mat":
        savemat(path, {"psf": np.moveaxis(stack, 0, -1)})
    else:
        with h5py.File(path, "w") as file:
            file["lens/psf"], file["sigma"] = stack, 0.1
        name = "lens/psf"
    assert torch.allclose(load_kernel(path, f"{name}[1]"), EXPECTED.flip(0), atol=1e-7)
    assert load_kernel(path, f"{name}[:]").shape == (3, 5, 3)
    with pytest.raises(InputError, match=r"FILE:.*\[0\].*") as caught:
        load_kernel(path)
    assert name in str(caught.value)
    with pytest.raises(InputError, match="3 kernels; the index 3"):
        load_kernel(path, f"{name}[3]")


@pytest.mark.parametrize("version", ["v5", "v7.3"])
def test_structs_of_matlab_are_looked_into(tmp_path: Path, version: str) -> None:
    path = tmp_path / "struct.mat"
    if version == "v5":
        from scipy.io import savemat

        savemat(path, {"blur": {"psf": WEIGHTS, "about": {"other": np.ones((3, 3))}}})
    else:
        import h5py

        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_group("blur").attrs["MATLAB_class"] = np.bytes_("struct")
            file["blur/psf"], file["blur/about/other"] = WEIGHTS.T, np.ones((3, 3))
    assert torch.allclose(load_kernel(path, "blur.psf"), EXPECTED, atol=1e-7)
    with pytest.raises(InputError, match=r"blur\.about\.other \(3x3\)"):
        load_kernel(path)


def test_arrays_that_are_no_kernels_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "complex.npy", np.ones((3, 3), dtype=complex))
    np.save(tmp_path / "negative.npy", -np.ones((3, 3)))
    (tmp_path / "kernel.txt").write_text("1 1 1")
    for name, message in [
        ("pickle.npy", "pickle"),
        ("complex.npy", "complex128"),
        ("negative.npy", "negative"),
        ("kernel.txt", "is not a picture"),
    ]:
        with pytest.raises(InputError, match=message):
            load_kernel(tmp_path / name)


@pytest.mark.parametrize("kind", ["npy", "npz", "v5.mat", "v73.mat"])
def test_a_field_is_read_whole_and_the_right_way_round(tmp_path: Path, kind: str) -> None:
    field = np.random.default_rng(0).random((2, 4, 5, 3))
    path = tmp_path / f"field.{kind}"
    pages = np.moveaxis(field, (0, 1), (2, 3))  # MATLAB: a page for each place
    if kind == "npy":
        np.save(path, field)
    elif kind == "npz":
        np.savez(path, psf=field, sigma=0.01)
    elif kind == "v5.mat":
        from scipy.io import savemat

        savemat(path, {"psf": pages, "sigma": 0.01})
    else:
        write_v73(path, {"psf": pages, "sigma": np.array([[0.01]])})
    expected = torch.from_numpy(field / field.sum((-2, -1), keepdims=True)).float()
    torch.testing.assert_close(load_kernel(path), expected)
    assert not torch.allclose(load_kernel(path).transpose(0, 1).reshape(2, 4, 5, 3), expected)


def test_one_bad_kernel_of_a_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "field.npy"
    for value, message in ((-1.0, "negative"), (np.nan, "NaN")):
        field = np.ones((2, 2, 3, 3))
        field[1, 0, 2, 2] = value
        np.save(path, field)
        with pytest.raises(InputError, match=f"field.npy: .*{message}"):
            load_kernel(path)
    np.save(path, np.ones((2, 0, 3, 3)))
    with pytest.raises(InputError, match=r"empty|dimensions"):
        load_kernel(path)
