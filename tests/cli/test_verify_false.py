"""`pnp-recon verify`: each kind of false claim of a report or a card is named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnp_recon.cli import deblur
from pnp_recon.cli.listing import main
from support.blurred import DONE, FAST, save
from support.verified import QUICK, UNRUN, Good, Plain, claims, exported, failing

# ---- what is false --------------------------------------------------------------------------


def _residual(plain: Plain) -> None:
    plain["history"]["residuals"][2][0] *= 0.5


def _residual_with_all_that_follows(plain: Plain) -> None:
    """A row that agrees with itself, not with the law of the others."""
    history = plain["history"]
    history["residuals"][2][0] *= 1.5
    history["relative_residuals"][2][0] *= 1.5


def _bare(plain: Plain) -> None:
    """Declared premises stay declared, when their list of conditions is emptied."""
    block = plain["certificate"]
    block["premises"][0]["basis"] = "declared by the caller"


def _undeclared(plain: Plain) -> None:
    """As it is written where a premise is declared, then edited."""
    _bare(plain)
    block = plain["certificate"]
    words = block["premises"][0]["words"]
    block["conditions"] = [words]
    block["verdict"] = block["verdict"].replace("certified:", f"certified if {words}:", 1)
    known = ("(proven;", "(if what is declared is true;")
    block["remarks"] = [remark.replace(*known) for remark in block["remarks"]]


def _certified(plain: Plain) -> None:
    _undeclared(plain)
    block = plain["certificate"]
    block["verdict"] = f"certified: {block['theorem']}"


def _passed(plain: Plain) -> None:
    plain["certificate"]["observations"][0]["passed"] = False


def _worst(plain: Plain) -> None:
    plain["certificate"]["observations"][0]["worst"] = 0.5


def _dropped(plain: Plain) -> None:
    del plain["certificate"]["observations"][1]


def _wide(plain: Plain) -> None:
    for row in plain["history"]["bounds"][1:]:
        row[0] *= 2


def _nothing_moves(plain: Plain) -> None:
    """A relaxation of 0, by which the rate of its theorem is divided."""
    block = plain["certificate"]
    block["kind"] = "averaged map"
    block["numbers"]["relaxation"] = 0.0
    block["guarantee"]["lipschitz"] = block["numbers"]["lipschitz"] = 1.0


def _broken(plain: Plain) -> None:
    """The run broke its law, and still says that it is certified."""
    plain["certificate"]["observations"][0] |= {"worst": 3.0, "passed": False}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["certificate"]["guarantee"].update(averagedness=0.3), "guarantee of the cert"),
        (lambda p: p["denoiser"]["guarantee"].update(averagedness=0.3), "guarantee of the denoi"),
        (lambda p: p["certificate"]["numbers"].update(averagedness=0.3), "numbers of the theorem"),
        (lambda p: p["certificate"].update(verdict="certified: all"), "verdict"),
        (lambda p: p["certificate"].update(kind="Krylov"), "proven"),
        (lambda p: p["certificate"].update(kind="magic"), "theorem: stated magic"),
        (lambda p: p["certificate"].update(proven=False), "proven"),
        (_nothing_moves, "guarantee of the cert"),
        (lambda p: p["certificate"].update(observations=[]), "unchecked"),
        (_bare, "conditions: stated none"),
        (_certified, "verdict: stated certified:"),
        (_residual, "relative residuals"),
        (_residual_with_all_that_follows, "observed: "),
        (_passed, "passed: "),
        (_worst, "observed: "),
        (_dropped, "observed: "),
        (_broken, "contradicted"),
        (_wide, "bounds of the history"),
        (lambda p: p["certificate"]["remarks"].append("within 0 of the fixed point"), "remarks"),
        (lambda p: p["status"].update(iterations=1), "iterations"),
        (lambda p: p["status"].update(name="direct"), "words of the status"),
        (lambda p: p["options"].update(tol=1e-9), "residual below the tolerance"),
        (lambda p: p["history"]["norms"].pop(), "rows of the history"),
        (lambda p: p.pop("notes"), "schema"),
    ],
)
def test_a_report_that_does_not_follow_from_itself_is_named(
    good: Good,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], object],
    words: str,
) -> None:
    good.edit(change)
    line = failing(capsys, good.report, *UNRUN)
    assert any(f"report.json: {word}" in line for word in words.split("|")), line


def test_a_conditional_verdict_holds_as_it_is_written(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    """The twin of the edits above: all that follows from the declared premise is stated."""
    good.edit(_undeclared)
    assert main(["verify", str(good.report), *UNRUN, "-q"]) == 0
    assert "run: " in failing(capsys, good.report, *QUICK)  # the run itself declares nothing


@pytest.mark.usefixtures("tiny_denoiser")
def test_a_declared_constant_stays_declared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that is certified if a declaration holds, and the two ways to hide the condition."""
    source, report = save(tmp_path / "a.png", 1), tmp_path / "r"
    args = [str(source), *FAST, *DONE, "--report", str(report), "-q"]
    assert deblur.main(args) == 0
    found = claims(capsys, report, *QUICK)
    assert found["run: verdict"]["stated"] == found["run: verdict"]["found"] == "certified if"
    assert found["weights of denoiser mean"]["holds"] is None
    path = report / "report.json"
    text = path.read_text(encoding="utf-8")

    def edited(**changes: object) -> None:
        plain = json.loads(text)
        plain["certificate"] |= changes
        path.write_text(json.dumps(plain), encoding="utf-8")

    edited(conditions=[])
    assert "report.json: conditions: stated none" in failing(capsys, report, *UNRUN)
    certified = f"certified: {json.loads(text)['certificate']['theorem']}"
    edited(verdict=certified)
    assert "report.json: verdict: stated certified: " in failing(capsys, report, *UNRUN)
    # Consistent, and false: that the constant is proven, only the run refutes.
    premises = json.loads(text)["certificate"]["premises"]
    proven = [{**one, "basis": one["basis"].replace("declared by the caller", "proven")}
              for one in premises]  # fmt: skip
    edited(conditions=[], verdict=certified, premises=proven)
    assert main(["verify", str(report), *UNRUN, "-q"]) == 0
    assert "report.json: run: verdict: stated certified, found certified if" in failing(
        capsys, report, *QUICK
    )


