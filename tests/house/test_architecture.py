"""docs/architecture.md says what is: the units in their order, and samples that run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import operators
from operators.checks import check_operator
from pnp_recon.cli.train.flags import asked
from pnp_recon.fidelity import LeastSquares
from pnp_recon.models.family import Family
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers import Stopping, iterate
from pnp_recon.solvers.knobs import Knobs
from scripts.figures import architecture
from support.import_graph import ORDER

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SHORT = [architecture.short(unit) for unit in ORDER]


def units(page: str) -> list[str]:
    """The first column of the table of units."""
    section = page.partition("## The house, unit by unit")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w.]+)` \|", section, flags=re.M)


def sample(title: str) -> dict[str, Any]:
    """What the sample under a heading defines."""
    section = PAGE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.S)
    names: dict[str, Any] = {"__name__": "sample"}
    exec(compile(code, title, "exec", dont_inherit=True), names)  # annotations as they stand
    return names


def test_the_page_lists_the_units_in_their_order() -> None:
    assert units(PAGE) == SHORT


def test_a_missing_unit_and_another_order_are_seen() -> None:
    row = next(line for line in PAGE.splitlines(keepends=True) if line.startswith("| `scans` |"))
    assert units(PAGE.replace(row, "")) != SHORT
    assert units(PAGE.replace(row, "").replace("| `files` |", f"{row}| `files` |")) != SHORT


def test_the_picture_has_every_unit_once() -> None:
    places = (*architecture.WAY, architecture.PRIOR, architecture.HOUSE)
    assert sorted(unit for place in places for unit in place.units) == sorted(SHORT)
    assert architecture.order() == ORDER


def test_what_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:operators|tests|scripts|pnp_recon)/[\w/]+\.(?:py|json))`", PAGE))
    new = ("flip", "steepest", "averaged", "unflip")
    missing = [p for p in sorted(named) if not (ROOT / p).exists() and not any(n in p for n in new)]
    assert len(named) > 10
    assert missing == []


def test_the_operator_keeps_every_law() -> None:
    check_operator(sample("An operator")["Flip"]((2, 5, 6), -2)).require()


def test_the_solver_keeps_the_law_of_its_theorem() -> None:
    names = sample("A solver with a new kind of theorem")
    A = operators.Convolution(torch.rand(3, 3).double(), (1, 8, 9), "reflect")
    y = A.A(torch.rand(2, 1, 8, 9).double())
    solver = names["SteepestDescent"].configure(Problem(A, y), None, Knobs())
    solution = iterate(solver, Stopping(tol=1e-300, max_iter=20))
    assert isinstance(solution.certificate.theorem, names["MonotoneDescent"])
    assert solution.certificate.holds
    assert len(solution.certificate.observed) == 1
    flipped = operators.Convolution(torch.rand(3, 3).double(), (1, 8, 9), "reflect")
    flipped._transpose_map = lambda y: -3 * A.A_adjoint(y)  # type: ignore[method-assign]
    wrong = names["SteepestDescent"](LeastSquares(flipped, y), torch.zeros(2, 1, 8, 9).double())
    assert iterate(wrong, Stopping(tol=1e-300, max_iter=20)).certificate.contradicted


def test_the_family_builds_certifies_and_guarantees() -> None:
    names = sample("A family of networks")
    family = names["FAMILY"]
    assert isinstance(family, Family)
    network = family.build({"channels": 1, "kernel_size": 3})
    found = family.certify(network, "tiny", (1 / 255, 50 / 255))
    assert found.fields["certificate"]["averagedness"] == 0.5
    x, other = torch.rand(2, 1, 1, 7, 8)
    with torch.no_grad():
        assert float((network(x) - network(other)).norm()) <= float((x - other).norm())


def test_the_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    names = sample("A command")
    assert names["main"](["--help"]) == 0
    out = capsys.readouterr().out
    assert "--upright" in out
    assert "--require-certificate" in out


def test_the_task_has_flags_and_builds() -> None:
    task = sample("A training task")["AveragedTask"]
    options = {name for option in asked(task) for name in option.names}
    assert {"--patch", "--sigma-max", "--depth"} <= options
    made = task.of({**task.defaults({}), "data": Path(), "threads": 1, "description": {},
                    "made_with": {}, "network": {"depth": 3, "width": 2}})  # fmt: skip
    assert made.name == "averaged_grey"
    assert sum(p.numel() for p in made.build().parameters())
