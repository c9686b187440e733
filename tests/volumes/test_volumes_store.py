"""Volumes on disk: every format gives back what was written, slice by slice, and NaN elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pnp_recon.errors import InputError, OutputError
from pnp_recon.volumes import figure
from pnp_recon.volumes.ledger import Ledger, difference
from pnp_recon.volumes.plan import LARGEST_SLAB, Plan, parse_slices, probes, runs, slab_size, slabs
from pnp_recon.volumes.run import forget_changed
from pnp_recon.volumes.store import hash_of, open_store
from pnp_recon.volumes.summary import summarise

SHAPE = (4, 5, 6)
NAMES = ("a.npy", "a.h5", "a.tif", "a.zarr", "folder")


def plan(slices: range = range(4), **settings: object) -> Plan:
    return Plan("0" * 64, slices, SHAPE[1:], settings, {})


def slice_of(value: float) -> np.ndarray:
    return (value + np.arange(30).reshape(5, 6)).astype(np.float32)


def loaded(path: Path) -> np.ndarray:
    """The volume as other programs read it."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path) as file:
            return file["volume"][()]
    if path.suffix == ".zarr":
        about = json.loads((path / ".zarray").read_text(encoding="utf-8"))
        out = np.full(about["shape"], float(about["fill_value"]), about["dtype"])
        for place in range(len(out)):
            if (path / f"{place}.0.0").exists():
                chunk = np.fromfile(path / f"{place}.0.0", about["dtype"])
                out[place] = chunk.reshape(about["chunks"][1:])
        return out
    import tifffile

    if path.suffix == ".tif":
        return tifffile.imread(path)
    return np.stack([tifffile.imread(one) for one in sorted(path.iterdir())])


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_there_after_it_was_opened_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    store = open_store(path, SHAPE, fresh=True)
    store.write(2, slice_of(2))
    again = open_store(path, SHAPE, fresh=False)
    again.write(0, slice_of(0))
    np.testing.assert_array_equal(again.read(2), slice_of(2))
    assert np.isnan(again.read(1)).all()
    values = loaded(path)
    if name == "folder":
        assert [one.name for one in sorted(path.iterdir())] == [
            "slice_00000.tif",
            "slice_00002.tif",
        ]
        np.testing.assert_array_equal(values, [slice_of(0), slice_of(2)])
    else:
        assert values.shape == SHAPE
        np.testing.assert_array_equal(values[[0, 2]], [slice_of(0), slice_of(2)])
        assert np.isnan(values[[1, 3]]).all()
    fresh = open_store(path, SHAPE, fresh=True)
    assert np.isnan(fresh.read(2)).all()


