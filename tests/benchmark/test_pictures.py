"""Which pictures a benchmark runs on, and what is read of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnp_recon.benchmark.pictures import read, read_slice_values, select, tuning_split
from pnp_recon.datasets import bsds500
from pnp_recon.datasets.folders import load_float
from pnp_recon.errors import InputError
from pnp_recon.files import shipped

SAMPLES = ["camera.png", "chelsea.png", "coffee.png"]


def picture(path: Path, height: int = 5, width: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    Image.fromarray(values).save(path)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory) -> list[Path]:
    """BSDS500 as train/, val/, test/; as Berkeley packed it; side by side."""
    folders = [tmp_path_factory.mktemp(name) for name in ("split", "official", "flat")]
    picture(folders[0] / "one.jpg")
    data = (folders[0] / "one.jpg").read_bytes()
    for key in bsds500.checksums():
        for file in (
            folders[0] / key,
            folders[1] / "BSR/BSDS500/data/images" / key,
            folders[2] / Path(key).name,
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    return folders


@pytest.fixture
def archive(tmp_path) -> Path:
    """Slice n holds n HU; of seven, 1, 4 and 6 are val."""
    path = tmp_path / "ct" / "slices.npz"
    path.parent.mkdir()
    values = np.arange(7, dtype=np.uint16)[:, None, None] + np.full((1, 4, 6), 1024, np.uint16)
    split = np.array(["val" if n in (1, 4, 6) else "train" for n in range(7)])
    np.savez(path, img=values, split=split, px_mm=np.ones(7))
    return path


# ---- Choosing -------------------------------------------------------------------------------


def test_splits_of_bsds500_have_the_same_names_in_every_layout(layouts):
    for split, count in ((None, 68), ("bsd68", 68), ("val", 32), ("test", 200)):
        found = [select(folder, split, None, "denoise") for folder in layouts]
        assert found[0] == found[1] == found[2]
        name, pictures = found[0]
        assert name == (split or "bsd68")
        assert [index for _, index in pictures] == list(range(count))
        part = "test" if split == "test" else "val"
        assert all(key.startswith(f"{part}/") for key, _ in pictures)
    assert select(layouts[2], None, 1, "deblur") == ("bsd68", (("val/19021.jpg", 34),))
    for folder in layouts:
        assert read(folder, "bsd68", "val/19021.jpg", 3, None).shape == (1, 3, 5, 8)


def test_val_and_bsd68_do_not_meet(layouts):
    tuned = {name for name, _ in select(layouts[0], "val", None, "denoise")[1]}
    shown = {name for name, _ in select(layouts[0], "bsd68", None, "denoise")[1]}
    assert len(tuned | shown) == 100


def test_tuning_has_pictures_of_its_own(layouts, archive, tmp_path):
    assert tuning_split(layouts[0], "denoise") == "val"
    assert tuning_split(shipped("samples"), "denoise") is None
    for data in (archive, archive.parent):
        assert tuning_split(data, "ct") == "train"
    picture(tmp_path / "slices" / "a.png")
    assert tuning_split(tmp_path / "slices", "ct") is None  # a folder of slices names no splits
    np.savez(tmp_path / "plain.npz", img=np.full((2, 3, 4), 1000, np.uint16))
    assert tuning_split(tmp_path / "plain.npz", "ct") is None


def test_index_is_that_of_the_whole_split(layouts):
    """The noise of a picture follows from its index: it must not depend on how many are run."""
    whole = dict(select(layouts[0], "test", None, "denoise")[1])
    for images in (1, 2, 7, 8, 199, 200, 500):
        _, chosen = select(layouts[0], "test", images, "denoise")
        assert len(set(chosen)) == min(images, 200)
        assert all(whole[name] == index for name, index in chosen)
        gaps = np.diff([index for _, index in chosen])
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    with pytest.raises(InputError, match="0 pictures were asked for"):
        select(layouts[0], "test", 0, "denoise")


def test_any_folder_of_pictures():
    folder = shipped("samples")
    expected = ("all", tuple(zip(SAMPLES, range(3), strict=True)))
    assert select(folder, None, None, "denoise") == expected
    assert select(folder, "all", 8, "inpaint") == expected
    assert select(folder / "coffee.png", None, None, "denoise") == ("all", (("coffee.png", 0),))
    alone = read(folder / "coffee.png", "all", "coffee.png", 3, None)
    assert torch.equal(alone, read(folder, "all", "coffee.png", 3, None))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("bsd68", r"is not BSDS500, which 'bsd68' needs.*fetch_bsds500"),
        ("test", r"is not BSDS500, which 'test' needs"),
        ("val", r"is not BSDS500, which 'validation' needs"),
        ("train", r"split is 'train', but .* has no splits"),
    ],
)
def test_a_folder_that_has_other_pictures(split, message):
    with pytest.raises(InputError, match=message):
        select(shipped("samples"), split, None, "denoise")


def test_wrong_empty_and_incomplete_folders(tmp_path, layouts):
    with pytest.raises(InputError, match="does not exist"):
        select(tmp_path / "none", None, None, "denoise")
    with pytest.raises(InputError, match="is not a folder"):
        select(tmp_path / "none", "bsd68", None, "denoise")
    with pytest.raises(InputError, match="holds no picture"):
        select(tmp_path, None, None, "denoise")
    with pytest.raises(InputError, match="expected one of bsd68, test, val"):
        select(layouts[0], "all", None, "denoise")
    for key in list(bsds500.checksums())[:250]:  # train, and a half of val
        picture(tmp_path / key)
    with pytest.raises(
        InputError, match=r"asked for; expected 68 .*18 more missing.*val 50 of 100"
    ):
        select(tmp_path, None, None, "denoise")


# ---- Reading --------------------------------------------------------------------------------


def test_read_is_load_float():
    folder = shipped("samples")
    for name in SAMPLES:
        for channels in (1, 3):
            expected = load_float(folder / name, grey=channels == 1)
            assert torch.equal(read(folder, "all", name, channels, None), expected)


def test_central_crop(tmp_path):
    picture(tmp_path / "a.png", 5, 8)
    whole = read(tmp_path, "all", "a.png", 3, None)
    assert torch.equal(read(tmp_path, "all", "a.png", 3, 3), whole[..., 1:4, 2:5])
    assert torch.equal(read(tmp_path, "all", "a.png", 3, 6), whole[..., 1:7])
    assert torch.equal(read(tmp_path, "all", "a.png", 3, 9), whole)
    for channels, crop in ((2, None), (1, 0)):
        with pytest.raises(InputError, match="expected 1 or 3 channels and a crop"):
            read(tmp_path, "all", "a.png", channels, crop)


def test_a_damaged_picture_stops_only_its_own_reading(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    _, chosen = select(tmp_path, None, None, "denoise")
    assert [name for name, _ in chosen] == ["a.png", "b.png", "c.png"]
    with pytest.raises(InputError, match=r"b\.png"):
        read(tmp_path, "all", "b.png", 1, None)
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match=r"b\.png does not exist"):
        read(tmp_path, "all", "b.png", 1, None)
    assert read(tmp_path, "all", "c.png", 1, None).shape == (1, 1, 5, 8)


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/passwd", "..", "", "x\\a.png"])
def test_names_stay_inside(tmp_path, name):
    picture(tmp_path / "a.png")
    (tmp_path / "data").mkdir()
    for reader in (
        lambda: read(tmp_path / "data", "all", name, 1, None),
        lambda: read_slice_values(tmp_path / "data", "all", name),
    ):
        with pytest.raises(InputError, match="is no name of a picture"):
            reader()


# ---- Slices ---------------------------------------------------------------------------------


def test_archive_of_slices(archive):
    for data in (archive, archive.parent):
        assert select(data, None, None, "ct") == (
            "val",
            (("val[0]", 0), ("val[1]", 1), ("val[2]", 2)),
        )
        assert select(data, "train", 2, "ct") == ("train", (("train[1]", 1), ("train[3]", 3)))
        values = read_slice_values(data, "val", "val[1]")
        assert torch.equal(values, torch.full((1, 1, 4, 6), 4.0))
    with pytest.raises(InputError, match="no split 'test'; expected one of train, val"):
        select(archive, "test", None, "ct")
    for name in ("val[3]", "train[0]", "val[-1]", "val"):
        with pytest.raises(InputError, match="expected"):
            read_slice_values(archive, "val", name)


def test_archive_without_splits_and_of_something_else(tmp_path):
    np.savez(tmp_path / "a.npz", img=np.full((2, 3, 4), 1000, np.uint16))
    assert select(tmp_path, None, None, "ct") == ("all", (("all[0]", 0), ("all[1]", 1)))
    assert read_slice_values(tmp_path, "all", "all[1]").unique().tolist() == [-24.0]
    (tmp_path / "d").mkdir()
    np.savez(tmp_path / "b.npz", sinogram=np.zeros((2, 3)))
    with pytest.raises(InputError, match="holds sinogram; expected an archive of slices"):
        select(tmp_path / "b.npz", None, None, "ct")
    np.savez(tmp_path / "d" / "d.npz", img=np.ones((2, 3, 4), np.uint16), split=np.array(["val"]))
    with pytest.raises(InputError, match="holds 2 slices and 1 splits; expected one for each"):
        select(tmp_path / "d", None, None, "ct")
    with pytest.raises(InputError, match=r"2 archives of slices \(a\.npz, b\.npz"):
        select(tmp_path, None, None, "ct")
    with pytest.raises(InputError, match="does not exist"):
        select(tmp_path / "none.npz", None, None, "ct")
    (tmp_path / "c.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"c\.npz cannot be read"):
        select(tmp_path / "c.npz", None, None, "ct")


def test_pictures_as_slices_are_in_hounsfield_units(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "a.png")
    assert select(tmp_path, None, None, "ct") == ("all", (("a.png", 0),))
    assert read_slice_values(tmp_path, "all", "a.png").flatten().tolist() == [-1024.0, 1500.0]
    with pytest.raises(InputError, match="has no splits"):
        select(tmp_path, "val", None, "ct")
