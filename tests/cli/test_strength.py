"""`--strength auto`: what is said of the choice, what a report holds of it, its verification."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from operators.kernels import linear_motion
from pnp_recon.cli import ct, deblur
from support.blurred import save
from support.ct_files import save_lines
from support.photographs import blurred, eight_bit, noise_like, photograph
from support.verified import QUICK, UNRUN, Good, Plain, claims, exported, failing

TV = [
    "--sigma",
    "0.02",
    "--length",
    "5",
    "--angle",
    "20",
    "--boundary",
    "circular",
    "--method",
    "tv",
]
SHORT = ["--max-iter", "40", "--tol", "1e-3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Good:
    """A report of a run whose strength was chosen."""
    folder = tmp_path_factory.mktemp("strength")
    source, model = save(folder / "in.png", 1), exported(folder, 0)
    good = Good(folder, source, folder / "out.png", model)
    args = [str(source), *TV, *SHORT, "-o", str(good.output), "--report", str(good.report)]
    assert deblur.main([*args, "--simulate", "-q"]) in (0, 3)
    return good


@pytest.fixture
def good(made: Good) -> Iterator[Good]:
    """The same; afterwards it is as it was written."""
    path = made.report / "report.json"
    text = path.read_text(encoding="utf-8")
    yield made
    path.write_text(text, encoding="utf-8")


def test_the_report_holds_the_curve(good: Good) -> None:
    block = good.read()["strength"]
    assert block["rule"] == "generalised cross-validation"
    assert len(block["trials"]) >= 3
    page = (good.report / "report.html").read_text(encoding="utf-8")
    assert f"The strength of the prior is {block['value']:.3g}." in page
    for trial in block["trials"]:
        assert trial["gcv"] == pytest.approx((trial["deviation"] / (1 - trial["df"])) ** 2)


@pytest.mark.parametrize(("value", "told"), [("0.4", True), ("1.2", False)])
def test_too_weak_an_energy_is_warned_of(
    tmp_path: Path, value: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(save(tmp_path / "in.png", 1)), *TV[:-2], "--max-iter", "1", "--strength", value]
    assert deblur.main([*args, "-o", str(tmp_path / "out.png"), "-q"]) == 3
    assert (f"strength {value}, as given" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    ("suffix", "more", "rule", "tried"),
    [
        (".jpg", [], "the fixed rule", False),
        (".jpg", ["--strength", "2"], "given", False),
        (".jpg", ["--sigma", "0.02"], None, True),
        (".png", [], "generalised cross-validation", True),
    ],
)
def test_no_trials_are_made_of_the_noise_of_a_jpeg(
    tmp_path: Path,
    suffix: str,
    more: list[str],
    rule: str | None,
    tried: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    y = blurred(photograph(side=64), linear_motion(5, 20))
    source = tmp_path / f"in{suffix}"
    if suffix == ".jpg":
        eight_bit(y).save(source, quality=50)
    else:
        eight_bit(y + noise_like(y, 0.02)).save(source)
    args = [str(source), *TV[2:], *SHORT, *more, "-o", str(tmp_path / "out.png"), "--json"]
    assert deblur.main(args) in (0, 3)
    strength = json.loads(capsys.readouterr().out)["strength"]
    assert rule in (None, strength["rule"])
    assert bool(strength["trials"]) is tried


def test_the_run_of_the_chosen_number_is_verified(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    found = claims(capsys, good.report, *QUICK)
    assert found["strength: value"]["holds"]
    assert found["run: strength"]["holds"]
    assert all(one["holds"] is not False for one in found.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(value=2 * s["value"]), "strength"),
        (lambda s: s.update(rule="the discrepancy principle"), "strength"),
        (lambda s: s["trials"][1].update(df=s["trials"][1]["df"] / 2), "strength: curve"),
        (lambda s: s["trials"].pop(), "strength"),
    ],
)
def test_a_choice_that_does_not_follow_is_false(
    good: Good, capsys: pytest.CaptureFixture[str], change: Callable[[Plain], object], words: str
) -> None:
    good.edit(lambda plain: change(plain["strength"]))
    assert words in failing(capsys, good.report, *UNRUN)


def test_a_line_says_what_was_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 1)
    assert deblur.main([str(source), *TV, *SHORT]) in (0, 3)
    out = capsys.readouterr().out
    assert "strength: " in out
    assert " from generalised cross-validation (" in out


@pytest.mark.parametrize("fixed", [["--strength", "1"], ["--weight", "0.01"]])
def test_a_number_makes_no_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fixed: list[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert deblur.main([str(source), *TV, *SHORT, *fixed, "--json"]) in (0, 3)
    block = json.loads(capsys.readouterr().out)["strength"]
    assert (block["value"], block["rule"], block["trials"]) == (1.0, "given", [])


def test_parts_share_the_strength_of_the_middle_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.cli.ct import case

    monkeypatch.setattr(case, "AT_ONCE", {"cpu": 1, "cuda": 1})
    source = str(save_lines(tmp_path / "a.npz", 3))
    more = ["--method", "tv", "--max-iter", "10", "--no-picture", "--json"]
    assert ct.main([source, *more, "-o", str(tmp_path / "auto.npy")]) in (0, 3)
    block = json.loads(capsys.readouterr().out)["strength"]
    assert block["trials"]
    number = ["--strength", repr(block["value"])]
    assert ct.main([source, *more, *number, "-o", str(tmp_path / "number.npy")]) in (0, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "auto.npy"), np.load(tmp_path / "number.npy"))