def test_a_denoiser_with_a_better_constant_than_its_weights_is_named(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    def better(plain: Plain) -> None:
        held = plain["denoiser"]["guarantee"]
        words = held["words"].replace(f"{held['averagedness']:.6g}", "0.9")
        held |= {"averagedness": 0.9, "words": words}

    good.edit(better)
    assert "report.json: α of tiny: stated 0.9" in failing(capsys, good.report, *UNRUN)


def test_an_input_with_another_pixel_is_named(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.asarray(Image.open(good.source)).copy()
    values[3, 4] ^= 1
    other = good.folder / "other.png"
    Image.fromarray(values).save(other)
    assert "input file" in failing(capsys, good.report, *QUICK, "--input", other)
    found = claims(capsys, good.report, *QUICK, "--input", other, code=4)
    assert found["run"]["holds"] is None
    shutil.copy(other, good.source)
    assert "input file" in failing(capsys, good.report, *QUICK)


def test_an_exchanged_output_is_named(good: Good, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(good.source, good.output)
    assert "output file" in failing(capsys, good.report, *UNRUN)
    # With its hash edited as well, the run finds it.
    digest = hashlib.sha256(good.output.read_bytes()).hexdigest()
    good.edit(lambda plain: plain.update(output_sha256=digest))
    assert main(["verify", str(good.report), *UNRUN, "-q"]) == 0
    assert "run: picture" in failing(capsys, good.report, *QUICK)


def test_a_grey_level_of_rounding_is_no_other_picture(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    """PSNR of at least 60 dB; the twin with one level everywhere has 48."""
    values = np.asarray(Image.open(good.output)).copy()

    def stored(changed: np.ndarray) -> None:
        Image.fromarray(changed).save(good.output)
        digest = hashlib.sha256(good.output.read_bytes()).hexdigest()
        good.edit(lambda plain: plain.update(output_sha256=digest))

    one = values.copy()
    one[::16, ::16] ^= 1
    stored(one)
    assert claims(capsys, good.report, *QUICK)["run: picture"]["holds"]
    stored(values ^ 1)
    assert "run: picture" in failing(capsys, good.report, *QUICK)


def test_other_weights_are_named(good: Good, capsys: pytest.CaptureFixture[str]) -> None:
    exported(good.folder, 5)
    assert "weights of denoiser tiny" in failing(capsys, good.report, *UNRUN)
    data = bytearray(good.model.with_suffix(".safetensors").read_bytes())
    shutil.rmtree(good.folder / "again", ignore_errors=True)
    data[-1] ^= 1
    good.model.with_suffix(".safetensors").write_bytes(data)
    assert "weights of denoiser tiny" in failing(capsys, good.report, *UNRUN)


def test_lost_weights_are_not_checked_and_said_so(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    good.model.unlink()
    found = claims(capsys, good.report, *QUICK)
    assert found["weights of denoiser tiny"]["holds"] is None
    assert found["run"]["holds"] is None
    assert "it ended with" in found["run"]["reason"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["certificate"]["constants"][0].update(value=1.0), "run: constant"),
        (lambda p: p["certificate"]["constants"].pop(0), "run: constants by name"),
        (lambda p: p["certificate"]["premises"].pop(), "run: premises"),
        (lambda p: p["noise"].update(level=0.5), "run: noise level"),
        (lambda p: p["kernel"]["weights"][0].__setitem__(0, 0.5), "run: kernel"),
        (lambda p: p["operator"].update(name="identity"), "run: operator"),
        (lambda p: p["options"].update(max_iter=2), "run: status"),
        (lambda p: p.update(linear_light=True), "run: simulated, linear light"),
        (lambda p: p["inputs"][0].update(bit_depth=16), "run: inputs"),
        (lambda p: p["noise"].update(origin="estimated"), "run: noise is"),
        (lambda p: p["kernel"]["parameters"].update(length=9.0), "run: kernel is"),
        (lambda p: p["certificate"]["constants"][0].update(how="exact"), "run: constant"),
        (lambda p: p["certificate"].update(step_law="all falls"), "run: law of each step"),
        (lambda p: p["history"].update(least=1e-9), "run: residuals"),
        (lambda p: p["solver"]["parameters"].update(gamma=1.0), "run: parameters of the solver"),
        (lambda p: p["metrics"].update(after={"psnr": 99.0, "ssim": 1.0}), "run: quality"),
    ],
)
def test_what_only_the_run_can_refute_is_named(
    good: Good,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], object],
    words: str,
) -> None:
    good.edit(change)
    assert main(["verify", str(good.report), *UNRUN, "-q"]) == 0
    assert f"report.json: {words}" in failing(capsys, good.report, *QUICK)
