"""`dpir:NAME`, and how strong a prior is in the suites that reconstruct."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pnp_recon.benchmark.cells import Plan
from pnp_recon.benchmark.choice import Choice, checked_strength
from pnp_recon.benchmark.methods import expand, load_method
from pnp_recon.benchmark.methods.models import model
from pnp_recon.benchmark.planning import make_plan, search_plan
from pnp_recon.benchmark.suites.problems import Deblur
from pnp_recon.benchmark.suites.reconstruct import arguments, strength_of
from pnp_recon.errors import InputError
from pnp_recon.models import load
from pnp_recon.solvers.tuning import total_variation_weight
from support.benchmark import bench, folder_of_pictures


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "data", 1)


def plan_of(data: Path, *methods: str, **choice: Any) -> Plan:
    return make_plan(
        Choice(
            suite="deblur",
            data=data,
            methods=methods,
            grey=True,
            noise=[7.65],
            problems=["Gaussian"],
            threads=1,
            **choice,
        )
    )


def called(plan: Plan, parameters: dict[str, float]) -> dict[str, Any]:
    """What `reconstruct` would be called with."""
    cell = next(plan.cells())
    method = load_method(cell.method, plan.channels)
    return arguments(plan, method, Deblur().problem(plan, cell), parameters)


# ---- dpir:NAME ----------------------------------------------------------------------------------


def test_any_denoiser_goes_into_the_schedule(data: Path) -> None:
    for name in ("euler_grey", "nlm", "trained_models/euler_grey.json"):
        method = load_method(f"dpir:{name}", 1)
        assert (method.solver, method.guarantee.holds) == ("dpir", False)
        assert method.name == f"dpir:{load_method(name, 1).name}"
    assert expand(["dpir:euler_grey", "tv"], 1) == ["dpir:euler_grey", "tv"]
    found = called(plan_of(data, "dpir:euler_grey"), {})
    assert found["solver"] == "dpir"
    assert found["strength"] == 1
    assert not {"gamma", "denoiser_level"} & set(found)
    assert load_method("euler_grey", 1).solver is None


def test_rows_of_the_schedule_claim_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        "run deblur --grey --noise 7.65 --problems Gaussian --methods dpir:euler_grey,euler_grey"
    )
    assert bench(*words.split(), "--data", data, "-o", out) == 0
    with (out / "results.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    mine, certified = rows["dpir:euler_grey"], rows["euler_grey"]
    assert (mine["certificate"], certified["certificate"]) == ("no guarantee", "certified")
    assert (mine["status"], mine["iterations"]) == ("done", "8")
    assert mine["model_sha256"] == certified["model_sha256"] != ""
    assert float(mine["psnr"]) > float(mine["psnr_input"])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("dpir:eulr_grey", "did you mean euler_grey.*known: .*nlm.*euler_colour"),
        ("dpir:", "known: .*euler_grey"),
        ("dpir:dpir:euler_grey", "brings a solver of its own"),
        ("dpir:euler_colour", "3 channels"),
    ],
)
def test_what_does_not_go_into_the_schedule_is_refused(data: Path, method: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan_of(data, method)


@pytest.mark.parametrize("suite", ["denoise", "stability"])
def test_the_schedule_denoises_nothing(data: Path, suite: str) -> None:
    with pytest.raises(InputError, match="nothing to solve"):
        make_plan(Choice(suite=suite, data=data, methods=["dpir:euler_grey"]))
    method = load_method("dpir:euler_grey", 1)
    with pytest.raises(InputError, match="reconstructs"):
        method.denoise(None, 0.1)  # type: ignore[arg-type]


# ---- strength -----------------------------------------------------------------------------------


def test_a_strength_takes_the_place_of_what_was_tuned(data: Path) -> None:
    tuned = called(plan_of(data, "euler_grey", strength="tuned"), {"level": 9.0, "coupling": 4.0})
    assert tuned["denoiser_level"] == pytest.approx(9 / 255)
    assert tuned["strength"] == 1
    for text, value in (("auto", "auto"), ("1.5", 1.5)):
        found = called(plan_of(data, "euler_grey", strength=text), {})
        assert (found["strength"], found["solver"]) == (value, "pnp-hqs")
        assert not {"gamma", "denoiser_level"} & set(found)


def test_a_number_multiplies_the_weight_of_a_functional(data: Path) -> None:
    weights = [
        called(plan_of(data, "tv", strength=text), {})["prior"].weight
        for text in ("1", "2", "auto")
    ]
    assert weights[0] == pytest.approx(total_variation_weight(7.65 / 255))
    assert weights == pytest.approx([weights[0], 2 * weights[0], weights[0]])
    assert called(plan_of(data, "tv", strength="2"), {})["strength"] == 1
    assert called(plan_of(data, "tv", strength="auto"), {})["strength"] == "auto"


def test_an_energy_is_handed_over_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = SimpleNamespace(kind="energy")
    monkeypatch.setattr("pnp_recon.benchmark.methods.models.load", lambda *_, **__: energy)
    assert model("euler_grey").energy is energy
    plan = plan_of(data, "euler_grey", strength="auto")
    problem = Deblur().problem(plan, next(plan.cells()))
    found = arguments(plan, model("euler_grey"), problem, {})
    assert (found["prior"], found["strength"]) == (energy, "auto")
    assert "solver" not in found
    monkeypatch.undo()
    assert load.load("euler_grey").kind == "denoiser"
    assert model("euler_grey").energy is None


def test_rows_say_the_strength_that_a_run_had(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        "run deblur --grey --noise 7.65 --problems Gaussian --methods euler_grey,dpir:euler_grey"
    )
    assert bench(*words.split(), "--data", data, "-o", out, "--strength", "2") == 0
    with (out / "results.csv").open(newline="") as file:
        rows = {row["method"]: row["parameters"] for row in csv.DictReader(file)}
    assert rows == {"euler_grey": '{"strength": 2.0}', "dpir:euler_grey": ""}
    plan = plan_of(data, "euler_grey", strength="auto")
    method = load_method("euler_grey", 1)
    chosen: Any = SimpleNamespace(strength=SimpleNamespace(value=1.7))
    assert strength_of(plan, method, chosen) == {"strength": 1.7}
    assert strength_of(plan, method, SimpleNamespace()) == {}  # type: ignore[arg-type]
    assert strength_of(replace(plan, strength="tuned"), method, chosen) == {}


def test_strengths_that_are_none_are_refused(data: Path) -> None:
    assert [checked_strength(text) for text in ("auto", "tuned", "1.50")] == [
        "auto",
        "tuned",
        "1.5",
    ]
    for text in ("best", "0", "-1", "nan", "inf"):
        with pytest.raises(InputError, match="--strength is"):
            plan_of(data, "euler_grey", strength=text)
    with pytest.raises(InputError, match="solves nothing"):
        make_plan(Choice(suite="denoise", data=data, methods=["tv"], strength="1"))
    assert search_plan(
        Choice(suite="deblur", data=data, methods=["tv"], grey=True, strength="2")
    ).strength == "tuned"  # fmt: skip


def test_a_plan_from_before_ran_with_what_was_tuned(data: Path) -> None:
    stored = plan_of(data, "euler_grey", strength="2").to_dict()
    assert Plan.from_dict(stored).conditions["strength"] == "2"
    del stored["strength"]
    assert Plan.from_dict(stored).strength == "tuned"
    assert "strength" not in Plan.from_dict(stored).conditions
