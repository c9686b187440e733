"""The report: valid against its schema, honest about certificates, self-contained."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from pnp_recon import guarantees
from pnp_recon.contracts import PriorRecord
from pnp_recon.errors import OutputError
from pnp_recon.report import (
    FILES,
    PhysicsRecord,
    ReportError,
    build_report,
    residuals_csv,
    schema,
    validate_report,
    write_report,
)
from pnp_recon.report.figure import _residuals, close_up
from pnp_recon.report.trade import MEANING
from pnp_recon.solvers import History, Status
from pnp_recon.solvers.core.theorem import (
    CriticalPoint,
    Theorem,
)
from support.reports import ITERATIONS, make_run


def test_report_follows_its_schema_and_holds_what_ran(tmp_path: Path) -> None:
    paths = write_report(tmp_path / "out" / "deep", make_run())
    assert [path.name for path in paths] == list(FILES)
    text = paths[0].read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    report = json.loads(text)
    validate_report(report)
    assert report["metrics"]["after"] == {"psnr": None, "ssim": 1.0}
    assert report["certificate"]["constants"][1]["value"] is None
    assert report["certificate"]["holds"] is True
    assert len(report["history"]["residuals"]) == ITERATIONS
    assert report["kernel"]["confidence"] == 0.4
    assert report["inputs"][0]["sha256"] == "0" * 64
    assert report["environment"]["libraries"]["torch"].startswith("2.")
    assert paths[2].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("doubts", [("the kernel is <doubtful>", "it is worse"), ()])
def test_the_banner_names_what_speaks_against_the_picture(
    tmp_path: Path, doubts: tuple[str, ...]
) -> None:
    """A green banner alone would be all that most readers see."""
    write_report(tmp_path, replace(make_run(), doubts=doubts))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    banner = page[page.index('class="verdict') :].partition("</div>")[0]
    assert ("There is doubt about this picture" in banner) == bool(doubts)
    if doubts:
        assert "<li>the kernel is &lt;doubtful&gt;</li><li>it is worse</li>" in banner


def test_schema_asks_for_every_field_it_knows() -> None:
    """No property is optional, so that a forgotten field cannot pass unseen."""

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if "properties" in node and "required" in node:
                assert set(node["properties"]) == set(node["required"]) or (
                    node.get("additionalProperties") is not False
                )
            for value in node.values():
                visit(value)
        if isinstance(node, list):
            for value in node:
                visit(value)

    visit(schema())


@pytest.mark.parametrize("key", sorted(build_report(make_run())))
def test_missing_field_is_refused(key: str) -> None:
    report = build_report(make_run())
    del report[key]
    with pytest.raises(ReportError, match=key):
        validate_report(report)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), "0.9"),
        (("certificate", "proven"), "yes"),
        (("certificate", "guarantee", "averagedness"), 1.5),
        (("inputs", 0, "sha256"), "abc"),
        (("noise", "level"), -1),
        (("status", "name"), "fine"),
        (("history", "residuals"), [0.1]),
        (("kernel", "confidence"), 2),
        (("kernel", "weights"), [["a"]]),
    ],
)
def test_ill_typed_field_is_refused(path: tuple[Any, ...], value: Any) -> None:
    report = copy.deepcopy(build_report(make_run()))
    node = report
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    with pytest.raises(ReportError, match="schema"):
        validate_report(report)


def test_unknown_field_is_refused() -> None:
    report = build_report(make_run())
    report["extra"] = 1
    with pytest.raises(ReportError, match="extra"):
        validate_report(report)


@pytest.mark.parametrize(
    ("kind", "loud"),
    [("good", "Certified"), ("none", "No guarantee"), ("failed", "FAILED")],
)
def test_page_says_what_is_proven(kind: str, loud: str, tmp_path: Path) -> None:
    page = write_report(tmp_path, make_run(kind))[3].read_text(encoding="utf-8")
    assert loud in page
    verdicts = {"Certified", "No guarantee", "The certificate FAILED"}
    assert sum(f"<strong>{word}" in page for word in verdicts) == 1
    if kind == "failed":
        assert "BROKEN" in page


def kinds(theorem: Any) -> Iterator[str]:
    """What theorems call themselves, all that derive from one."""
    for derived in theorem.__subclasses__():
        if "kind" in vars(derived) and derived.__module__.startswith("pnp_recon."):
            yield vars(derived)["kind"]
        yield from kinds(derived)


def test_every_kind_of_theorem_is_put_into_words() -> None:
    assert set(kinds(Theorem)) - set(MEANING) == {"none"}


def test_page_of_a_descent_claims_nothing_of_a_map(tmp_path: Path) -> None:
    """No distance between two pictures is bounded there; twin: the page of an averaged map."""
    run = make_run()
    claims = ("further apart", "The step as a map")
    page = write_report(tmp_path / "map", run)[3].read_text(encoding="utf-8")
    assert all(claim in page for claim in claims)
    descent = CriticalPoint("E falls", guarantees.none("no map is iterated"), fall=1e-3, slope=10.0)
    held = replace(run.solution.certificate, theorem=descent)
    numbers = {**run.solution.parameters, "continued": 8.0}
    run = replace(run, solution=replace(run.solution, certificate=held, parameters=numbers))
    assert "began where 8 rougher steps had led" not in page
    page = write_report(tmp_path / "descent", run)[3].read_text(encoding="utf-8")
    assert "began where 8 rougher steps had led, and repeated one step" in page
    assert "no small change lowers it" in page
    assert not any(claim in page for claim in claims)


@pytest.mark.parametrize(("steps", "seen"), [(1, True), (4, True), (ITERATIONS, False)])
def test_a_run_of_one_step_can_be_seen(steps: int, seen: bool) -> None:
    """A line through one point is nothing; a long run needs no dots."""
    run = make_run()
    history = run.solution.history
    short = replace(history, residuals=history.residuals[:steps], bounds=history.bounds[:steps])
    axes = Figure().subplots()
    _residuals(axes, replace(run, solution=replace(run.solution, history=short)))
    assert [line.get_marker() == "o" for line in axes.lines] == [seen, seen]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert not any("×" in label or "times" in label for label in labels)
    assert axes.get_title() == f"residual over {steps} iteration{'s' if steps > 1 else ''}"


def test_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    page = write_report(tmp_path, make_run("none"))[3].read_text(encoding="utf-8")
    assert "<script" not in page
    assert "a &lt;script&gt;.png" in page
    assert "<b>x</b>" not in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", page)


def test_report_without_reference_or_kernel(tmp_path: Path) -> None:
    run = make_run(reference=None, kernel=None, before=None, after=None, noise_level=None)
    report = json.loads(write_report(tmp_path, run)[0].read_text(encoding="utf-8"))
    assert report["kernel"] is None
    assert report["metrics"] == {"before": None, "after": None}


def test_report_of_other_physics_with_a_regulariser(tmp_path: Path) -> None:
    physics = PhysicsRecord(
        "parallel beam",
        {"angles": 60, "pixel": 0.7, "detector": "flat", "offset": None},
        "X-rays crossed the <object> at 60 angles.",
        shown="filtered back-projection",
        picture=torch.rand(60, 40, generator=torch.Generator().manual_seed(0)),
        caption="the sinogram",
    )
    held = guarantees.firm("Moreau")
    prior = PriorRecord("functional", "total variation", held, {"weight": 0.1})
    run = make_run(
        kernel=None, physics=physics, denoiser=prior, noise_words="1 % of the largest value"
    )
    paths = write_report(tmp_path, run)
    report = json.loads(paths[0].read_text(encoding="utf-8"))
    validate_report(report)
    assert report["physics"]["parameters"]["angles"] == 60
    assert report["denoiser"]["kind"] == "regulariser"
    assert report["noise"]["words"] == "1 % of the largest value"
    page = paths[3].read_text(encoding="utf-8")
    for words in (
        "at 60 angles",
        "&lt;object&gt;",
        "before: filtered back-projection",
        "the sinogram",
        "lower its total variation",
        "noise level is 1 % of the largest value",
        "Regulariser",
    ):
        assert words in page, words
    for words in ("blur", "camera", "network", "σ·255"):
        assert words not in page, words


def test_report_of_a_run_that_stopped_at_once(tmp_path: Path) -> None:
    run = make_run()
    empty = replace(run.solution, history=History(), status=Status.INTERRUPTED)
    report = json.loads(
        write_report(tmp_path, replace(run, solution=empty))[0].read_text(encoding="utf-8")
    )
    assert report["status"]["iterations"] == 0


def test_existing_report_is_kept(tmp_path: Path) -> None:
    write_report(tmp_path, make_run())
    before = (tmp_path / "report.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_report(tmp_path, make_run("none"))
    assert (tmp_path / "report.json").read_bytes() == before
    write_report(tmp_path, make_run("none"), overwrite=True)
    assert json.loads((tmp_path / "report.json").read_text())["certificate"]["holds"] is False


def test_report_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="give a folder"):
        write_report(tmp_path / "file", make_run())


def test_residuals_csv_has_a_row_for_every_iteration() -> None:
    run = make_run()
    rows = list(csv.DictReader(io.StringIO(residuals_csv(run.solution.history, run.psnr_track))))
    assert len(rows) == ITERATIONS
    assert float(rows[3]["residual"]) == pytest.approx(0.25)
    assert float(rows[3]["relative_residual"]) == pytest.approx(0.025)
    assert float(rows[3]["bound"]) == pytest.approx(2.5)
    assert rows[3]["psnr"] == ""
    assert float(rows[19]["psnr"]) == 25.0
    assert float(rows[39]["seconds"]) == pytest.approx(0.2)


def test_close_up_finds_the_detail() -> None:
    picture = torch.zeros(1, 3, 60, 80)
    picture[..., 30:40:2, 50:60] = 1.0
    top, bottom, left, right = close_up(picture)
    assert top <= 30
    assert bottom >= 39
    assert left <= 50
    assert right >= 60
