"""A solution comes back from disk as it was, and its verdict is made again, not read."""

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
from pnp_recon.errors import InputError
from pnp_recon.proximal import TotalVariation
from pnp_recon.report.document import plain_json
from pnp_recon.report.solution_file import UNSHOWN
from pnp_recon.solvers.core.gap import Gap
from pnp_recon.solvers.core.laws import GRADIENT, TOTAL
from solvers.test_descent import run, tiny


@pytest.fixture(scope="module")
def solution() -> pnp_recon.Solution:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    stopping = pnp_recon.Stopping(tol=1e-3, max_iter=400)
    return pnp_recon.reconstruct(
        A.A(x), A, TotalVariation(0.01, box=(0, 1)), noise_level=0.01, stopping=stopping
    )


def test_comes_back_as_it_was(solution: pnp_recon.Solution, tmp_path: Path) -> None:
    pnp_recon.save_solution(solution, tmp_path / "run.v1")
    back = pnp_recon.load_solution(tmp_path / "run.v1")
    assert torch.equal(back.image, solution.image)
    assert back.history == solution.history
    assert (back.solver, back.parameters) == (solution.solver, solution.parameters)
    assert (back.status, back.strength) == (solution.status, solution.strength)
    assert back.stopping == solution.stopping
    assert back.certificate.theorem.premises == (*solution.certificate.theorem.premises, UNSHOWN)
    differ = "verdict", "conditions", "premises"  # nothing was run again
    before, after = (plain_json(one.certificate.to_dict()) for one in (solution, back))
    assert {k: v for k, v in after.items() if k not in differ} == {
        k: v for k, v in before.items() if k not in differ
    }
    assert (solution.certificate.label, back.certificate.label) == ("certified", "certified if")


def test_what_was_found_beside_the_picture_comes_back(
    solution: pnp_recon.Solution, tmp_path: Path
) -> None:
    found = {"kernel": torch.rand(1, 3, 3)[:, ::2]}
    pnp_recon.save_solution(replace(solution, found=found), tmp_path / "joint")
    back = pnp_recon.load_solution(tmp_path / "joint.json")
    assert torch.equal(back.found["kernel"], found["kernel"])


def test_a_run_that_ended_in_time_comes_back(tmp_path: Path) -> None:
    """And one that claims so without a step that was not worth making does not."""
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16), boundary="circular")
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(1, 1, 16, 16, generator=draws)
    y = A.A(x) + 0.1 * torch.randn(x.shape, generator=draws)
    stopping = pnp_recon.Stopping(max_iter=400, least_error=True)
    found = pnp_recon.reconstruct(y, A, solver="landweber", noise_level=0.1, stopping=stopping)
    assert found.status is pnp_recon.Status.LEAST_ERROR
    pnp_recon.save_solution(found, tmp_path / "in_time")
    assert pnp_recon.load_solution(tmp_path / "in_time").certificate.label == "certified if"
    worth = {"steps_worth_making": float(found.iterations)}
    forged = replace(found, parameters={**found.parameters, **worth})
    pnp_recon.save_solution(forged, tmp_path / "forged")
    back = pnp_recon.load_solution(tmp_path / "forged")
    assert "no run of it ended 'LEAST_ERROR'" in back.certificate.verdict


def test_a_gap_comes_back(solution: pnp_recon.Solution, tmp_path: Path) -> None:
    gap = Gap(torch.tensor([1e-3, torch.inf]), torch.ones(2), torch.tensor([False, True]))
    pnp_recon.save_solution(replace(solution, gap=gap), tmp_path / "gap")
    back = pnp_recon.load_solution(tmp_path / "gap")
    assert back.gap is not None
    assert all(torch.equal(back.gap.__dict__[k], v) for k, v in vars(gap).items())
    assert back.found == {}


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
    assert back.certificate.conditions == (UNSHOWN.words,)
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


def test_a_theorem_without_a_law_is_none(solution: pnp_recon.Solution, tmp_path: Path) -> None:
    _, described = pnp_recon.save_solution(solution, tmp_path / "forged")
    held = json.loads(described.read_text())
    lawless(held)
    described.write_text(json.dumps(held))
    assert not pnp_recon.load_solution(described).certificate.proven


@pytest.mark.parametrize("damage", ["{", "[]", '{"solution_version": 99}'])
def test_damaged_files_are_refused(
    damage: str, solution: pnp_recon.Solution, tmp_path: Path
) -> None:
    weights, described = pnp_recon.save_solution(solution, tmp_path / "run")
    described.write_text(damage)
    with pytest.raises(InputError, match="hold no solution"):
        pnp_recon.load_solution(tmp_path / "run")
    weights.unlink()
    with pytest.raises(InputError, match="there is no file"):
        pnp_recon.load_solution(tmp_path / "run")


def test_files_of_two_solutions_are_told_apart(
    solution: pnp_recon.Solution, tmp_path: Path
) -> None:
    """A kill between the two writes, or a picture that another run wrote there."""
    pnp_recon.save_solution(solution, tmp_path / "a")
    pnp_recon.save_solution(replace(solution, image=solution.image + 1), tmp_path / "b")
    pnp_recon.load_solution(tmp_path / "a")  # the twin: both of one
    (tmp_path / "b.safetensors").replace(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="not of one solution"):
        pnp_recon.load_solution(tmp_path / "a")


def test_public_names_are_all_that_is_listed() -> None:
    assert dir(pnp_recon) == sorted([*pnp_recon.__all__, "__version__"])
    named = set(pnp_recon.__all__) - {"operators"}  # a module
    assert set(pnp_recon._HOMES) == named
    assert all(getattr(pnp_recon, name).__name__ == name for name in named)


def test_a_notebook_shows_picture_verdict_and_curve(solution: pnp_recon.Solution) -> None:
    shown = solution._repr_html_()
    assert shown.count("data:image/png;base64,") == 2
    assert solution.certificate.label in shown
    assert "<polyline" in shown
    assert "http" not in shown
    assert repr(solution).startswith("<Solution 2×1×16×16, pdhg: converged after ")
    still = replace(solution, history=replace(solution.history, residuals=[], norms=[], errors=[]))
    assert "<polyline" not in still._repr_html_()


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
    held = json.loads(described.read_text())
    for left, holds in ((TOTAL, False), ("no law", True)):
        kept = [one for one in held["certificate"]["observations"] if left not in one["law"]]
        edited = {**held, "certificate": {**held["certificate"], "observations": kept}}
        described.write_text(json.dumps(edited))
        assert pnp_recon.load_solution(described).certificate.holds == holds


def test_parameters_that_are_none_are_refused(tmp_path: Path) -> None:
    A = Convolution(kernels.gaussian(1.0), (1, 16, 16))
    y = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    stopping = pnp_recon.Stopping(max_iter=400, least_error=True)
    made = pnp_recon.reconstruct(y, A, solver="landweber", noise_level=0.3, stopping=stopping)
    _, described = pnp_recon.save_solution(made, tmp_path / "made")
    held = json.loads(described.read_text())
    assert pnp_recon.load_solution(described).parameters == held["parameters"]
    described.write_text(json.dumps({**held, "parameters": 5}))
    with pytest.raises(InputError, match="hold no solution"):
        pnp_recon.load_solution(described)


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
