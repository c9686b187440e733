"""Tables, figures and the page of a benchmark, on synthetic results."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pnp_recon.benchmark.cells import Cell, Degradation
from pnp_recon.benchmark.report import write_report
from pnp_recon.benchmark.report.layout import DASH, at_least, at_most
from pnp_recon.benchmark.report.page import page
from pnp_recon.benchmark.report.summary import groups, spread, summarise
from pnp_recon.benchmark.report.tables import AS_PUBLISHED, markdown, quality_tables
from pnp_recon.benchmark.store import Results
from support.benchmark_rows import GAUSSIAN, plan, results, stability

HOSTILE = "<script>alert('x')</script>|**mine**"


def small(folder: Path, change: Mapping[str, Mapping[str, Any]] | None = None) -> Results:
    """Two methods, two pictures, one level, with round numbers; `change` is by "method picture"."""
    of = plan(pictures=(("a.png", 0), ("b.png", 1)), methods=("dncnn", "euler"), split="all",
              degradations=(Degradation(GAUSSIAN, 25.0),))  # fmt: skip
    level = {"dncnn a.png": 30.0, "dncnn b.png": 32.0, "euler a.png": 29.0, "euler b.png": 31.0}

    def fields(cell: Cell) -> dict[str, Any]:
        key = f"{cell.method} {cell.picture}"
        psnr = level[key]
        found = {"psnr": psnr, "psnr_clean_peak": psnr - 0.5, "ssim": psnr / 40,
                 "psnr_input": 20.0, "seconds": 0.25, "peak_memory_mb": 64.0}  # fmt: skip
        return {**found, **(change or {}).get(key, {})}

    return results(folder, of, fields)


FAILED = {"status": "failed", "psnr": None, "ssim": None, "psnr_clean_peak": None,
          "seconds": None, "message": "out of memory | 3 GB"}  # fmt: skip

GOLDEN = """\
# Benchmark of denoisers

## What was run

PSNR has peak 1 over the whole picture, without cropping and rounding, and the tables show its \
mean over pictures; where a second PSNR is shown, its peak is the maximum of the clean picture. \
SSIM is Gaussian-weighted with data range 1.

| what | how |
| --- | --- |
| suite | denoise |
| results | 4 of 4 cells |
| data | all of /data/bsds500 |
| pictures | 2 pictures, whole, grey (0.299 R + 0.587 G + 0.114 B, converted in float) |
| problems | gaussian noise; σ·255 = 25 |
| noise | seed 0; one draw for each picture of the split and σ, the same for every method |
| timing | median of 1 run of each cell |
| device | cpu |
| threads | 1 |
| versions | pnp-recon 0.1.0, torch 2.15.0 |
| revision | 0123abc |
| command | pnp-bench run denoise |

## denoise, all, grey

### denoise, all, grey: gaussian noise

| method | guarantee | σ·255 = 25 | seconds | MB |
| --- | --- | ---: | ---: | ---: |
| dncnn | no guarantee | 32.00 / 0.800 (1 of 2) | 0.25 | 64 |
| euler | certified, α = 0.5 | **30.00 ± 1.41**† / 0.750 ± 0.035 | 0.25 | 64 |

PSNR in dB / SSIM, mean ± standard deviation over 2 pictures; seconds: median of a cell; MB: \
largest growth of the process.

Bold: best mean PSNR of the column; †: best among certified methods; means within 0.005 dB are \
marked alike. Only methods measured on every picture of a column are compared; “(7 of 8)” says \
over how many pictures a mean is where that is not all of them.

### denoise, all, grey: every mean

| method | problem | σ·255 | pictures | failed | PSNR | PSNR, peak of clean | gain | SSIM | \
seconds | MB | α | L |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| dncnn | gaussian noise | 25 | 1 of 2 | 1 | 32.00 | 31.50 | 12.00 | 0.800 | 0.25 | 64 | – | – |
| euler | gaussian noise | 25 | 2 of 2 | 0 | 30.00 ± 1.41 | 29.50 ± 1.41 | 10.00 ± 1.41 | \
0.750 ± 0.035 | 0.25 | 64 | 0.5 | 1 |

Gain: PSNR over that of the noisy, blurred, filled or back-projected picture. α, L: largest \
proven bound, rounded up; L attained: largest quotient found, rounded down.

### denoise, all, grey: methods

