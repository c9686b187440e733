"""The benchmark for an accelerator, tiny on a CPU; its page with and without numbers; scripts."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from scripts.accelerator import bench, missing, report_bench
from scripts.accelerator.benches import block
from scripts.accelerator.benches.counts import Work, counted
from scripts.accelerator.checks.session import Found, Session
from support.accelerator import MISSING, ROOT, dry_run

SHELL = ROOT / "scripts" / "accelerator"
WITHOUT = (*MISSING, "jsonschema")


@pytest.mark.slow
def test_every_section_of_the_benchmark_reports_or_says_why_not(tmp_path: Path) -> None:
    record = dry_run("bench", bench.SECTIONS, tmp_path / "record.json", WITHOUT)
    found = record["sections"]
    assert record["errors"] == []
    assert found["reconstructions"]["deepinv pgd f32"].startswith("skipped: ")
    assert found["reconstructions"]["pnp-pgd f32"]["iterations"] == 2
    rows = found["denoisers"]["denoisers"]
    assert all(row["share"] > 0 for row in rows.values())
    assert "| not measured |  |" not in report_bench.page(record)


# ---- what is counted ---------------------------------------------------------------------------


def test_operations_and_bytes_of_a_convolution() -> None:
    x, weight = torch.rand(1, 3, 8, 10), torch.rand(5, 3, 3, 3)

    def run() -> object:
        return F.conv2d(x, weight, padding=1).view(-1) + 1

    work = counted(run)
    assert work.operations == 2 * 8 * 10 * 3 * 5 * 9
    out = 5 * 8 * 10
    assert work.convolution_bytes == 4 * (x.numel() + weight.numel() + out)
    assert work.bytes - work.convolution_bytes == 4 * 2 * out  # a view moves nothing


def test_the_larger_of_two_times_is_the_floor() -> None:
    session = Session("cpu", tiny=True)
    assert Work(1e9, 1e6, 1e6).floors(session, "f32") == {}
    session.ceilings.update(copy=1e9, f32=1e12)
    assert Work(1e9, 3e6, 1e6).floors(session, "f32") == {
        "arithmetic_ms": 1.0,
        "convolutions_moving_ms": 1.0,
        "convolutions_floor_ms": 1.0,
        "kernels_floor_ms": 3.0,
    }
    assert Work(5e9, 3e6, 1e6).floors(session, "f32")["convolutions_floor_ms"] == 5.0


@pytest.mark.parametrize(
    ("ms", "moving", "may"), [(4.0, 3.0, True), (2.5, 3.0, False), (4.0, 1.5, False)]
)
def test_a_fused_kernel_is_for_blocks_that_wait_for_memory(
    ms: float, moving: float, may: bool
) -> None:
    row = {"ms": ms, "convolutions_ms": 2.0, "convolutions_floor_ms": 1.0}
    found = block.decision(row | {"kernels_floor_ms": moving, "arithmetic_ms": 1.0})
    assert (found["decision"] == "a fused kernel may pay") == may


# ---- the page ----------------------------------------------------------------------------------


def test_the_page_in_the_documents_is_that_of_the_record_or_says_that_there_is_none() -> None:
    there = report_bench.RECORD.exists()
    record = json.loads(report_bench.RECORD.read_text(encoding="utf-8")) if there else {}
    page = report_bench.PAGE.read_text(encoding="utf-8")
    assert page == report_bench.page(record)
    assert (report_bench.EMPTY in page) == (not there)


def record() -> Found:
    row: dict[str, Any] = {"ms": 2.0, "share": 0.6, "peak_extra_MiB": 5.0}
    run = {"iterations": 7, "ms_per_iteration": 1.5, "seconds": 3.0, "psnr": 30.0}
    cut = {"ms": 1.0, "convolutions_ms": 0.8, "gain_at_most": 1.25, "decision": "no"}
    return {
        "total_s": 9.0,
        "sections": {
            "environment": {"gpu": "a card", "torch": "2.11"},
            "roofline": {"copy": {"gb_per_s": 4000.0}, "matmul f32": {"tflop_per_s": 50.0}},
            "denoisers": {"denoisers": {"euler_grey 1MP f32": row}},
            "processor": {
                "denoisers": {"euler_grey 1MP f32": {"ms": 80.0}},
                "reconstructions": {"dpir f32": {"seconds": 90.0}},
            },
            "synchronisations": {"inpaint none hqs": {"overhead_share": 0.07}},
            "compiled": {"euler_grey 1MP f32": {"eager": {"ms": 2.0}, "graph": {"ms": 1.0}}},
            "block": {"euler_ct f32 contiguous": cut},
            "reconstructions": {"dpir f32": run},
        },
    }


def test_numbers_of_the_record_are_on_the_page() -> None:
    page = report_bench.page(record())
    assert report_bench.EMPTY not in page
    assert "| at least 30 | 40 | yes |" in page
    assert "| at most 0.05 | 0.07 | no |" in page
    assert "| 2.00 | 5 | 60 % | 80.0 | 40 |" in page
    assert "| dpir | float32 | 7 | 1.50 | 3.00 | 90.0 | 30.00 |" in page
    for section, rows in record()["sections"].items():
        held = copy.deepcopy(record())
        del held["sections"][section]
        if section != "environment":
            assert report_bench.page(held) != page, (section, rows)


# ---- the shell scripts ---------------------------------------------------------------------------


def shell(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SHELL / script), *options],
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("script", ["check.sh", "bench.sh", "train.sh"])
def test_scripts_say_how_they_are_called(script: str) -> None:
    out = ("a", "out") if script == "train.sh" else ("out",)
    for options, word in (
        ((), "no folder for the results is given"),
        (("--colour",), "unknown option --colour"),
        (("out", "--minutes"), "--minutes needs a value"),
        ((*out, "more"), "more is one too many"),
        ((*out, "--minutes", "ten"), "--minutes is ten"),
        ((*out, "--minutes", "08"), "--minutes is 08, expected a whole number"),
        ((*out, "--minutes", "0"), "--minutes is 0, expected 1 or more"),
        ((*out, "--data", "/nonexist"), "--data is /nonexist, where nothing is"),
    ):
        done = shell(script, *options)
        assert done.returncode == 2
        assert word in done.stderr
        assert f"usage: {script}" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_without_a_device_a_script_ends_with_the_reason(tmp_path: Path) -> None:
    done = shell("bench.sh", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "no CUDA device is here; --dry-run runs on the CPU" in done.stderr
    assert "on the CPU" in (tmp_path / "out" / "missing.txt").read_text()


def test_what_is_missing_is_said_with_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing.lines(("torch",)) == []
    monkeypatch.setitem(sys.modules, "odl", None)
    assert missing.lines(("torch", "odl")) == [
        f"odl is not installed; left out: {missing.LEFT_OUT['odl']}"
    ]


@pytest.mark.slow
def test_a_dry_run_of_the_checks_fills_one_folder(tmp_path: Path) -> None:
    done = shell("check.sh", str(tmp_path), "--dry-run", "--minutes", "9")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "check.json",
        "check.md",
        "missing.txt",
        "tests.txt",
        "tests.xml",
    }
    if not torch.cuda.is_available():
        assert "no CUDA device is here" in (tmp_path / "tests.txt").read_text()
