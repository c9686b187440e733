"""Pictures to train on: what is held out, and how a set is known again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pnp_recon.datasets.folders import load_training_data
from pnp_recon.datasets.splits import held_out
from pnp_recon.errors import InputError
from pnp_recon.pictures.files import read_picture, write_picture
from support.training import pictures


def write_pictures(folder: Path, count: int, side: int = 32) -> None:
    folder.mkdir()
    for index, picture in enumerate(pictures(count, 3, side)):
        write_picture(folder / f"{index:02}.png", picture[None].float() / 255)


def test_held_out_pictures_are_not_trained_on_and_are_described(tmp_path):
    write_pictures(tmp_path / "many", 11)
    data = load_training_data(tmp_path / "many", 1)
    assert (len(data.training), len(data.validation)) == (9, 2)
    assert data.description["validation_pictures"] == ["02.png", "08.png"]
    assert data.description["validation_held_out"]
    kept = {picture.numpy().tobytes() for picture in data.training}
    assert not kept & {picture.numpy().tobytes() for picture in data.validation}
    everything = load_training_data(tmp_path / "many", 1, hold_out=0)
    assert len(everything.training) == 11
    assert not everything.description["validation_held_out"]
    with pytest.raises(InputError, match="expected 0 to 10"):
        load_training_data(tmp_path / "many", 1, hold_out=11)


def test_held_out_indices_are_distinct():
    for count in range(1, 40):
        for number in range(1, count + 1):
            found = held_out(count, number)
            assert len(set(found)) == number
            assert 0 <= found[0] <= found[-1] < count


def test_the_data_hash_sees_a_changed_picture_and_no_names(tmp_path):
    write_pictures(tmp_path / "a", 3)
    key = "sha256_of_sorted_file_hashes"
    before = load_training_data(tmp_path / "a", 1, hold_out=0).description[key]
    (tmp_path / "a" / "02.png").rename(tmp_path / "a" / "99.png")
    assert load_training_data(tmp_path / "a", 1, hold_out=0).description[key] == before
    changed = read_picture(tmp_path / "a" / "99.png").pixels
    changed[0, 0, 0, 0] = 1 - changed[0, 0, 0, 0].round()
    write_picture(tmp_path / "a" / "99.png", changed, overwrite=True)
    assert load_training_data(tmp_path / "a", 1, hold_out=0).description[key] != before
