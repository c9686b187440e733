"""`pnp-bench run`: killed, resumed, in processes, on a cluster, the table is the same."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pnp_recon.benchmark import engine, runner
from pnp_recon.benchmark.store import Results
from support.benchmark import bench, error, folder_of_pictures, own_file, start, table


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "pictures")


# ---- killed, resumed ----------------------------------------------------------------------


def test_a_killed_run_is_resumed_to_the_same_table(data: Path, tmp_path: Path) -> None:
    mine = own_file(tmp_path)
    options = ["--methods", f"{mine}:stalls,wavelet", "--noise", "5,15,25"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(data, whole, *options) == 0
    command = [sys.executable, "-m", "pnp_recon.cli.bench", "run", "denoise", "--data", str(data)]
    command += ["-o", str(killed), "--threads", "1", "--quiet", *options]
    root = Path(__file__).resolve().parents[2]
    # A method is called twice for each row; it stalls in its third row, whatever the machine.
    environment = {**os.environ, "PYTHONPATH": str(root), "STALL_AFTER": "4"}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    csv, expected = killed / "results.csv", 1 + 4  # the head, and two rows of either method
    while not (csv.exists() and csv.read_text().count("\n") >= expected):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 4 == len(Results.open(killed).rows) < len(table(whole))
    assert bench("run", "--resume", "-o", killed, "--quiet") == 0
    assert table(killed) == table(whole)


def test_a_line_that_was_cut_off_is_run_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet") == 0
    before = table(out)
    csv = out / "results.csv"
    csv.write_bytes(csv.read_bytes()[:-40])
    torn = csv.read_bytes()
    assert len(Results.open(out).todo()) == 1
    assert bench("report", out, "--quiet") == 0
    assert csv.read_bytes() == torn  # who reads does not write: the run may still be going on
    assert start(data, out, "--methods", "wavelet", "--resume") == 0
    assert table(out) == before


def test_resume_refuses_another_plan(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--noise", "5") == 0
    assert start(data, out, "--methods", "wavelet", "--noise", "15", "--resume") == 2
    assert "has other problems" in error(capsys)
    assert start(data, out, "--methods", "wavelet", "--noise", "5") == 2
    assert "--resume" in error(capsys)


def test_resume_refuses_half_a_plan(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--noise", "5") == 0
    assert bench("run", "--resume", "-o", out, "--noise", "15", "--quick", "--quiet") == 2
    assert "takes --noise, --quick from the run" in error(capsys)


def test_retrying_needs_a_run_to_resume(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--retry-failed") == 2
    assert "--retry-failed goes with --resume" in error(capsys)
    assert not out.exists()


def test_the_data_may_have_moved(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--noise", "5") == 0
    before = table(out)
    csv = out / "results.csv"
    csv.write_text("".join(csv.read_text().splitlines(keepends=True)[:2]))
    moved = data.rename(tmp_path / "elsewhere")
    assert bench("run", "--resume", "-o", out, "--data", moved, "--quiet") == 0
    assert table(out) == before


def test_resume_refuses_a_model_that_changed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert start(data, out, "--methods", "euler_grey", "--noise", "5", "--images", "1") == 0
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["methods"]["euler_grey"]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert bench("run", "--resume", "-o", out, "--quiet") == 2
    assert "weights of euler_grey" in error(capsys)


def test_a_full_disk_is_said_and_what_was_written_stays(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert start(data, whole, "--methods", "wavelet") == 0
    real, calls = os.write, []

    def write(descriptor: int, block: bytes) -> int:
        calls.append(block)
        if len(calls) == 4:
            real(descriptor, block[:20])  # the last blocks of the disk
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, block)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        assert start(data, out, "--methods", "wavelet") == 2
    assert "the disk is full" in error(capsys)
    assert len(Results.open(out).rows) == 3
    assert bench("run", "--resume", "-o", out, "--quiet") == 0
    assert table(out) == table(whole)


# ---- executors ----------------------------------------------------------------------------


@pytest.fixture
def serial(data: Path, tmp_path: Path) -> Path:
    out = tmp_path / "serial"
    assert start(data, out, "--methods", METHODS, "--noise", "25") == 0
    return out


METHODS = "tv,wavelet,euler_grey"


def test_processes_give_the_table_of_one(data: Path, tmp_path: Path, serial: Path) -> None:
    out = tmp_path / "processes"
    assert start(data, out, "--methods", METHODS, "--noise", "25", "--jobs", "2") == 0
    assert table(out) == table(serial)


def test_dask_gives_the_table_of_one(data: Path, tmp_path: Path, serial: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    out = tmp_path / "dask"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path
    ) as cluster:
        address = cluster.scheduler_address
        assert start(data, out, "--methods", METHODS, "--noise", "25", "--dask", address) == 0
    assert table(out) == table(serial)


def test_executors_that_disagree_would_be_noticed(
    data: Path, tmp_path: Path, serial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.run_cell
    monkeypatch.setattr(
        runner, "run_cell", lambda plan, cell: real(plan, cell.__class__(
            cell.suite, cell.degradation, cell.picture, cell.index + 1, cell.method)))  # fmt: skip
    out = tmp_path / "other"
    assert start(data, out, "--methods", METHODS, "--noise", "25") == 0
    assert table(out) != table(serial)


def test_no_scheduler_at_the_address(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    monkeypatch.setattr(engine, "DASK_PATIENCE", 1)
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--dask", "tcp://127.0.0.1:9") == 2
    assert "no Dask scheduler answers" in error(capsys)
