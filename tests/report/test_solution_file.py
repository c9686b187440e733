"""A solution comes back from disk as it was, and its verdict is made again, not read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pnp_recon
from operators import Convolution, kernels
from pnp_recon.errors import InputError
from pnp_recon.report.document import plain_json
from pnp_recon.report.solution_file import UNSHOWN
from pnp_recon.solvers.core.gap import Gap


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
