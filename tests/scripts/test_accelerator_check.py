"""The checks for an accelerator run on a CPU, tiny; the page says what the record says."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.accelerator import check, report, sections
from scripts.accelerator.checks.session import Budget, Found, Late, Session
from support.accelerator import dry_run

# Attempts that measure how a mistake ends: in an error.
MISTAKES = {"float32 denoiser, float64 data"}


@pytest.mark.slow
def test_every_section_reports_or_says_why_not(tmp_path: Path) -> None:
    record = dry_run("check", check.SECTIONS, tmp_path / "record.json")
    found = record["sections"]
    assert {item["at"] for item in record["errors"]} == MISTAKES
    assert found["environment"]["modules"]["deepinv"] is False
    # A model of a library that is missing is left out with the reason, others are measured.
    agreement = found["denoisers"]["agreement"]
    assert agreement["dncnn_grey"].startswith("skipped: ")
    assert "deepinv" in agreement["dncnn_grey"]
    assert agreement["euler_grey"]["f32_vs_cpu_f32"]["max"] == 0
    trained = found["training"]["muon bf16=False C1"]
    assert trained["resume_equal"]
    assert 0 < trained["resumed_at"] < 4
    assert found["operators"]["tolerance_broken"] == []
    assert len(found["attacks"]["attacks"]) == 3
    assert found["tomography"]["matrix"]["parallel"]["vs_cpu"] == 0
    assert found["tomography"]["matrix"]["fan_flat"].startswith("skipped: ImportError: ODL")
    assert found["tomography"]["astra_cuda"]["cone"] == "skipped: no CUDA"
    assert found["command_line"]["pnp-deblur"]["exit"] == 3  # at its limit of iterations
    assert "## How exactly" in report.page(record)


@dataclass(frozen=True, kw_only=True)
class Given(sections.Section):
    """A section that is no module."""

    measure: Callable[[Session, Found, Budget], None]

    def load(self) -> sections.Measure:
        return self.measure


def good(session: Session, out: Found, budget: Budget) -> None:
    session.attempt(out, "sum", lambda: 1 + 1, budget)


def failing(session: Session, out: Found, budget: Budget) -> None:
    good(session, out, budget)
    raise ValueError("a section broke")


def partly(session: Session, out: Found, budget: Budget) -> None:
    session.attempt(out, "first", lambda: 1 / 0, budget)
    good(session, out, budget)


def foreign(session: Session, out: Found, budget: Budget) -> None:
    raise ModuleNotFoundError("No module named 'astra'")


def endless(session: Session, out: Found, budget: Budget) -> None:
    def wait() -> None:
        while True:
            try:
                time.sleep(60)
            except Exception:  # as a command may: it must not hold up the end
                continue

    session.attempt(out, "wait", wait, budget)


def ran(
    tmp_path: Path, *measures: Callable[..., None], limit: float = 300, going_on: bool = False
) -> Found:
    """What is written of these sections."""
    chosen = [Given(measure.__name__, 1, measure=measure) for measure in measures]
    sections.run(chosen, Session("cpu", tiny=True), limit, tmp_path / "record.json", going_on)
    record: Found = json.loads((tmp_path / "record.json").read_text())
    return record


def test_an_error_is_kept_and_stops_nothing(tmp_path: Path) -> None:
    record = ran(tmp_path, failing, partly, foreign, good)
    found = record["sections"]
    assert found["failing"]["error"] == "ValueError: a section broke"
    assert found["failing"]["sum"] == 2
    assert found["partly"]["first"] == {"error": "ZeroDivisionError: division by zero"}
    assert found["partly"]["sum"] == 2
    assert found["foreign"]["skipped"] == "ModuleNotFoundError: No module named 'astra'"
    assert found["good"]["sum"] == 2
    assert [item["at"] for item in record["errors"]] == ["failing", "first"]
    assert "a section broke" in record["errors"][0]["traceback"]


def test_sections_without_errors_have_none(tmp_path: Path) -> None:
    record = ran(tmp_path, good)
    assert record["errors"] == []
    assert not {"error", "cut", "skipped"} & set(record["sections"]["good"])


def test_a_section_that_takes_too_long_is_cut_and_the_next_has_its_turn(tmp_path: Path) -> None:
    found = ran(tmp_path, endless, good, limit=2)["sections"]
    assert found["endless"]["cut"] is True
    assert found["endless"]["wait"].startswith("cut: ")
    assert found["good"]["budget_s"] > 0


def test_the_end_of_the_time_is_no_exception_that_may_be_caught() -> None:
    assert not issubclass(Late, Exception)


def test_what_is_left_is_shared(tmp_path: Path) -> None:
    first, second = (ran(tmp_path, good, partly)["sections"][name] for name in ("good", "partly"))
    assert first["budget_s"] == pytest.approx(150, rel=0.01)
    assert second["budget_s"] > first["budget_s"]  # which left most of its share


def test_no_attempt_begins_after_the_time() -> None:
    out: Found = {}
    Session("cpu", tiny=True).attempt(out, "late", lambda: 1, Budget.of(-1))
    assert out["late"].startswith("skipped: ")


def test_unknown_sections_and_devices_are_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "record.json")
    with pytest.raises(SystemExit, match="unknown section 'speed'"):
        check.main([out, "--only", "speed,training"])
    assert [section.name for section in sections.chosen(check.SECTIONS, "operators,training")] == [
        "training",
        "operators",
    ]
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit) as refused:
            check.main([out, "--device", "cuda"])
        assert refused.value.code == 2


def deadly(session: Session, out: Found, budget: Budget) -> None:
    session.attempt(out, "before", lambda: 3, budget)
    session.ceilings["copy"] = 5.0
    session.attempt(out, "long", lambda: time.sleep(1.1), budget)  # what is found is written by now
    os.kill(os.getpid(), signal.SIGKILL)


def stuck(session: Session, out: Found, budget: Budget) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as a call in C holds it up
    time.sleep(60)


@pytest.mark.parametrize("measure", [deadly, stuck])
def test_where_a_section_ends_the_process_the_next_one_does_the_rest(
    measure: sections.Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "GRACE", 0.1)
    child = multiprocessing.get_context("fork").Process(
        target=ran, args=(tmp_path, failing, measure, good), kwargs={"limit": 4}
    )
    child.start()
    child.join(60)
    assert child.exitcode not in (0, None)
    left = json.loads((tmp_path / "record.json").read_text())["sections"]
    assert "good" not in left
    found = ran(tmp_path, failing, measure, good, going_on=True)
    assert found["sections"][measure.__name__]["error"] == sections.UNENDED
    assert found["sections"]["failing"] == left["failing"]
    assert found["sections"]["good"]["sum"] == 2
    assert "error" not in found["sections"]["good"]
    assert [item["at"] for item in found["errors"]] == ["failing"]
    if measure is deadly:
        assert found["sections"]["deadly"]["before"] == 3
        assert found["ceilings"] == {"copy": 5.0}
    assert sections.UNENDED in sections.summary(found)
    # The twin: without it a record is begun anew.
    assert list(ran(tmp_path, good)["sections"]) == ["good"]


def test_on_a_device_that_answers_no_more_no_section_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(session: Session) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def breaking(session: Session, out: Found, budget: Budget) -> None:
        monkeypatch.setattr(Session, "sync", lost)

    assert list(ran(tmp_path, breaking, good)["sections"]) == ["breaking"]
    monkeypatch.undo()
    assert list(ran(tmp_path, breaking, good, going_on=True)["sections"]) == ["breaking", "good"]


# ---- the page ----------------------------------------------------------------------------------


def record() -> Any:
    return json.loads(report.RECORD.read_text(encoding="utf-8"))


def test_the_page_says_what_the_record_says() -> None:
    assert report.page(record()) == report.PAGE.read_text(encoding="utf-8")


def test_a_changed_record_changes_the_page() -> None:
    page = report.page(record())
    changes = (
        ("s1_denoisers", "agreement", "euler_grey", "f32_vs_cpu_f32", "max"),
        ("s2_reconstruct", "user_defaults", "conv circular motion9 auto f32", "iterations"),
        ("s1_denoisers", "attacks", "euler_grey f32 scale=0.01 D", "attained"),
        ("s4_synchronisations", "conv circular motion9 none hqs", "gpu_idle_share"),
        ("s5_time_memory", "denoisers", "euler_grey_large 321x481 f32", "peak_extra_MiB"),
        ("s2m_devices", "start on cpu", "error"),
        ("s6_training", "skipped"),
    )
    for *path, last in changes:
        held = copy.deepcopy(record())
        place = held["sections"]
        for key in path:
            place = place[key]
        place[last] = "another" if isinstance(place[last], str) else 7 * place[last]
        assert report.page(held) != page, path


def test_of_a_dry_run_the_page_says_that_it_is_one_and_links_its_own_record(tmp_path: Path) -> None:
    """Also where no time was left for the section that knows the versions."""
    for environment in ({"torch": "2.0", "python": "3.12"}, {"skipped": "no time is left"}):
        held = {"total_s": 1.0, "sections": {"environment": environment}}
        place, out = tmp_path / "check.json", tmp_path / "check.md"
        place.write_text(json.dumps(held), encoding="utf-8")
        assert report.main([str(place), "-o", str(out)]) == 0
        page = out.read_text(encoding="utf-8")
        assert "A dry run of the checks on the CPU" in page
        assert "one card" not in page
        assert "](check.json)" in page
    # The twin: a card's record is no dry run, and lies elsewhere.
    page = report.page(record())
    assert "A dry run" not in page
    assert "](accelerator/h100_check.json)" in page


def test_contradicted_runs_are_named_as_faults_and_others_are_not() -> None:
    held = record()
    assert "TF32 is not switched off" in report.page(held)
    held["sections"]["s2_reconstruct"]["contradicted_user_defaults"] = []
    assert "TF32 is not switched off" not in report.page(held)
