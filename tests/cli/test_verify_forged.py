"""`pnp-recon verify`: reports that agree with themselves and are false, beside their honest twins.

A forger may say that the clock ended the run, or that it ran on another machine, so as to be held
to less.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pnp_recon.cli import ct, deblur
from pnp_recon.cli.listing import main
from pnp_recon.report.reading import history_of, theorem_of
from pnp_recon.solvers import Status
from pnp_recon.solvers.core.remarks import remarks
from support.blurred import save
from support.ct_files import save_lines
from support.verified import QUICK, UNRUN, Good, Plain, claims, exported, failing


def ran(good: Good, *more: str, code: int = 0) -> Good:
    """Another run on the picture of `good`, in another report."""
    args = ["--sigma", "0.02", "--length", "5", "--angle", "20", "--boundary", "circular"]
    args += ["--denoiser", str(good.model), *more]
    shutil.rmtree(good.report)
    good.output.unlink()
    made = ["-o", str(good.output), "--report", str(good.report), "-q"]
    assert deblur.main([str(good.source), *args, *made]) == code
    return good


def says(plain: Plain, status: Status) -> None:
    name, words = status.name.lower(), status.value
    plain["status"] |= {"name": name, "succeeded": status.succeeded, "message": words}


def other_picture(good: Good) -> None:
    """The blurred picture in the place of the restored one."""
    shutil.copy(good.source, good.output)
    digest = hashlib.sha256(good.output.read_bytes()).hexdigest()
    good.edit(lambda plain: plain.update(output_sha256=digest))


def elsewhere(plain: Plain) -> None:
    plain["environment"]["platform"] = "another machine"


# ---- the clock ended it ---------------------------------------------------------------------


def late(plain: Plain) -> None:
    """A clock that ended the run, as far as the report can say it."""
    says(plain, Status.TIME_LIMIT)
    plain["options"]["time_limit"] = 1e-9


def test_a_run_that_the_clock_ended_is_compared_in_full(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    """The twin: it made one step, whatever the machine, and the repetition makes one as well."""
    ran(good, "--acceleration", "none", "--time-limit", "1e-9", "--reference", str(good.source),
        code=3)  # fmt: skip
    assert good.read()["status"]["name"] == "time_limit"
    found = claims(capsys, good.report, *QUICK)
    assert all(one["holds"] for one in found.values())
    for what in ("status", "quality", "residuals", "remarks", "picture"):
        assert found[f"run: {what}"]["holds"]
    good.edit(lambda plain: plain["metrics"].update(after={"psnr": 99.0, "ssim": 1.0}))
    assert "run: quality" in failing(capsys, good.report, *QUICK)


def test_a_clock_ended_run_with_another_picture_is_named(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(good, "--acceleration", "none", "--time-limit", "1e-9", code=3)
    other_picture(good)
    assert "run: picture" in failing(capsys, good.report, *QUICK)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: says(p, Status.TIME_LIMIT), "no time limit among the options"),
        (lambda p: (late(p), p["options"].update(time_limit=1e9)), "of the 1e+09 s allowed"),
        (late, "found converged; the repetition ended by itself"),
    ],
)
def test_a_clock_that_ended_nothing_is_named(
    good: Good,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], object],
    words: str,
) -> None:
    good.edit(change)
    line = failing(capsys, good.report, *QUICK)
    assert "run: status: stated time_limit" in line
    assert words in line


@pytest.mark.parametrize("status", [Status.TIME_LIMIT, Status.INTERRUPTED])
def test_nobody_hides_another_picture_behind_the_clock(
    good: Good, capsys: pytest.CaptureFixture[str], status: Status
) -> None:
    def forged(plain: Plain) -> None:
        late(plain)
        says(plain, status)
        plain["metrics"]["after"] = {"psnr": 99.0, "ssim": 1.0}

    other_picture(good)
    good.edit(forged)
    found = claims(capsys, good.report, *QUICK, code=4)
    assert found["run: picture"]["holds"] is False
    assert found["run: quality"]["holds"] is False


def test_a_hand_that_ended_a_run_is_not_checked_but_all_else_is(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(good, "--acceleration", "none", "--max-iter", "5", "--tol", "1e-9", code=3)
    good.edit(lambda plain: says(plain, Status.INTERRUPTED))
    found = claims(capsys, good.report, *QUICK)
    assert [what for what, one in found.items() if not one["holds"]] == ["run: status"]
    assert "run: status: not checked" in failing(capsys, good.report, *QUICK, "--strict")


# ---- another machine ------------------------------------------------------------------------


def scaled(plain: Plain, factor: float, start: int = 0) -> None:
    """Residuals and all that follows from them; falling ones stay below their bounds."""
    history = plain["history"]
    for name in ("residuals", "relative_residuals", "inner_errors"):
        for row in history[name][start:]:
            row[:] = [factor * value for value in row]


def follow(good: Good, capsys: pytest.CaptureFixture[str]) -> None:
    """A forger asks the verifier which observations would follow."""
    found = claims(capsys, good.report, *UNRUN, code=4)

    def corrected(plain: Plain) -> None:
        for item in plain["certificate"]["observations"]:
            item["worst"] = float(found[f"observed: {item['law']}"]["found"].split(",")[0])

    good.edit(corrected)
    assert main(["verify", str(good.report), *UNRUN, "-q"]) == 0


@pytest.mark.parametrize(("factor", "holds"), [(0.7, True), (0.01, False)])
def test_residuals_of_another_machine_are_near_those_of_the_repetition(
    good: Good, capsys: pytest.CaptureFixture[str], factor: float, holds: bool
) -> None:
    def forged(plain: Plain) -> None:
        elsewhere(plain)
        scaled(plain, factor)

    good.edit(forged)
    follow(good, capsys)
    found = claims(capsys, good.report, *QUICK, code=0 if holds else 4)
    assert found["run: residuals"]["holds"] is holds


@pytest.mark.parametrize(("factor", "holds"), [(0.7, True), (1e-4, False)])
def test_a_longer_run_elsewhere_gets_no_further_than_the_repetition(
    good: Good, capsys: pytest.CaptureFixture[str], factor: float, holds: bool
) -> None:
    def forged(plain: Plain) -> None:
        elsewhere(plain)
        for rows in plain["history"].values():
            if isinstance(rows, list) and len(rows) == plain["status"]["iterations"]:
                rows.append(json.loads(json.dumps(rows[-1])))
        scaled(plain, factor, plain["status"]["iterations"])
        plain["status"]["iterations"] += 1

    good.edit(forged)
    found = claims(capsys, good.report, *QUICK, code=4)  # the row has no bound of its own
    assert found["run: residuals"]["holds"] is holds
    assert found["run: iterations"]["holds"] is None


# ---- remarks --------------------------------------------------------------------------------


def narrow(plain: Plain) -> None:
    """The bar of a contraction, a thousand times as good."""
    said = plain["certificate"]["remarks"]
    assert "there is one solution" in said[0]
    value = re.search(r"within (\S+)/255 of it", said[0])
    assert value is not None
    said[0] = said[0].replace(value[0], f"within {float(value[1]) / 1e3:.2g}/255 of it")


def free(plain: Plain) -> None:
    plain["certificate"]["remarks"].append("proven to be the picture of the original scene")


def silent(plain: Plain) -> None:
    plain["certificate"]["remarks"].clear()


def unneeded(plain: Plain) -> None:
    """A map from z to the point shown that takes everything to the fixed point."""
    plain["certificate"]["error_bar"]["after"] = 0.0


@pytest.fixture(scope="module")
def contraction(tmp_path_factory: pytest.TempPathFactory) -> Good:
    """A run with an error bar, and steps that are not exact."""
    folder = tmp_path_factory.mktemp("contraction")
    model = exported(folder, 0)
    good = Good(folder, save(folder / "a.png", 1), folder / "out.png", model)
    args = ["--sigma", "0.02", "--length", "5", "--angle", "20", "--ridge", "0.2"]
    args += ["--acceleration", "none", "--tol", "1e-3", "--max-iter", "300"]
    made = ["-o", str(good.output), "--report", str(good.report), "-q"]
    assert deblur.main([str(good.source), *args, "--denoiser", str(model), *made]) == 0
    return good


@pytest.fixture
def bar(contraction: Good) -> Iterator[Good]:
    path = contraction.report / "report.json"
    text = path.read_text(encoding="utf-8")
    yield contraction
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("moved", [False, True])
def test_an_honest_error_bar_holds_on_any_machine(
    bar: Good, capsys: pytest.CaptureFixture[str], moved: bool
) -> None:
    said = bar.read()["certificate"]["remarks"]
    assert "there is one solution" in said[0]
    assert "inner solves" in said[1]
    if moved:
        bar.edit(elsewhere)
    found = claims(capsys, bar.report, *QUICK)
    open_ = [what for what, one in found.items() if not one["holds"]]
    assert open_ == (["run: parameters of the solver"] if moved else [])
    assert found["remarks"]["holds"]


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("change", [narrow, free, silent])
def test_remarks_follow_from_the_history(
    bar: Good,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], object],
    moved: bool,
) -> None:
    bar.edit(change)
    if moved:
        bar.edit(elsewhere)
    assert "report.json: remarks: stated" in failing(capsys, bar.report, *UNRUN)


def test_a_remark_where_nothing_is_to_be_said_is_named(
    good: Good, capsys: pytest.CaptureFixture[str]
) -> None:
    good.edit(free)
    good.edit(elsewhere)
    assert "report.json: remarks: stated" in failing(capsys, good.report, *UNRUN)


def said_again(good: Good, capsys: pytest.CaptureFixture[str]) -> None:
    """A forger makes the remarks follow from what he changed."""
    plain = good.read()
    theorem, history = theorem_of(plain["certificate"]), history_of(plain["history"])
    rate = theorem.laws().rate
    reach = None if rate is None else [x / rate(0) for x in (history.bounds or [[]])[0]]
    good.edit(
        lambda p: p["certificate"].update(remarks=list(remarks(theorem, history, reach or None)))
    )
    assert main(["verify", str(good.report), *UNRUN, "-q"]) == 0


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unneeded, "run: error bar"),
        (lambda p: p["history"].update(pixels=10**9), "run: residuals"),
        (lambda p: p["history"].update(tolerances=[]), "run: residuals"),
        (lambda p: p["history"].update(floor=1), "run: residuals"),
        (lambda p: p["history"].update(picture_errors=[1e-30]), "run: residuals"),
    ],
)
def test_what_remarks_are_made_of_is_that_of_the_run(
    bar: Good,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Plain], object],
    words: str,
    moved: bool,
) -> None:
    bar.edit(change)
    said_again(bar, capsys)
    if moved:
        bar.edit(elsewhere)
    assert f"report.json: {words}" in failing(capsys, bar.report, *QUICK)


def test_pictures_that_were_solved_in_parts_say_what_the_repetition_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five slices in three parts; what each part says follows from constants of its own."""
    source, model = save_lines(tmp_path / "a.npz", 5), exported(tmp_path, 1)
    args = [str(source), "--max-iter", "8", "--denoiser", str(model), "--acceleration", "none"]
    assert ct.main([*args, "--ridge", "0.2", "--report", str(tmp_path / "r"), "-q"]) in (0, 3)
    path = tmp_path / "r" / "report.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    elsewhere(plain)
    said = plain["certificate"]["remarks"]
    assert "there is one solution" in said[0]
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert claims(capsys, path, *QUICK)["run: remarks"]["holds"]
    said[0] = re.sub(r"within \S+/255", "within 1e-9/255", said[0])
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert "run: remarks" in failing(capsys, path, *QUICK)
    said.append("proven to be the picture of the original scene")
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert "report.json: remarks: stated" in failing(capsys, path, *UNRUN)
