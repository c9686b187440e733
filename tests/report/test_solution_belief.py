"""What a saved solution says of itself and does not follow from the rest of it is not believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import pnp_recon
from operators import Convolution, kernels
from pnp_recon.report.solution_file import TRIED, UNSHOWN
from pnp_recon.solvers.core.gap import Gap
from pnp_recon.solvers.core.laws import GRADIENT, TOTAL
from pnp_recon.solvers.descent.differences import LAW
from pnp_recon.solvers.in_time import KEPT
from solvers.test_descent import run, tiny


def test_a_verdict_that_was_written_over_is_not_believed(
    solution: pnp_recon.Solution, tmp_path: Path
) -> None:
    broken = solution.certificate.observed[0]
    false = replace(
        solution,
        certificate=replace(
            solution.certificate, observed=(replace(broken, worst=2.0, limit=1.0),)
        ),
    )
    assert not false.certificate.holds
    _, described = pnp_recon.save_solution(false, tmp_path / "false")
    held = json.loads(described.read_text())
    held["certificate"] |= {"holds": True, "verdict": "certified", "contradicted": False}
    described.write_text(json.dumps(held))
    assert not pnp_recon.load_solution(tmp_path / "false").certificate.holds


def emptied(held: dict[str, Any]) -> None:
    held["history"] |= {key: [] for key in ("residuals", "norms", "errors", "bounds", "ratios")}


def raised(held: dict[str, Any]) -> None:
    rows = held["history"]["residuals"]
    rows[3] = [100 * value for value in rows[3]]


def diverged(held: dict[str, Any]) -> None:
    held["status"] = "NON_FINITE"


def eased(held: dict[str, Any]) -> None:
    held["certificate"]["observations"][0]["worst"] /= 2


def left_out(held: dict[str, Any]) -> None:
    held["certificate"]["observations"].pop()


def stopped(held: dict[str, Any]) -> None:
    """What a run of another tolerance would have said of this history."""
    held["stopping"]["tol"] = 1e-9


def early(held: dict[str, Any]) -> None:
    held["status"] = "EARLY_STOP"


def direct(held: dict[str, Any]) -> None:
    held["status"] = "DIRECT"


def gapless(held: dict[str, Any]) -> None:
    held["status"] = "GAP"


def unasked(held: dict[str, Any]) -> None:
    held["stopping"] = None


def silent(held: dict[str, Any]) -> None:
    del held["stopping"]


def coarse(held: dict[str, Any]) -> None:
    """Rounding as large as that lets every law hold."""
    held["history"]["unit"] = 1.0


def longer(held: dict[str, Any]) -> None:
    held["history"]["stride"] = 1e9


def of_others(held: dict[str, Any]) -> None:
    held["history"]["pixels"] *= 2


def as_kind(held: dict[str, Any], kind: str, law: str) -> None:
    """The block of a theorem that never fails, with an observation of nothing."""
    block, history = held["certificate"], held["history"]
    history |= {"bounds": [], "ratios": []}
    law_of_none = {"law": "it went well", "worst": 0.0, "limit": 1.0, "passed": True}
    found = "no guarantee: no map is iterated"
    block |= {
        "kind": kind, "step_law": law, "numbers": {}, "premises": [], "conditions": [],
        "constants": [], "remarks": [], "error_bar": None, "observations": [law_of_none],
        "verdict": f"certified: {block['theorem']}",
        "guarantee": {"lipschitz": None, "averagedness": None, "source": "no map is iterated"},
    }  # fmt: skip
    block["guarantee"] |= {"holds": False, "words": found}


def krylov(held: dict[str, Any]) -> None:
    as_kind(held, "Krylov", "residuals never grow")


def lawless(held: dict[str, Any]) -> None:
    as_kind(held, "accelerated descent", "")


def nothing(held: dict[str, Any]) -> None:
    pass


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (emptied, "holds no iteration"),
        (raised, "does not agree with itself"),
        (diverged, "non-finite"),
        (eased, "does not agree with itself"),
        (left_out, "does not agree with itself"),
        (stopped, "no run of it ended 'CONVERGED'"),
        (early, "no run of it ended 'EARLY_STOP'"),
        (direct, "no run of it ended 'DIRECT'"),
        (gapless, "no run of it ended 'GAP'"),
        (unasked, "does not say when its run was to stop"),
        (silent, "does not say when its run was to stop"),
        (coarse, "does not agree with itself (rounding 1"),
        (longer, "a stride of 1e+09"),
        (of_others, "a history of other pictures"),
        (krylov, "nothing that its theorem can be held against"),
        (nothing, ""),  # the twin
    ],
)
def test_what_the_history_does_not_bear_out_is_not_certified(
    edit: Callable[[dict[str, Any]], None],
    said: str,
    solution: pnp_recon.Solution,
    tmp_path: Path,
) -> None:
    assert solution.certificate.holds
    _, described = pnp_recon.save_solution(solution, tmp_path / "edited")
    held = json.loads(described.read_text())
    edit(held)
    described.write_text(json.dumps(held))
    back = pnp_recon.load_solution(tmp_path / "edited").certificate
    assert back.holds == (not said)
    assert said in back.unchecked


def test_what_no_history_shows_is_a_condition(tmp_path: Path) -> None:
    """A descent tries the gradient of its energy, of which the history holds nothing."""
    certified = run(tiny())
    assert certified.certificate.label == "certified"
    pnp_recon.save_solution(certified, tmp_path / "descent")
    back = pnp_recon.load_solution(tmp_path / "descent")
    assert back.certificate.label == "certified if"
    assert back.certificate.conditions == (UNSHOWN.words, TRIED.format(LAW))
    pnp_recon.save_solution(back, tmp_path / "again")
    again = pnp_recon.load_solution(tmp_path / "again")
    assert again.certificate == back.certificate


def test_what_no_run_tried_is_a_condition_and_its_loss_is_seen(tmp_path: Path) -> None:
    certified = run(tiny())
    observed = certified.certificate.observed
    left = tuple(item for item in observed if not item.law.startswith(GRADIENT))
    assert len(left) == len(observed) - 1
    untried = replace(certified.certificate, observed=left)
    assert untried.conditions == (f"{GRADIENT} (not tried)",)
    assert certified.certificate.conditions == ()  # the twin
    _, described = pnp_recon.save_solution(certified, tmp_path / "descent")
    held = json.loads(described.read_text())
    kept = [one for one in held["certificate"]["observations"] if GRADIENT not in one["law"]]
    held["certificate"]["observations"] = kept
    described.write_text(json.dumps(held))
    back = pnp_recon.load_solution(described).certificate
    assert not back.holds
    assert "does not agree with itself" in back.unchecked
    # Even where the forger says so himself, it is a condition.
    held["certificate"] |= {"conditions": untried.conditions, "verdict": untried.verdict}
    described.write_text(json.dumps(held))
    said = pnp_recon.load_solution(described).certificate
    assert said.conditions == (UNSHOWN.words, f"{GRADIENT} (not tried)")


@pytest.mark.parametrize("prior", ["euler_grey", "ridge_grey"])
def test_a_total_that_was_not_checked_is_seen(prior: str, tmp_path: Path) -> None:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16))
    y = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    stopping = pnp_recon.Stopping(1e-2, 5)
    made = pnp_recon.reconstruct(
        y, A, prior, noise_level=0.05, strength=1, keep_total=True, stopping=stopping
    )
    assert made.certificate.untried == ()
    _, described = pnp_recon.save_solution(made, tmp_path / "kept")
    conditions = pnp_recon.load_solution(described).certificate.conditions
    assert any(TOTAL in words and "as the file says" in words for words in conditions)
    assert not any(TOTAL in words for words in made.certificate.conditions)
    held = json.loads(described.read_text())
    for left, holds in ((TOTAL, False), ("no law", True)):
        kept = [one for one in held["certificate"]["observations"] if left not in one["law"]]
        edited = {**held, "certificate": {**held["certificate"], "observations": kept}}
        described.write_text(json.dumps(edited))
        assert pnp_recon.load_solution(described).certificate.holds == holds


@pytest.mark.parametrize("law", [TOTAL, GRADIENT])
def test_no_file_sets_the_limit_of_a_law(law: str, tmp_path: Path) -> None:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16))
    y = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    stopping = pnp_recon.Stopping(1e-2, 5)
    made = pnp_recon.reconstruct(
        y, A, "ridge_grey", noise_level=0.05, strength=1, keep_total=True, stopping=stopping
    )
    _, described = pnp_recon.save_solution(made, tmp_path / "kept")
    for factor in (1.0, 1e9):
        held = json.loads(described.read_text())
        (item,) = (i for i in held["certificate"]["observations"] if i["law"].startswith(law))
        item["limit"] *= factor
        item["worst"] *= factor
        (tmp_path / "kept.json").write_text(json.dumps(held))
        back = pnp_recon.load_solution(described).certificate
        assert back.holds == (factor == 1.0), back.lines()
        assert factor == 1.0 or "limit" in back.unchecked


def test_a_bar_that_an_earlier_version_saved_is_gone(tmp_path: Path) -> None:
    """It was of the last iterate; the picture of such a run is another."""
    A = Convolution(kernels.gaussian(0.5), (1, 16, 16), boundary="circular")
    y = A.A(torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    asked = pnp_recon.Stopping(1e-6, 400)
    made = pnp_recon.reconstruct(y, A, solver="landweber", noise_level=0.1, stopping=asked)
    assert made.error_bars
    _, described = pnp_recon.save_solution(made, tmp_path / "made")
    plain = pnp_recon.load_solution(described)
    assert plain.error_bars == made.error_bars  # the twin: its picture is the last iterate
    held = json.loads(described.read_text())
    for earlier in ({"stopping": {**held["stopping"], "least_error": True}},
                    {"parameters": {**held["parameters"], "steps_worth_making": 9.0}}):  # fmt: skip
        described.write_text(json.dumps({**held, **earlier}))
        back = pnp_recon.load_solution(described)
        assert back.certificate.holds, back.certificate.lines()
        assert back.error_bars == ()
        assert back.certificate.theorem.error_bar is None
        assert not any("lies within" in words for words in back.certificate.remarks)
        assert KEPT in back.certificate.verdict


def test_a_gap_that_contradicts_duality_voids_a_file(
    solution: pnp_recon.Solution, tmp_path: Path
) -> None:
    for faulty in (False, True):
        gap = Gap(torch.tensor([1e-3, 1e-3]), torch.ones(2), torch.tensor([False, faulty]))
        pnp_recon.save_solution(replace(solution, gap=gap), tmp_path / "gap")
        assert pnp_recon.load_solution(tmp_path / "gap").certificate.holds != faulty


def test_remarks_of_a_file_say_under_which_condition(tmp_path: Path) -> None:
    """Of a run they say "proven", of a file never, and of one that is false nothing at all."""
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    y = A.A(torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    held = pnp_recon.reconstruct(
        y, A, "euler_grey", noise_level=0.05, strength=1, solver="pnp-hqs", ridge=0.1
    )
    assert any("(proven)" in words for words in held.certificate.remarks)
    _, described = pnp_recon.save_solution(held, tmp_path / "run")
    back = pnp_recon.load_solution(described).certificate
    assert len(back.remarks) == len(held.certificate.remarks)
    assert not any("(proven" in words for words in back.remarks)
    assert any("(if what is declared is true)" in words for words in back.remarks)
    file = json.loads(described.read_text(encoding="utf-8"))
    file["certificate"]["remarks"] = ["the picture is the truth (proven)"]
    described.write_text(json.dumps(file), encoding="utf-8")
    forged = pnp_recon.load_solution(described).certificate
    assert (forged.label, forged.remarks) == ("not certified", ())


def test_a_theorem_without_a_law_is_none(solution: pnp_recon.Solution, tmp_path: Path) -> None:
    _, described = pnp_recon.save_solution(solution, tmp_path / "forged")
    held = json.loads(described.read_text())
    lawless(held)
    described.write_text(json.dumps(held))
    assert not pnp_recon.load_solution(described).certificate.proven
