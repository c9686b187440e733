"""BSDS500 as Berkeley packed it, as the fetch script lays it out, side by side, and incomplete."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pnp_recon.datasets import bsds500, splits
from pnp_recon.errors import InputError

OFFICIAL = "BSR/BSDS500/data/images"


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, "JPEG")
    return buffer.getvalue()


def lay_out(folder: Path, keys: list[str], inside: str = "", flat: bool = False) -> Path:
    """Pictures of these keys ("val/101085.jpg") under their true names."""
    data = jpeg()
    for key in keys:
        path = folder / inside / (Path(key).name if flat else key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def keys(*parts: str) -> list[str]:
    return [key for key in bsds500.checksums() if key.partition("/")[0] in parts]


ALL = keys(*bsds500.PARTS)


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("split"), ALL)


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    folder = lay_out(tmp_path_factory.mktemp("official"), ALL, OFFICIAL)
    truth = folder / "BSR/BSDS500/data/groundTruth/val"
    truth.mkdir(parents=True)
    (truth / "101085.mat").write_bytes(b"MATLAB")
    (folder / OFFICIAL / "train" / "Thumbs.db").write_bytes(b"x")
    return folder


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("flat"), ALL, flat=True)


def chosen(folder: Path) -> list[list[str]]:
    """The keys of every split, in order."""
    found = (
        splits.training_pictures(folder),
        splits.training_pictures(folder, hold_back=True),
        splits.validation_pictures(folder),
        splits.test_pictures(folder),
        splits.bsd68(folder),
    )
    assert all(path.is_file() for paths in found for path in paths)
    return [[bsds500.key_of(path) for path in paths] for paths in found]


def test_the_list_of_pictures():
    assert [len(bsds500.names(part)) for part in bsds500.PARTS] == [200, 100, 200]
    assert len({name for part in bsds500.PARTS for name in bsds500.names(part)}) == 500
    assert {f"{name}.jpg" for name in bsds500.BSD68} <= bsds500.names("val")


def test_every_layout_gives_the_same_pictures_in_the_same_order(split, official, flat):
    expected = chosen(split)
    assert [len(names) for names in expected] == [232, 200, 32, 200, 68]
    parts = Path(OFFICIAL).parts
    for depth in range(len(parts) + 1):  # the folder itself, BSR, BSDS500, data, images
        assert chosen(official.joinpath(*parts[:depth])) == expected
    assert chosen(flat) == expected
    for folder in (split, official, flat):
        found = bsds500.find(folder)
        assert found.flat == (folder is flat)
        assert found.file("val/101085.jpg").is_file()
        assert splits.is_bsds500(folder)


def test_layouts_are_told_apart(split, flat):
    """The same pictures under other names: the comparison above is not of nothing."""
    assert splits.bsd68(split)[0].parent.name == "val"
    assert splits.bsd68(flat)[0].parent == flat
    with pytest.raises(KeyError):
        bsds500.key_of(Path("val/1.jpg"))


def test_foreign_files_are_passed_over(flat, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(flat, copy)
    for name in ("holiday.jpg", "._101085.jpg", "notes.txt"):
        (copy / name).write_bytes(jpeg())
    assert chosen(copy) == chosen(flat)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_a_half_complete_folder_says_what_is_missing(tmp_path, side_by_side):
    present = [*keys("train", "val")[:270], *keys("test")[5:]]
    lay_out(tmp_path, present, flat=side_by_side)
    counts = "train 200 of 200, val 70 of 100, test 195 of 200"
    with pytest.raises(InputError, match=rf" 2 pictures.*29 more missing.*{counts}.*fetch_bsds"):
        splits.training_pictures(tmp_path)
    with pytest.raises(InputError, match=r"195 pictures.*100007\.jpg and 4 more missing"):
        splits.test_pictures(tmp_path)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_what_is_not_asked_for_may_be_missing(tmp_path, side_by_side):
    bsd68 = {f"val/{name}.jpg" for name in bsds500.BSD68}
    for_training = [key for key in keys("train", "val") if key not in bsd68]
    lay_out(tmp_path, for_training, flat=side_by_side)
    assert len(splits.training_pictures(tmp_path)) == 232
    assert len(splits.validation_pictures(tmp_path)) == 32
    with pytest.raises(InputError, match=r"0 pictures.*asked for; expected 68.*val 32 of 100"):
        splits.bsd68(tmp_path)
    with pytest.raises(InputError, match=r"0 pictures.*test 0 of 200"):
        splits.test_pictures(tmp_path)


def test_one_part_alone(tmp_path):
    inside = lay_out(tmp_path / "inside", keys("val"))
    assert len(splits.bsd68(inside)) == 68
    with pytest.raises(InputError, match="train 0 of 200, val 100 of 100"):
        splits.training_pictures(inside)
    for part in ("val", "test"):  # out of its folder: pictures like any other, but not to train on
        bare = lay_out(tmp_path / f"bare {part}", keys(part), flat=True)
        assert not splits.is_bsds500(bare)
        with pytest.raises(InputError, match=f"holds the {part} pictures of BSDS500"):
            splits.training_pictures(bare)
        with pytest.raises(InputError, match=f"is not BSDS500.*found: .*{part} [12]00 of"):
            splits.bsd68(bare)


def test_numbered_pictures_are_not_taken_for_bsds500(tmp_path):
    """2018.jpg, 2092.jpg and 3096.jpg are of test, train and val, and of any long enough list."""
    for number in range(2015, 2022):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg())
    for name in ("2092.jpg", "3096.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    assert not splits.is_bsds500(tmp_path)
    assert len(splits.training_pictures(tmp_path)) == 9
    for number in range(2015, 2022):
        (tmp_path / f"{number}.jpg").unlink()
    assert splits.is_bsds500(tmp_path)  # nothing but these two: then they are


@pytest.mark.parametrize("folders", [(), ("train", "val", "test"), ("images",)])
def test_empty_folders(tmp_path, folders):
    for name in folders:
        (tmp_path / name).mkdir()
    assert not splits.is_bsds500(tmp_path)
    with pytest.raises(InputError, match="holds no picture"):
        splits.training_pictures(tmp_path)
    with pytest.raises(InputError, match="is not BSDS500"):
        splits.bsd68(tmp_path)
