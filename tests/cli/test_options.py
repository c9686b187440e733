"""What the commands share: flags from fields, names without torch, checks of options."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import pytest
import typer

from pnp_recon.cli.app import make_app
from pnp_recon.cli.run.checks import given, refuse
from pnp_recon.cli.run.flags import Acceleration, Method, SolverName
from pnp_recon.cli.run.options import PRIOR_KINDS, RunOptions
from pnp_recon.cli.shell import Device, run_app
from pnp_recon.errors import InputError
from pnp_recon.solvers import ACCELERATIONS, SOLVERS


@dataclass(frozen=True)
class Own(RunOptions):
    colour: Annotated[str, typer.Option("--colour", help="Of the thing.")] = "red"
    sigma: Annotated[str | None, typer.Option("--sigma", help="In its own words.")] = None


def test_solver_names_are_those_of_the_registry() -> None:
    assert {name.value for name in SolverName} == {"auto", *SOLVERS}
    assert {name.value for name in Acceleration} == {"auto", "none", *ACCELERATIONS}


def test_fields_become_flags(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Own] = []

    def run(options: Own) -> int:
        seen.append(options)
        return 3

    app = make_app("own", "What it does.", Own, run)
    args = ["a.png", "b.png", "--colour", "blue", "--device", "cpu", "--json", "-q"]
    assert run_app(app, "own", args) == 3
    (found,) = seen
    assert (found.inputs, found.colour) == (["a.png", "b.png"], "blue")
    assert (found.device, found.as_json, found.quiet, found.verbose) == (
        Device.cpu,
        True,
        True,
        False,
    )
    assert run_app(app, "own", ["--help"]) == 0
    words = capsys.readouterr().out
    assert "In its own words" in words
    assert words.index("--output") < words.index("--colour") < words.index("--device")
    named = {"residuals": "save-residuals", "as_json": "json", "inputs": "IN..."}
    for field in fields(RunOptions):
        flag = named.get(field.name, field.name.replace("_", "-"))
        assert flag in words, field.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": "0.1"}, "--method tv"),
        ({"weight": "-1", "method": Method.tv}, "--weight is"),
        ({"denoiser": "euler_grey", "method": Method.tv}, "--denoiser does not go with"),
        ({"strength": "2", "weight": "0.1", "method": Method.tv}, "--strength does not go with"),
    ],
)
def test_options_that_do_not_fit_the_method(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        RunOptions(["a.png"], **changes).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["tol", "time_limit", "step"])
def test_numbers_are_finite_before_a_file_is_read(name: str, value: float) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(InputError, match=f"{flag} must be a finite number"):
        RunOptions(["no such file.png"], **{name: value}).check()  # type: ignore[arg-type]
    RunOptions(["no such file.png"], **{name: 0.5}).check()  # type: ignore[arg-type]


def test_options_that_fit_pass() -> None:
    RunOptions(["a.png"], method=Method.tv, weight="0.1").check()
    RunOptions(["a.png"], strength="2", acceleration=Acceleration("anderson")).check()


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_goes_with_its_priors_and_its_settings_only(name: str) -> None:
    """What goes together is what the catalogue says, for every solver that there is."""
    entry, solver = SOLVERS[name], SolverName(name)
    for method in Method:
        kinds = {"none", PRIOR_KINDS[method.value]}
        if "denoiser" in kinds:
            kinds.add("energy")  # --denoiser names energies, too
        options = RunOptions(["a.png"], method=method, solver=solver)
        with_step = RunOptions(["a.png"], method=method, solver=solver, step=0.5)
        if not kinds & set(entry.prior_kinds):
            with pytest.raises(InputError, match=f"--solver {name} does not go with --method"):
                options.check()
            continue
        options.check()
        if "step" in entry.takes:
            with_step.check()
            continue
        with pytest.raises(InputError, match=f"--step does not go with the solver {name}"):
            with_step.check()


def test_what_counts_as_given() -> None:
    plain = RunOptions(["a.png"])
    assert given(plain, "step", "seed", "quiet", "tol") == []
    assert given(replace(plain, step=0.0, quiet=True), "step", "seed", "quiet") == [
        "--step",
        "--quiet",
    ]
    assert given(replace(plain, residuals=Path("r.csv")), "residuals") == ["--save-residuals"]
    with pytest.raises(InputError, match="--quiet does not go with this"):
        refuse(["--quiet", "--step"], "this")
    refuse(["--quiet"], "this", when=False)
    refuse([], "this")
