"""Uploads lie in a private folder with an end, and their names are names."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from pnp_recon.cli.serve import store as stores
from pnp_recon.cli.serve.store import FullError, Store, clean_name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a/b/..", "upload"),
        ("", "upload"),
        (".bashrc", "bashrc"),
        ("Müllers Hund [3].png", "Müllers_Hund__3_.png"),
        ("*.png", "png"),
        ("x:y[0].npy", "x_y_0_.npy"),
        ("nul\0l.png", "nul_l.png"),
    ],
)
def test_a_name_is_a_name(given: str, kept: str) -> None:
    assert clean_name(given) == kept


def test_a_long_name_keeps_its_suffix() -> None:
    for letter in "xé一𠀀":
        kept = clean_name(letter * 500 + ".tiff")
        assert kept.endswith(f"{letter}.tiff")
        assert 100 < len(kept.encode()) <= 180  # a file system takes 255, results are longer
    assert len(clean_name("x." + "𠀀" * 500).encode()) <= 180


def test_the_folder_is_private_and_goes(tmp_path: Path) -> None:
    store = Store(1000, tmp_path)
    if os.name == "posix":
        assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    job = store.new("photo.png")
    (job.folder / job.name).write_bytes(b"x")
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_is_removed_and_what_another_tends_stays(tmp_path: Path) -> None:
    left, tended = Store(1000, tmp_path), Store(1000, tmp_path)
    long_ago = time.time() - 2 * stores.STALE
    os.utime(left.root / stores.HEARTBEAT, (long_ago, long_ago))
    (tmp_path / f"{stores.PREFIX}other").mkdir()  # without a heartbeat: not ours to judge
    Store(1000, tmp_path)
    assert not left.root.exists()
    assert tended.root.exists()
    assert (tmp_path / f"{stores.PREFIX}other").exists()


def test_an_old_job_is_forgotten_unless_it_is_in_use(tmp_path: Path) -> None:
    store = Store(1000, tmp_path)
    old, busy, seen, new = (store.new(f"{k}.png") for k in range(4))
    for job in (old, busy, seen):
        job.touched -= 2 * stores.KEPT
        job.state["phase"] = "ready"
    busy.state["phase"] = "working"
    seen.listeners = 1
    store.sweep()
    assert set(store.jobs.values()) == {busy, seen, new}
    assert not old.folder.exists()


def test_the_disk_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    store = Store(1000, tmp_path)
    jobs = []
    for k in range(3 * stores.ROOM):
        job = store.new(f"{k}.png")
        (job.folder / job.name).write_bytes(b"x" * 1000)
        job.state["phase"] = "ready"
        jobs.append(job)
        held = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert held <= store.room
    assert jobs[-1].id in store.jobs
    assert jobs[0].id not in store.jobs


@pytest.mark.parametrize("phase", ["sending", "waiting", "working"])
def test_what_is_in_use_is_not_removed_for_another(tmp_path: Path, phase: str) -> None:
    store = Store(1000, tmp_path)
    for k in range(stores.ROOM):
        job = store.new(f"{k}.png")
        job.state["phase"] = phase
        if phase != "sending":  # of what is being sent nothing has arrived, and all may come
            (job.folder / job.name).write_bytes(b"x" * 1000)
    with pytest.raises(FullError, match="as many pictures as it may"):
        store.new("more.png")
    assert len(store.jobs) == stores.ROOM


def test_an_upload_may_be_called_as_the_folder_of_results(tmp_path: Path) -> None:
    store = Store(1000, tmp_path)
    for name in ("out", "Out"):
        job = store.new(name)
        assert not (job.folder / job.name).exists()
        assert (job.folder / "out").is_dir()


def test_a_folder_that_was_tidied_away_does_not_end_the_server(tmp_path: Path) -> None:
    store = Store(1000, tmp_path)
    store.close()
    store.sweep()
