"""`pnp-ct --slices`: each slice as `--slice I` gives it, kept through stops, kills and failures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnp_recon.cli.ct import main
from pnp_recon.cli.ct.options import CtMethod, CtOptions
from pnp_recon.cli.ct.volume import session, worker
from pnp_recon.files import shipped
from pnp_recon.volumes import store
from support.cli import only_line
from support.ct_files import SIZE, save_counts

ROOT = Path(__file__).resolve().parents[2]
SLICES = 5
TV = ["--method", "tv", "--tol", "1e-3", "--strength", "1.5", "-q"]
FBP = ["--method", "fbp", "-q"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_counts(tmp_path_factory.mktemp("scan") / "s.h5", SLICES)


def run(*args: object) -> int:
    return main([*map(str, args)])


def rows(path: Path) -> list[dict[str, Any]]:
    lines = path.with_name(f"{path.name}.slices.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def summary(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        path.with_name(f"{path.name}.summary.json").read_text(encoding="utf-8")
    )
    return found


def test_a_slice_is_what_it_is_alone(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "v.npy"
    args = [scan, "--slices", "0:5:2", *TV[:-1]]
    assert run(*args, "-o", out) == 0
    said = capsys.readouterr().out
    assert "3 certified, 0 not certified, 0 failed" in said
    assert "memory: about" in said
    shared = summary(out)["shared"]
    low, high = (shared["view"]["window"][end] for end in ("low", "high"))
    alone = ["--axis", shared["axis"], "--window", f"{low!r},{high!r}", "--no-picture"]
    assert run(scan, "--slice", 2, *TV, *alone, "-o", tmp_path / "one.npy") == 0
    volume, one = np.load(out), np.load(tmp_path / "one.npy")
    np.testing.assert_allclose(volume[1], one, atol=1e-7)
    assert np.abs(volume[0] - one).max() > 1e-4  # the neighbours are others
    found = rows(out)
    assert [row["slice"] for row in found] == [0, 2, 4]
    for row in found:
        assert row["certified"]
        assert row["certificate"]["theorem"]
        assert row["residual"] <= 1e-3
    bounds = {
        constant["value"]
        for row in found
        for constant in row["certificate"]["constants"]
        if "‖A‖" in constant["name"]
    }
    assert len(bounds) <= 1


def test_the_strength_is_found_on_three_slices(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "v.h5"
    args = ["--method", "tv", "--tol", "1e-2", "-o", out, "--film", tmp_path / "f.gif"]
    assert run(scan, "--slices", "all", *args) == 0
    shared = summary(out)["shared"]
    assert len(shared["strengths"]) == 3
    assert shared["strength"] == sorted(shared["strengths"])[1]
    assert "the median of what first, middle and last" in capsys.readouterr().out
    for name in ("v.h5.views.png", "f.gif"):
        assert (tmp_path / name).stat().st_size > 1000


def test_several_slices_of_one_run_are_told_from_a_volume(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for number in ("1:3", "1"):
        args = ["--slice", number, "--method", "fbp", "-o", tmp_path / f"{number[-1]}.npy"]
        assert run(scan, *args) == 0
        said.append(capsys.readouterr().out)
    assert "2 are one run in memory with one certificate; --slices, with an s, makes" in said[0]
    assert "--slices" not in said[1]


# ---- stops, kills, failures ----------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_done_and_goes_on(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole.npy", tmp_path / "v.npy"
    assert run(scan, "--slices", "all", *FBP, "-o", whole) == 0
    real, seen = worker._slice, []

    def third(*args: Any) -> Any:
        seen.append(args[2])
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(worker, "_slice", third)
    args = [scan, "--slices", "all", *FBP, "-o", out]
    assert run(*args) == 130
    assert "2 of 5 slices are kept" in capsys.readouterr().err
    assert summary(out)["missing"] == 3
    assert np.isnan(np.load(out)[2:]).all()
    assert run(*args) == 0
    assert seen == [0, 1, 2, 2, 3, 4]
    np.testing.assert_array_equal(np.load(out), np.load(whole))
    capsys.readouterr()
    assert run(*args) == 0  # nothing is left to do
    assert len(seen) == 6
    capsys.readouterr()
    assert run(*args, "--cutoff", "0.5") == 2
    assert "was begun with cutoff 1.0, not 0.5" in only_line("pnp-ct", capsys.readouterr().err)
    assert run(scan, "--slices", "0:4", *FBP, "-o", out) == 2
    assert run(scan, "--slices", "0:4", *FBP, "-o", out, "--overwrite") == 0
    assert np.load(out).shape == (4, SIZE, SIZE)


def put_model(folder: Path, name: str) -> Path:
    """A shipped model under the name `mine`; returns its path without a suffix."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(shipped("trained_models") / f"{name}{suffix}", folder / f"mine{suffix}")
    return folder / "mine"


