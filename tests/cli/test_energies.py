"""Energies on the command line: a run with its report, which verifies."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from PIL import Image

from pnp_recon.cli import deblur, inpaint
from pnp_recon.cli.listing import main as recon
from pnp_recon.cli.run import effort, solve
from support.blurred import save
from support.cli import only_line
from support.samples import SAMPLES


def test_a_run_with_an_energy_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = tmp_path / "a.png", tmp_path / "report"
    with Image.open(SAMPLES / "coffee.png") as picture:
        picture.crop((100, 100, 132, 132)).save(source)
    command = [
        str(source), "--simulate", "--kernel", "gaussian", "--boundary", "circular",
        "--denoiser", "energy_colour", "--strength", "1", "--tol", "1e-4", "--report", str(folder),
    ]  # fmt: skip
    assert deblur.main(command) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "certified: Descent" in said
    report = json.loads((folder / "report.json").read_text())
    assert report["denoiser"]["kind"] == "energy"
    assert len(report["history"]["energies"]) == report["status"]["iterations"]
    page = (folder / "report.html").read_text()
    assert "the steps converge to a critical point of it" in page
    assert "the picture is a critical point" not in page  # it is made of one
    head = (folder / "residuals.csv").read_text().splitlines()[0]
    assert head.endswith("energy,fall,gradient,move")
    assert recon(["verify", str(folder)]) == 0
    # Twins: energies that are said to have been others, and moves that H1 and H2 would allow.
    for name, factor in (("energies", 1.05), ("moves", 1.05)):
        forged = deepcopy(report)
        forged["history"][name] = [[factor * x for x in row] for row in report["history"][name]]
        (folder / "report.json").write_text(json.dumps(forged))
        capsys.readouterr()
        assert recon(["verify", str(folder)]) == 4
        assert f"{name}, iteration 1" in capsys.readouterr().out


def test_an_energy_takes_descent_whatever_solver_a_command_prefers(tmp_path: Path) -> None:
    """Missing pixels go through Douglas–Rachford with a denoiser; an energy would be without a
    theorem there."""
    source, out = tmp_path / "a.png", tmp_path / "b.png"
    with Image.open(SAMPLES / "coffee.png") as picture:
        picture.crop((100, 100, 132, 132)).save(source)
    command = [str(source), "--simulate", "--missing", "0.5", "--sigma", "5/255", "-o", str(out)]
    rest = ["--denoiser", "energy_colour", "--strength", "1", "--tol", "1e-3"]
    assert inpaint.main([*command, *rest, "--require-certificate"]) == 0
    # Twin: the solver that the command prefers, asked for by name.
    twin = [*command, *rest, "--solver", "pnp-drs", "--overwrite"]
    assert inpaint.main([*twin, "--require-certificate"]) == 4


@pytest.mark.parametrize(
    ("rest", "limit", "taken"),
    [
        ([], 1_000_000, "energy_colour"),
        ([], 1000, "euler_colour"),  # not in tiles
        (["--solver", "pnp-hqs"], 1_000_000, "euler_colour"),
        (["--solver", "descent"], 1_000_000, "energy_colour"),
        (["--ridge", "0.01"], 1_000_000, "euler_colour"),
        (["--acceleration", "none"], 1_000_000, "euler_colour"),
        (["--denoiser", "euler_colour"], 1_000_000, "euler_colour"),
    ],
)
def test_deblurring_takes_an_energy_where_nothing_asks_for_a_map(
    rest: list[str],
    limit: int,
    taken: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(solve, "ENERGY_PIXELS", limit)
    source = tmp_path / "a.png"
    with Image.open(SAMPLES / "coffee.png") as picture:
        picture.crop((100, 100, 132, 132)).save(source)
    command = [str(source), "--simulate", "--kernel", "gaussian", "--json", "--tol", "0.1"]
    assert deblur.main([*command, "--strength", "1", "-o", str(tmp_path / "b.png"), *rest]) == 0
    assert json.loads(capsys.readouterr().out)["denoiser"] == taken


def test_a_model_that_is_not_there_is_refused_once_and_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not for each picture, after its blur was estimated."""
    sources = [str(save(tmp_path / name, 1)) for name in ("a.png", "b.png")]
    assert deblur.main([*sources, "--kernel", "motion", "--denoiser", "energy_color"]) == 2
    shown = capsys.readouterr()
    line = only_line("pnp-deblur", shown.err)
    assert "did you mean energy_colour?" in line
    assert "a.png" not in line
    assert shown.out == ""


def test_what_it_will_take_is_said_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.png"
    with Image.open(SAMPLES / "coffee.png") as picture:
        picture.crop((100, 100, 132, 132)).save(source)
    command = [
        str(source), "--simulate", "--kernel", "gaussian", "--boundary", "circular", "--overwrite",
        "--strength", "1", "--tol", "1e-2",
    ]  # fmt: skip
    each = iter([*[0.25, 0.05] * 2, *[0.01, 0.01]])
    monkeypatch.setattr(effort, "_seconds", lambda work: next(each))
    assert deblur.main(command) == 0
    said = capsys.readouterr().out
    assert "time: 20 to 65 seconds (an estimate)" in said
    assert said.index("time: 20") < said.index("ended:")
    # Twins: nobody reads it, another solver is asked for, it is over soon.
    assert deblur.main([*command, "--quiet"]) == 0
    assert next(each) == 0.25  # was not asked for
    next(each)
    assert deblur.main(command) == 0
    assert "time: " not in capsys.readouterr().out
