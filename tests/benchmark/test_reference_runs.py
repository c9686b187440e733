"""The committed reference runs: whole, certified where they say so, and what the docs print."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median, pstdev
from typing import Any

import pytest

from pnp_recon.benchmark import table, tuned
from pnp_recon.benchmark.report.layout import DASH, at_most, number
from pnp_recon.benchmark.report.summary import Column, summarise
from pnp_recon.benchmark.report.tables import CERTIFIED_MARK, markdown
from pnp_recon.benchmark.rows import CONTRADICTED, FAILED
from pnp_recon.benchmark.store import Results
from pnp_recon.models.store import find_card, read_card, shipped_models

ROOT = Path(__file__).resolve().parents[2]
RUNS = sorted(path.parent for path in (ROOT / "benchmarks" / "results").glob("*/manifest.json"))
FIGURES = ROOT / "docs" / "figures.md"
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
    shipped = {name: read_card(find_card(name)).sha256 for name in shipped_models("denoiser")}
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


# As the README calls methods: (grey, colour).
NAMES = {
    "`euler_grey`, `euler_colour`": ("euler_grey", "euler_colour"),
    "`euler_grey_eq`": ("euler_grey_eq", ""),
    "total variation": ("tv", "tv"),
    "wavelets": ("wavelet", "wavelet"),
    "`dncnn_grey`, `dncnn_colour`": ("dncnn_grey", "dncnn_colour"),
    "non-local means": ("nlm", "nlm"),
    "BM3D": ("bm3d", "bm3d"),
    "bilateral filter": ("bilateral", "bilateral"),
    "median": ("median", "median"),
}


def printed(column: Column, method: str) -> str:
    """A cell of the README's table: mean PSNR, bold where best, marked where best certified."""
    group = column.groups.get(method)
    if group is None:
        return DASH
    assert group.complete
    text = number(group.psnr.mean)
    text = f"**{text}**" if method in column.best else text
    return text + CERTIFIED_MARK * (method in column.best_certified)


def test_the_table_of_denoising_is_of_these_runs() -> None:
    runs = [results for results in map(Results.open, RUNS) if results.plan.suite == "denoise"]
    blocks = {
        block.setting.channels: {column.degradation.noise: column for column in block.columns}
        for block in summarise(runs)
        if block.setting.split == "bsd68"
    }
    text = FIGURES.read_text(encoding="utf-8")
    lines = text.partition("| method | guarantee | BSD68, σ·255 = 5 | 15 | 25 | CBSD68, 5")[2]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines.partition("\n\n")[0].splitlines()[2:]
    ]
    assert [row[0] for row in rows] == list(NAMES)
    for name, guarantee, *cells in rows:
        methods = dict(zip((1, 3), NAMES[name], strict=True))
        again = [
            printed(blocks[channels][noise], method)
            for channels, method in methods.items()
            for noise in (5.0, 15.0, 25.0)
        ]
        assert cells == again, name
        groups = [
            column.groups[method]
            for channels, method in methods.items()
            for column in blocks[channels].values()
            if method in column.groups
        ]
        bounds = [at_most(group.alpha) for group in groups if group.certified]
        assert (guarantee == "none") == (not bounds), name
        assert all(bound in guarantee.replace("½", "0.5") for bound in bounds), name


def test_the_table_of_deblurring_is_of_the_run() -> None:
    """At the certified points, every strength from its picture: mean PSNR of three methods."""
    run = Results.open(ROOT / "benchmarks" / "results" / "deblur-cbsd68-auto")
    (block,) = summarise([run])
    made: dict[str, dict[float, str]] = {}
    for column in block.columns:
        groups = [column.groups[name] for name in ("tv", "euler_colour", "energy_colour")]
        for group in groups:
            assert group.certified
            assert group.complete
            assert {row.status for row in group.rows} == {"converged"}
        text = " → ".join(f"{group.psnr.mean:.2f}" for group in groups)
        made.setdefault(column.degradation.name, {})[column.degradation.noise] = text
    again = [[name, *(cells[noise] for noise in sorted(cells))] for name, cells in made.items()]
    for page in (FIGURES, ROOT / "README.md"):
        lines = page.read_text(encoding="utf-8").partition("| kernel | σ·255 = 2.55 |")[2]
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines.partition("\n\n")[0].splitlines()[2:]
        ]
        assert rows == again, page.name


def test_what_is_said_of_the_energy_is_of_the_run() -> None:
    """Paired differences over all cases, and the ratio of the seconds to DPIR's."""
    rows = Results.open(ROOT / "benchmarks" / "results" / "deblur-cbsd68-auto").rows
    psnr: dict[str, dict[tuple[Any, ...], float]] = {}
    seconds: dict[str, list[float]] = {}
    for row in rows:
        assert row.psnr is not None
        assert row.seconds is not None
        psnr.setdefault(row.method, {})[row.problem, row.noise, row.picture] = row.psnr
        seconds.setdefault(row.method, []).append(row.seconds)

    def above(method: str) -> list[float]:
        ours = psnr["energy_colour"]
        return [ours[case] - psnr[method][case] for case in ours]

    euler, dpir = above("euler_colour"), above("dpir:energy_colour")
    assert min(euler) > 0
    times = median(seconds["energy_colour"]) / median(seconds["dpir:energy_colour"])
    said = (
        f"in all {len(euler)} cases, by {mean(euler):.2f} ± {pstdev(euler):.2f} dB, and above the "
        f"eight steps of DPIR's schedule around the same network, which have no guarantee and are "
        f"{times:.0f} times as fast, by {mean(dpir):.2f} ± {pstdev(dpir):.2f} dB."
    )
    text = FIGURES.read_text(encoding="utf-8")
    assert said in " ".join(text.split())


def best_of(record: Path) -> dict[tuple[str, str, str, float], dict[str, Any]]:
    """(suite, method, channels, noise) -> what the recorded candidates say is best."""
    scores: dict[tuple[str, str, str, float], dict[str, list[Any]]] = {}
    for row in table.read(record):
        key = (row.suite, row.method, str(row.channels), row.noise)
        scores.setdefault(key, {}).setdefault(repr(row.parameters), []).append(row)
    found = {}
    for key, candidates in scores.items():
        means = {
            point: sum(row.psnr for row in rows) / len(rows)
            for point, rows in candidates.items()
            if all(row.measured and row.psnr is not None for row in rows)
        }
        point = max(means, key=lambda point: means[point])
        rows = candidates[point]
        found[key] = {
            "parameters": rows[0].parameters,
            "psnr": round(means[point], 3),
            "pictures": len({row.picture for row in rows}),
        }
    return found


def test_parameters_that_ship_are_the_best_of_the_recorded_searches() -> None:
    """Those of CT come from `scripts/tables/ct.py`, whose record is of another kind."""
    records = sorted((ROOT / "benchmarks" / "tuning").glob("*.csv"))
    best = {key: entry for record in records for key, entry in best_of(record).items()}
    shipped = {
        (suite, method, channels, entry["noise"]): {
            name: entry[name] for name in ("parameters", "psnr", "pictures")
        }
        for suite, methods in tuned.read().items()
        if suite != "ct"
        for method, kinds in methods.items()
        for channels, entries in kinds.items()
        for entry in entries
    }
    assert shipped == best
