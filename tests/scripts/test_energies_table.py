"""The table of the energies: differences are paired, bars are held, rows are kept once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pnp_recon.benchmark.cells import Cell, Degradation, Plan
from scripts.tables.energies import COLUMNS, Table, entry, in_order, key_of, short
from scripts.tables.energies_report import report


def row(method: str, picture: str, psnr: float, **other: str) -> dict[str, str]:
    usual = {
        "suite": "deblur",
        "problem": "trajectory 0",
        "noise": "7.65",
        "channels": "3",
        "crop": "128",
        "ssim": "0.5",
        "seconds": "2",
        "certificate": "certified",
    }
    given = {"picture": picture, "method": method, "psnr": str(psnr)}
    return {**dict.fromkeys(COLUMNS, ""), **usual, **given, **other}


def line(text: str, *words: str) -> list[str]:
    """The cells of the one line of the page that holds all words."""
    (found,) = [row for row in text.splitlines() if all(f"| {word} |" in row for word in words)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_differences_are_paired_by_picture() -> None:
    rows = [
        *(row("euler_colour", name, psnr) for name, psnr in (("a", 20.0), ("b", 30.0))),
        *(row("tv", name, psnr) for name, psnr in (("b", 29.0), ("a", 22.0), ("c", 99.0))),
    ]
    found = line(report(rows), "tv", "certified")
    assert found[-3:] == ["+0.50 ± 2.12", "1 of 2", "2.00"]
    swapped = [{**one, "picture": "a" if one["picture"] == "b" else "b"} for one in rows[2:4]]
    assert line(report([*rows[:2], *swapped]), "tv", "certified")[-3] != found[-3]


def test_the_schedule_with_the_same_network_is_compared_with() -> None:
    rows = [row("energy_colour", "a", 26.0), row("dpir:energy_colour", "a", 26.5)]
    found = line(report(rows), "deblur", "energy_colour", "dpir:energy_colour")
    assert found[3:] == ["1", "-0.50 ± 0.00", "-0.50", "0 of 1"]


@pytest.mark.parametrize(("psnr", "floor"), [(37.6, "37.6 (reached)"), (37.5, "37.6 (-0.10)")])
def test_bars_are_held(psnr: float, floor: str) -> None:
    clean = {"suite": "denoise", "problem": "gaussian noise", "noise": "5", "channels": "1"}
    found = line(report([row("energy_grey", "a", psnr, crop="", **clean)]), "energy_grey", "5")
    assert found[4] == floor


def test_models_that_lie_apart_are_found_and_named() -> None:
    assert entry("euler_colour") == "euler_colour"
    for name in ("energy_colour", "dpir:energy_colour"):
        assert short(entry(name)) == name
    assert entry("dpir:euler_colour") == "dpir:euler_colour"


def test_a_cell_is_run_once_and_each_method_first_shows_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        suite="deblur", data="", split="bsd68", pictures=(("a", 0), ("b", 1)), channels=3,
        crop=128, degradations=(Degradation("trajectory 0", 7.65),), methods=("tv", "euler_colour"),
    )  # fmt: skip
    table = Table(tmp_path / "rows.csv")
    order: list[Cell] = []
    for cell in in_order(plan, table):
        order.append(cell)
        table.add({**dict.fromkeys(COLUMNS, ""), **key_of(plan, cell), "seconds": "30"})
    assert [(cell.picture, cell.method) for cell in order[:2]] == [
        ("a", "euler_colour"), ("a", "tv")
    ]  # fmt: skip
    assert "2 cells left, about 1.0 minutes" in capsys.readouterr().out
    assert len(order) == 4
    again = Table(tmp_path / "rows.csv")
    assert list(in_order(plan, again)) == []
    assert len(again.rows) == 4
