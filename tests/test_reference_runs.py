"""The committed reference runs: whole, certified where they say so, and what the docs print."""

from __future__ import annotations

from pathlib import Path

import pytest

from pnp_recon.benchmark import tuned
from pnp_recon.benchmark.report.tables import markdown
from pnp_recon.benchmark.rows import CONTRADICTED, FAILED
from pnp_recon.benchmark.store import Results
from pnp_recon.weights import find_card, read_card, shipped_models

ROOT = Path(__file__).resolve().parents[1]
RUNS = sorted(path.parent for path in (ROOT / "benchmarks" / "results").glob("*/manifest.json"))
REPORT = ROOT / "docs" / "results" / "benchmark" / "report.md"


def test_there_are_reference_runs() -> None:
    suites = {Results.open(run).plan.suite for run in RUNS}
    assert {"denoise", "deblur", "stability"} <= suites


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_reference_run_is_whole(run: Path) -> None:
    results = Results.open(run)
    assert not results.todo()
    for row in results.rows:
        assert row.status != FAILED, row
        assert row.certificate != CONTRADICTED, row
        assert row.versions
        assert row.revision
        assert not row.revision.endswith("+"), "run from a clean checkout"


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_its_models_are_those_that_ship(run: Path) -> None:
    shipped = {name: read_card(find_card(name))["sha256"] for name in shipped_models("denoiser")}
    seen = {row.method: row.model_sha256 for row in Results.open(run).rows}
    for method, digest in seen.items():
        if method in shipped:
            assert digest == shipped[method], f"{method} was trained anew; run {run.name} again"


def test_the_report_in_the_docs_is_of_these_runs() -> None:
    printed = REPORT.read_text(encoding="utf-8").partition("## Figures")[0]
    again = markdown([Results.open(run) for run in RUNS]).partition("## Figures")[0]
    assert printed.strip() == again.strip(), (
        "pnp-bench report benchmarks/results/*/ -o docs/results/benchmark"
    )


def test_parameters_that_ship_were_searched() -> None:
    """Each tuned level names its score; those of CT come from `scripts/ct_table.py`."""
    table = tuned.read()
    entries = [
        entry
        for suite in ("denoise", "deblur", "inpaint")
        for kinds in table[suite].values()
        for levels in kinds.values()
        for entry in levels
    ]
    assert entries
    assert all(entry["psnr"] > 0 and entry["pictures"] > 0 for entry in entries)