def test_zarr_reads_it(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    open_store(tmp_path / "a.zarr", SHAPE, fresh=True).write(1, slice_of(1))
    found = zarr.open(str(tmp_path / "a.zarr"), mode="r")
    np.testing.assert_array_equal(found[1], slice_of(1))
    assert np.isnan(found[0]).all()


@pytest.mark.parametrize("name", NAMES[:3])
def test_another_shape_or_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    open_store(path, SHAPE, fresh=True)
    with pytest.raises(InputError, match="has the shape"):
        open_store(path, (4, 5, 7), fresh=False)
    path.write_bytes(b"no volume")
    with pytest.raises(InputError, match="damaged"):
        open_store(path, SHAPE, fresh=False)
    path.unlink()
    with pytest.raises(InputError, match="not there"):
        open_store(path, SHAPE, fresh=False)
    with pytest.raises(OutputError, match=r"expected \.zarr"):
        open_store(tmp_path / "a.png", SHAPE, fresh=True)


# ---- plan and ledger -----------------------------------------------------------------------------


def test_slices_are_parsed() -> None:
    assert parse_slices("all", 9) == range(9)
    assert parse_slices("2:7:2", 9) == range(2, 7, 2)
    assert parse_slices(":", 9) == range(9)
    assert parse_slices("4:5", 9) == range(4, 5)
    for wrong in ("x", "4", "0:10", "3:3", "-1:2", "0:4:0", "0:1:1:1"):
        with pytest.raises(InputError, match="--slices is"):
            parse_slices(wrong, 9)
    assert probes(range(2, 9, 3)) == [2, 5, 8]
    assert probes(range(1)) == [0]


def test_slabs_have_gaps_read_apart() -> None:
    assert slabs([0, 1, 2, 5, 6], 3) == [(0, 1, 2), (5, 6)]
    assert runs((0, 1, 4)) == [slice(0, 2), slice(4, 5)]
    assert slab_size(1000, 10**9, 1, 100) == LARGEST_SLAB
    assert slab_size(1000, 10**9, 4, 16) == 2  # all have something to do
    assert slab_size(10**8, 10**9, 1, 100) == 1  # one slice, however large


def test_a_ledger_survives_a_kill_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    ledger = Ledger.create(path, plan(tol=0.1))
    for number in (0, 3):
        ledger.add({"slice": number, "status": "converged", "certified": True})
    ledger.add({"slice": 1, "status": "failed", "message": "no", "exit_code": 2})
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for cut in range(head, len(whole) + 1):
        path.write_bytes(whole[:cut])
        again = Ledger.read(path)
        assert len(again.rows) == whole[head:cut].count(b"\n")
        again.mend()
        again.add({"slice": 2, "status": "converged", "certified": False})
        assert 2 in Ledger.read(path).rows
    assert Ledger.read(path).todo() == [1]  # what failed is tried again
    assert Ledger.read(path).plan == plan(tol=0.1)
    path.write_bytes(whole[: head - 5])
    with pytest.raises(InputError, match="damaged"):
        Ledger.read(path)


@pytest.mark.parametrize("name", NAMES)
def test_slices_that_were_written_over_are_computed_again(tmp_path: Path, name: str) -> None:
    store = open_store(tmp_path / name, SHAPE, fresh=True)
    ledger = Ledger.create(tmp_path / "rows", plan())
    for place in range(3):
        store.write(place, slice_of(place))
        ledger.add({"slice": place, "status": "converged", "sha256": hash_of(slice_of(place))})
    assert forget_changed(ledger, store) == []  # the twin: as they were written
    store.write(1, slice_of(1.5))
    assert forget_changed(ledger, store) == [1]
    assert ledger.todo() == [1, 3]


def test_without_mending_a_cut_line_spoils_the_next(tmp_path: Path) -> None:
    """What `mend` is for."""
    path = tmp_path / "l.jsonl"
    Ledger.create(path, plan())
    path.write_bytes(path.read_bytes() + b'{"slice": 0, "sta')
    again = Ledger.read(path)
    again.add({"slice": 2, "status": "converged"})
    with pytest.raises(InputError, match="damaged"):
        Ledger.read(path)


def test_plans_that_differ_say_in_what() -> None:
    assert difference(plan(tol=1), plan(tol=1)) == ""
    assert difference(plan(tol=1), plan(tol=2)) == "tol 1, not 2"
    assert "0:4:1, not 0:2:1" in difference(plan(), plan(range(2)))
    assert plan(tol=1).fingerprint != plan(tol=2).fingerprint


def test_a_summary_counts_each_slice_once() -> None:
    def row(number: int, certified: bool, seconds: float, residual: float | None) -> dict:
        return {
            "slice": number,
            "status": "converged",
            "certified": certified,
            "seconds": seconds,
            "residual": residual,
        }

    rows = [row(0, True, 2.0, 1e-5), row(1, False, 3.0, 1e-3), row(2, True, 1.0, None)]
    rows.append({"slice": 3, "status": "failed", "message": "NaN", "exit_code": 2})
    found = summarise(rows, 6)
    assert (found.certified, found.uncertified, found.failed, found.missing) == (2, 1, 1, 2)
    assert found.slowest == (1, 3.0)
    assert found.worst == (1, 1e-3)
    assert "failed: slice 3: NaN" in found.lines()
    assert "ended: 3 converged: the relative residual reached the tolerance" in found.lines()
    rows = [row(0, False, 1.0, None) | {"status": name} for name in ("direct", "of_old")]
    assert (
        "ended: 1 computed by a formula, without iteration; 1 of_old" in summarise(rows, 2).lines()
    )
    assert summarise([], 2).lines() == ["slices: 2: 0 certified, 0 not certified, 0 failed, "
                                        "2 not done"]  # fmt: skip


# ---- pictures ------------------------------------------------------------------------------------


def test_the_middle_planes_and_a_film(tmp_path: Path) -> None:
    from PIL import Image

    values = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    store = open_store(tmp_path / "a.npy", SHAPE, fresh=True)
    for place, one in enumerate(values):
        store.write(place, one)
    middle, across, along = figure.middle_planes(store, SHAPE)
    np.testing.assert_array_equal(middle, values[2])
    np.testing.assert_array_equal(across, values[:, 2])
    np.testing.assert_array_equal(along, values[:, :, 3])
    assert figure.views_png(store, SHAPE, (0, 1), "1/mm", 2)[:4] == b"\x89PNG"
    figure.check_film(tmp_path / "a.gif")
    figure.write_film(tmp_path / "a.gif", store, SHAPE, (0, 1))
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 4
        assert film.size == (6, 5)
    with pytest.raises(OutputError, match="is a GIF or an MP4"):
        figure.check_film(tmp_path / "a.avi")


# The library leaves pipes to be closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_film_as_mp4(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs pnp-recon[film]")
    store = open_store(tmp_path / "a.npy", SHAPE, fresh=True)
    for place in range(SHAPE[0]):
        store.write(place, slice_of(place))
    figure.check_film(tmp_path / "a.mp4")
    figure.write_film(tmp_path / "a.mp4", store, SHAPE, (0, 40))
    frames = ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    assert next(frames)["source_size"] == (6, 6)  # 6 × 5: odd sides get a row more
    assert len(list(frames)) == SHAPE[0]
    frames.close()


def test_without_ffmpeg_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(OutputError, match=r"pnp-recon\[film\]"):
        figure.check_film(tmp_path / "a.mp4")
