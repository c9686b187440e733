"""`pnp-recon verify`: reports that agree with themselves and are false, beside their honest twins.

A forger may say that the clock ended the run, or that it ran on another machine, so as to be held
to less.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable

import pytest

from pnp_recon.cli import deblur
from pnp_recon.cli.listing import main
from pnp_recon.solvers import Status
from support.verified import QUICK, UNRUN, Good, Plain, claims, failing


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