| method | guarantee | theorem, or why there is none | SHA-256 of the model |
| --- | --- | --- | --- |
| dncnn | no guarantee | no bound of the network is known | – |
| euler | certified, α = 0.5 | Euler blocks, h‖A‖² ≤ 2 | abababababab |

## Failed, diverged, expansive

| method | suite | problem | noise | status | pictures | message |
| --- | --- | --- | ---: | --- | ---: | --- |
| dncnn | denoise | gaussian noise | σ·255 = 25 | failed | a.png | out of memory \\| 3 GB |
"""


def test_the_markdown_of_a_small_run(tmp_path: Path) -> None:
    assert markdown([small(tmp_path / "run", {"dncnn a.png": FAILED})]) == GOLDEN


def test_rows_that_failed_or_diverged_enter_no_mean(tmp_path: Path) -> None:
    diverged = {"status": "diverged", "psnr": -80.0, "seconds": 99.0}
    change = {"dncnn a.png": FAILED, "euler b.png": diverged}
    dncnn, euler = groups([small(tmp_path / "run", change)])
    assert (dncnn.psnr.mean, dncnn.psnr.std, dncnn.psnr.count) == (32.0, None, 1)
    assert dncnn.failures == 1
    assert (euler.psnr.mean, euler.seconds, euler.failures) == (29.0, 0.25, 0)
    assert euler.statuses == {"done": 1, "diverged": 1}
    # Its constant was proven all the same; a row that failed says nothing about one.
    assert euler.certified
    assert not dncnn.certified


@pytest.mark.parametrize("broken", [False, True])
def test_only_complete_methods_are_marked_best(tmp_path: Path, broken: bool) -> None:
    run = small(tmp_path / "run", {"dncnn a.png": FAILED} if broken else {})
    (column,) = summarise([run])[0].columns
    assert column.best == ({"euler"} if broken else {"dncnn"})
    assert column.best_certified == {"euler"}
    cells = {row[0].text: row[2] for row in quality_tables(summarise([run])[0])[0].body}
    assert cells["dncnn"].strong is not broken
    assert ("(1 of 2)" in cells["dncnn"].more) is broken


@pytest.mark.parametrize(("lead", "both"), [(0.005, True), (0.02, False)])
def test_ties_are_marked_alike(tmp_path: Path, lead: float, both: bool) -> None:
    change = {f"euler {name}": {"psnr": psnr - lead} for name, psnr in
              (("a.png", 30.0), ("b.png", 32.0))}  # fmt: skip
    (column,) = summarise([small(tmp_path / "run", change)])[0].columns
    assert column.best == ({"dncnn", "euler"} if both else {"dncnn"})


def test_methods_of_two_runs_share_a_table_and_fewer_pictures_show(tmp_path: Path) -> None:
    whole = results(tmp_path / "a", plan(methods=("tv", "euler")))
    part = results(tmp_path / "b", plan(methods=("dncnn",), pictures=plan().pictures[:3]))
    (block,) = summarise([whole, part])
    assert block.methods == ("tv", "euler", "dncnn")
    assert all(column.best == {"euler"} for column in block.columns)  # dncnn: other pictures
    assert "(3 of 4)" in markdown([whole, part])
    # Rows of another crop may not stand in the same table.
    crop = results(tmp_path / "c", plan(methods=("dncnn",), crop=64))
    assert len(summarise([whole, crop])) == 2


def test_an_unfinished_run_says_so_and_marks_nothing(tmp_path: Path) -> None:
    run = results(tmp_path / "run", cells=41)
    text = markdown([run])
    assert "41 of 48 cells" in text
    assert "UNFINISHED" in text
    columns = summarise([run])[0].columns  # the last picture lacks cells of the latter two
    assert [column.pending for column in columns] == [0, 3, 4]
    assert [bool(column.best) for column in columns] == [True, False, False]


def test_a_run_of_failures_only_is_reported(tmp_path: Path) -> None:
    run = results(tmp_path / "run", change=lambda cell: FAILED)
    paths = write_report([run], tmp_path / "out")
    text = paths[0].read_text(encoding="utf-8")
    assert "nan" not in text.lower().replace("guarantee", "")
    assert f"| euler | {DASH} | {DASH} | {DASH} | {DASH} | {DASH} | {DASH} |" in text
    assert "out of memory" in text


def test_numbers_that_do_not_exist_are_dashes(tmp_path: Path) -> None:
    change = {"dncnn a.png": {"psnr": math.nan, "seconds": math.inf, "ssim": None}}
    run = small(tmp_path / "run", change)
    for text in (markdown([run]), page([run])):
        assert not re.search(r"\b(nan|inf|None)\b", text)
        assert DASH in text


def test_bounds_are_rounded_outwards() -> None:
    assert at_most(0.5) == "0.5"
    assert at_most(1.0000001) == "1.0001"
    assert at_least(1.70009) == "1.7"
    assert at_least(1.99999999) == "1.9999"
    assert at_most(math.inf) == at_least(None) == DASH


def test_published_values_stand_apart_and_only_beside_their_pictures(tmp_path: Path) -> None:
    text = markdown([results(tmp_path / "grey")])
    mine, _, quoted = text.partition(f"## {AS_PUBLISHED}")
    assert "WCRR-NN" in quoted
    assert "WCRR-NN" not in mine
    assert "37.65" in quoted
    assert "DRUNet" not in quoted
    assert "34.14" in markdown([results(tmp_path / "colour", plan(channels=3))])
    cropped = markdown([results(tmp_path / "crop", plan(crop=64))])
    assert "of whole pictures, not of central 64² crops" in cropped
    assert "of whole pictures" not in text
    for i, other in enumerate((plan(split="test"), plan(suite="inpaint"))):
        assert AS_PUBLISHED not in markdown([results(tmp_path / str(i), other)])


def test_stability_is_told_in_words(tmp_path: Path) -> None:
    text = markdown([stability(tmp_path / "run")])
    assert "diverged after 212–215 applications on 4 pictures" in text
    assert "expansive: not settling after 212–215 iterations on 4 pictures" in text
    assert "expansive: attained 1.7 |" in text
    assert "attained 0.934, at most 1 proven" in text
    assert "CONTRADICTED: attained 1.2 above the proven 1" in text
    assert "bounded over 80 applications on 4 pictures" in text
    assert "converged after 80 iterations on 4 pictures" in text


def test_the_verdict_on_an_attack_is_that_of_its_rows(tmp_path: Path) -> None:
    """What is computed inexactly may attain more than 1 without being expansive."""
    of = plan(suite="stability", methods=("tv",), degradations=(Degradation("attack", 25.0),))
    for name, fields, words in (
        ("inexact", {"attained_lipschitz": 1.01}, "| attained 1.01, at most 1 proven |"),
        ("false", {"attained_lipschitz": 1.01, "status": "expansive",
                   "certificate": "contradicted"}, "CONTRADICTED: attained 1.01 above"),
    ):  # fmt: skip
        text = markdown([results(tmp_path / name, of, lambda cell, fields=fields: fields)])
        assert words in text
        assert "expansive: attained" not in text


def test_noise_of_slices_is_in_percent(tmp_path: Path) -> None:
    of = plan(
        suite="ct", split="val", degradations=(Degradation("60 views", 1.0),), methods=("tv",)
    )
    run = results(tmp_path / "run", of)
    for text in (markdown([run]), page([run])):
        assert "noise 1 %" in text
        assert "σ·255" not in text


def test_reconstructions_have_a_table_for_each_level(tmp_path: Path) -> None:
    problems = tuple(Degradation(n, s) for s in (2.55, 7.65) for n in ("motion", "disk"))
    of = plan(suite="deblur", degradations=problems, methods=("tv", "dncnn"))

    def fields(cell: Cell) -> dict[str, Any]:
        away = cell.method == "dncnn" and cell.index == 0
        return {"status": "diverged" if away else "converged", "iterations": 10 * cell.index + 10}

    tables = quality_tables(summarise([results(tmp_path / "run", of, fields)])[0])
    assert [table.title[-4:] for table in tables] == ["2.55", "7.65"]
    assert tables[0].head[2:4] == ("motion", "disk")
    assert tables[0].head[-2:] == ("iterations", "ends")
    tv, dncnn = tables[0].body
    assert (tv[-2].text, tv[-1].text) == ("25", "8 converged")
    assert (dncnn[-2].text, dncnn[-1].text) == ("30", "6 converged, 2 diverged")


def test_spread_is_of_numbers_that_exist() -> None:
    assert spread([1.0, None, 3.0, math.nan, math.inf]).mean == 2.0
    assert spread([1.0, 3.0]).std == pytest.approx(math.sqrt(2))
    assert spread([2.0]).std is None
    assert spread([]).mean is None
