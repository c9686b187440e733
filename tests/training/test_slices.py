"""Which slices are trained on and which validated on; archives, folders, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.unrolled.slices import load_slices
from support.pictures import assert_one_line
from support.slices import SIDE, save_archive, slices, write_dicom


def marked(value: float) -> np.ndarray:
    return np.full((SIDE, SIDE), value, np.float32)


def test_splits_of_an_archive_are_kept_apart(tmp_path):
    split = ["val" if i % 4 == 1 else "train" for i in range(12)]
    patient = [f"p{i % 4}" for i in range(12)]
    file = save_archive(tmp_path / "a.npz", split=split, patient=patient)
    data = load_slices(file, SIDE)
    assert data.training_numbers == (0, 2, 3, 4, 6, 7, 8, 10, 11)
    assert data.validation_numbers == (1, 5, 9)
    assert data.training.shape == (9, 1, SIDE, SIDE)
    assert torch.equal(
        data.training[1:2], slices(12, 32)[2:3].unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    )
    assert data.description["slices"] == 9
    assert data.description["patients"] == 3
    patient[1] = "p0"
    with pytest.raises(InputError, match="patient p0 is in train and in val") as caught:
        load_slices(save_archive(tmp_path / "b.npz", split=split, patient=patient), SIDE)
    assert_one_line(caught.value)


def test_whole_patients_are_held_out_where_there_are_no_splits(tmp_path):
    patient = [f"p{i // 3}" for i in range(12)]
    data = load_slices(save_archive(tmp_path / "a.npz", patient=patient), SIDE)
    whose = [
        {patient[i] for i in part} for part in (data.training_numbers, data.validation_numbers)
    ]
    assert whose == [{"p0", "p1", "p3"}, {"p2"}]
    # Twin: without the patients the slices beside the one held out are trained on.
    alone = load_slices(save_archive(tmp_path / "b.npz"), SIDE)
    assert len(alone.validation_numbers) == 2
    assert alone.description["patients"] == "not known"
    one = load_slices(save_archive(tmp_path / "c.npz", patient=["p"] * 12), SIDE)
    assert len(one.training) == 12
    assert one.validation.shape == (0, 1, SIDE, SIDE)


def test_subsets_follow_from_the_seed_and_lie_in_each_other(tmp_path):
    file = save_archive(tmp_path / "a.npz", split=["train"] * 10 + ["val"] * 2)
    chosen = {n: set(load_slices(file, SIDE, n, seed=1).training_numbers) for n in (2, 5, 10)}
    assert chosen[2] < chosen[5] < chosen[10] == set(range(10))
    assert set(load_slices(file, SIDE, 2, seed=1).training_numbers) == chosen[2]
    others = {load_slices(file, SIDE, 2, seed=s).training_numbers for s in range(6)}
    assert len(others) > 2
    for count in (0, 11):
        with pytest.raises(InputError, match=f"{count} slices are .* expected 1 to 10"):
            load_slices(file, SIDE, count)


def test_a_folder_of_arrays_and_pictures_with_its_hash(tmp_path):
    for part, values in (("train", (0.0, 100.0, 200.0)), ("val", (300.0,))):
        (tmp_path / part).mkdir()
        for value in values:
            np.save(tmp_path / part / f"{value:.0f}.npy", marked(value))
    write_picture(tmp_path / "train" / "grey.png", torch.full((1, 1, SIDE, SIDE), 1.0))
    data = load_slices(tmp_path, SIDE)
    assert data.training[:, 0, 0, 0].tolist() == [0, 100, 200, 1500]
    assert data.validation[:, 0, 0, 0].tolist() == [300]
    assert data.description["validation_slices"] == ["val/300.npy"]
    assert load_slices(tmp_path, SIDE).description == data.description
    np.save(tmp_path / "train" / "100.npy", marked(101.0))
    assert load_slices(tmp_path, SIDE).description["sha256"] != data.description["sha256"]


def test_dicom_slices_bring_their_patients(tmp_path):
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs pydicom")
    for i in range(6):
        stored = np.full((SIDE, SIDE), 500 + i, np.int16)
        write_dicom(tmp_path / f"{i}.dcm", stored, PatientID=f"p{i // 2}")
    assert pydicom.dcmread(tmp_path / "0.dcm").PatientID == "p0"
    data = load_slices(tmp_path, SIDE)
    assert data.training_numbers == (0, 1, 4, 5)
    assert data.validation_numbers == (2, 3)
    assert data.validation[:, 0, 0, 0].tolist() == [4.0, 6.0]  # slope 2, intercept −1000


def test_what_cannot_be_read_is_one_line(tmp_path):
    file = save_archive(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", values=np.zeros(3))
    save_archive(tmp_path / "c.npz", patient=["p"] * 3)
    save_archive(tmp_path / "d.npz", split=["test"] * 12)
    (tmp_path / "empty").mkdir()
    (tmp_path / "wide").mkdir()
    np.save(tmp_path / "wide" / "w.npy", np.zeros((16, 32), np.float32))
    (tmp_path / "deep").mkdir()
    np.save(tmp_path / "deep" / "d.npy", np.zeros((2, 16, 16), np.float32))
    for source, size, words in [
        (file, 24, r"a.npz\[\d+\]: slices of 32×32 .* see --size"),
        (tmp_path / "b.npz", SIDE, "holds values; expected an archive"),
        (tmp_path / "c.npz", SIDE, "3 entries in patient for 12 slices"),
        (tmp_path / "d.npz", SIDE, "no slices for training"),
        (tmp_path / "none.npz", SIDE, "does not exist"),
        (tmp_path / "none", SIDE, "is no folder"),
        (tmp_path / "empty", SIDE, "holds no picture"),
        (tmp_path / "wide", SIDE, "16×32"),
        (tmp_path / "deep", SIDE, "expected a slice in HU"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            load_slices(source, size)
        assert_one_line(caught.value)