def test_another_prior_of_the_same_name_is_another_volume(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = put_model(tmp_path, "euler_grey")
    args = [scan, "--slices", "0:1", "--strength", 1, "--max-iter", 1, "-q"]
    args += ["--denoiser", model, "-o", tmp_path / "v.npy"]
    assert run(*args) == 3
    assert run(*args) == 3  # the same prior goes on
    put_model(tmp_path, "euler_ct")
    capsys.readouterr()
    assert run(*args) == 2
    assert f"was begun with denoiser {model} (" in only_line("pnp-ct", capsys.readouterr().err)
    # The twin: with names alone the old slices would be taken for those of the other prior.
    put_model(tmp_path, "euler_grey")
    monkeypatch.setattr(session, "_with_weights", str)
    assert run(*args, "--overwrite") == 3
    put_model(tmp_path, "euler_ct")
    assert run(*args) == 3
    assert "euler_grey" in rows(tmp_path / "v.npy")[0]["prior"]["name"]


def test_what_auto_means_is_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = CtOptions(inputs=["s.h5"])
    before = session.settings_of(asked)
    assert session.settings_of(asked) == before
    monkeypatch.setattr(session, "auto_denoiser", lambda: "euler_grey")
    assert session.settings_of(asked)["denoiser"] != before["denoiser"]
    assert session.settings_of(replace(asked, method=CtMethod.tv))["denoiser"] == "auto"


KILLED = """
import os, signal, sys
from pnp_recon.cli.ct import main
from pnp_recon.volumes import store

write = store._Block.write

def half(self, place, values):
    if place != 2:
        return write(self, place, values)
    with open(self.path, "r+b") as handle:
        handle.seek(self.offset + place * self.size)
        handle.write(store._bytes(values)[: self.size // 2])
    os.kill(os.getpid(), signal.SIGKILL)

store._Block.write = half
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_in_the_middle_of_a_slice(scan: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.h5", tmp_path / "v.h5"
    assert run(scan, "--slices", "all", *FBP, "-o", whole) == 0
    args = [str(scan), "--slices", "all", *FBP, "-o", str(out)]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [row["slice"] for row in rows(out)] == [0, 1]
    assert run(*args) == 0
    both = (store.open_store(p, (SLICES, SIZE, SIZE), fresh=False) for p in (whole, out))
    first, second = (np.stack([one.read(k) for k in range(SLICES)]) for one in both)
    np.testing.assert_array_equal(first, second)


def test_gaps_are_those_of_their_slice(tmp_path: Path) -> None:
    """A slab is read at once; the masks of its slices go with them."""
    import h5py

    scan, out = save_counts(tmp_path / "s.h5", 3), tmp_path / "v.npy"
    with h5py.File(scan, "r+") as file:
        values = file["exchange/data"][()].astype(np.float32)
        values[:, 1, 30] = np.nan
        del file["exchange/data"]
        file["exchange/data"] = values
    assert run(scan, "--slices", "all", *TV[:-1], "-q", "-o", out) == 0
    shared = summary(out)["shared"]
    low, high = (shared["view"]["window"][end] for end in ("low", "high"))
    alone = ["--axis", shared["axis"], "--window", f"{low!r},{high!r}", "--no-picture"]
    assert run(scan, "--slice", 1, *TV, *alone, "-q", "-o", tmp_path / "one.npy") == 0
    volume, one = np.load(out), np.load(tmp_path / "one.npy")
    np.testing.assert_allclose(volume[1], one, atol=1e-7)
    notes = [" ".join(row.get("notes", ())) for row in rows(out)]
    assert ["are missing" in note for note in notes] == [False, True, False]


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_slice_loses_no_other(
    damaged: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import h5py

    scan, out = save_counts(tmp_path / "s.h5", SLICES), tmp_path / "v"
    with h5py.File(scan, "r+") as file:
        values = file["exchange/data"][()].astype(np.float32)
        values[:9, damaged] = np.nan
        del file["exchange/data"]
        file["exchange/data"] = values
    assert run(scan, "--slices", "all", *FBP, "-o", out) == 2
    found = summary(out)
    assert (found["failed"], found["uncertified"]) == (1, 4)  # a formula has no certificate
    assert found["failures"][0][0] == damaged
    assert "are missing" in found["failures"][0][1]
    assert len(list(out.glob("slice_*.tif"))) == SLICES
    again = store.open_store(out, (SLICES, SIZE, SIZE), fresh=False)
    lost = [k for k in range(SLICES) if np.isnan(again.read(k)).any()]
    assert lost == [damaged]
    assert "4 not certified, 1 failed" in capsys.readouterr().out


def test_a_certificate_that_is_required(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.npy"
    args = [scan, "--slices", "0:2", "--method", "sirt", "--require-certificate", "-q", "-o", out]
    assert run(*args) == (0 if all(row["certified"] for row in rows(out)) else 4)


def test_what_does_not_go_together(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for args, words in (
        (["--workers", 2], "add --slices all"),
        (["--slices", "0:9"], "the scan holds 5 slices"),
        (["--slices", "all", "--report", tmp_path / "r"], "--report does not go with --slices"),
        (["--slices", "all", "--slice", "1"], "--slice does not go with --slices"),
        (["--slices", "all", "-o", tmp_path / "a.png"], "expected .zarr"),
        (["--slices", "all", "-o", scan, "--overwrite"], "it is the scan itself"),
        (["--slices", "all", "--film", tmp_path / "a.avi"], "is a GIF or an MP4"),
        (["--slices", "3"], "give --slice 3 for the slice with its report, or --slices 3:4"),
        (["--slice", "0:5", "-o", tmp_path / "a.zarr"], "which --slices writes; add --slices all"),
        (["--slices", "all", "-o", tmp_path / "no" / "a.h5"], "the folder does not exist"),
    ):
        assert run(scan, *FBP, *args) == 2, args
        assert words in only_line("pnp-ct", capsys.readouterr().err)
    (tmp_path / "mine.npy").write_bytes(b"something else")
    assert run(scan, *FBP, "--slices", "all", "-o", tmp_path / "mine.npy") == 2
    assert (tmp_path / "mine.npy").read_bytes() == b"something else"


def test_json_is_the_summary(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "v.npy"
    assert run(scan, "--slices", "1:3", "--method", "fbp", "--json", "-o", out) == 0
    assert json.loads(capsys.readouterr().out) == summary(out)


# ---- processes and clusters ----------------------------------------------------------------------


@pytest.mark.slow
def test_processes_give_the_same(scan: Path, tmp_path: Path) -> None:
    for name, more in (("one.npy", []), ("two.npy", ["--workers", 2])):
        assert run(scan, "--slices", "all", *TV, *more, "-o", tmp_path / name) == 0
    np.testing.assert_allclose(
        np.load(tmp_path / "one.npy"), np.load(tmp_path / "two.npy"), atol=1e-7
    )
    assert sorted(row["slice"] for row in rows(tmp_path / "two.npy")) == list(range(SLICES))


@pytest.mark.slow
def test_a_cluster_gives_the_same(scan: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    assert run(scan, "--slices", "all", *FBP, "-o", tmp_path / "one.npy") == 0
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        more = ["--dask", cluster.scheduler_address]
        assert run(scan, "--slices", "all", *FBP, *more, "-o", tmp_path / "two.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), np.load(tmp_path / "two.npy"))
