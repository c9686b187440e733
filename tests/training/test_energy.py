"""Training of energies: exact resume, that it learns, what becomes of a run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pnp_recon import load_denoiser
from pnp_recon.errors import InputError
from pnp_recon.models.load import family_of
from pnp_recon.models.store import find_card, read_card
from pnp_recon.training.energy.network import Architecture
from pnp_recon.training.energy.problems import Circular, Pixels, draw
from pnp_recon.training.energy.recipe import EnergyRecipe
from pnp_recon.training.energy.task import EnergyTask
from pnp_recon.training.energy.trainer import EnergyTrainer
from pnp_recon.training.runs import export_run, start_or_resume
from support.energies import clean, energy, pictures
from support.samples import noise

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
# Whatever a small run takes; both phases, the last step at a critical point.
SMALL = EnergyRecipe(
    steps=4, batch=2, patch=24, warmup=1, inner=6, cg=4, critical=0.25, critical_batch=2,
    critical_patch=32, solve=6, adjoint=4,
)  # fmt: skip


# ---- runs ----------------------------------------------------------------------------------------


def trainer(folder: Path, family: str, recipe: EnergyRecipe = SMALL) -> EnergyTrainer:
    return EnergyTrainer(energy(family), recipe, pictures(), pictures(1), folder)


MUON = replace(SMALL, optimiser="muon")


@pytest.mark.parametrize(
    ("family", "recipe"), [("ridge", SMALL), ("gradient-step", SMALL), ("gradient-step", MUON)]
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, family: str, recipe: EnergyRecipe
) -> None:
    whole = trainer(tmp_path / "whole", family, recipe)
    assert whole.run(lambda _: None, every=2)
    first = trainer(tmp_path / "parts", family, recipe)
    first.run(lambda _: None, every=2, stop=lambda: first.step == 3)
    assert first.step == 3
    second = trainer(tmp_path / "parts", family, recipe)
    assert second.at_critical_points
    assert second.best["step"] == 2
    assert second.run(lambda _: None, every=2)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key
    assert whole.best["score"] == second.best["score"]


def test_the_best_weights_are_kept_apart(tmp_path: Path) -> None:
    run = trainer(tmp_path, "gradient-step")
    run.psnr = run.validate()
    kept = {key: value.clone() for key, value in run.best["average"].items()}
    for damage in (0.5, float("nan")):
        for value in run.average.parameters():
            value.add_(damage * noise(value))
        run.validate()
        assert all(torch.equal(kept[key], value) for key, value in run.best["average"].items())
    # The twin: a score that any validation beats keeps the damage.
    run.best["score"] = -1e9
    run.average.load_state_dict({key: value + 0.01 for key, value in kept.items()})
    run.validate()
    assert not torch.equal(kept["exit"], run.best["average"]["exit"])


@pytest.mark.parametrize(
    ("family", "rate", "critical"),
    [("ridge", 3e-2, 0.0), ("gradient-step", 1e-2, 0.0), ("gradient-step", 3e-3, 1.0)],
)
def test_training_lowers_its_loss(
    tmp_path: Path, family: str, rate: float, critical: float
) -> None:
    recipe = replace(
        SMALL, steps=25, learning_rate=rate, critical=critical, critical_rate=1.0, solve=12
    )
    run = trainer(tmp_path, family, recipe)
    start = run.generator.get_state()

    def loss() -> float:
        now = run.generator.get_state()
        run.generator.set_state(start)
        found = sum(float(run.objective().detach()) for _ in range(4)) / 4
        run.generator.set_state(now)
        return found

    before = loss()
    while run.step < 24:
        run.train_step()
    assert loss() < before - 0.02


def test_levels_jitter_and_kinds_are_drawn_from_the_generator() -> None:
    x = clean(side=32).float()
    drawn = [draw(x, SMALL, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0].data.back, drawn[1].data.back)
    assert not torch.equal(drawn[0].level, drawn[2].level)
    kinds = {type(draw(x, SMALL, torch.Generator().manual_seed(s)).data) for s in range(12)}
    assert kinds == {Circular, Pixels}


# ---- tasks and models ----------------------------------------------------------------------------


def task(data: Path, **fields: Any) -> EnergyTask:
    widths = {"ridge": "2,3,6", "gradient-step": "4,6,8"}[fields.get("family", "ridge")]
    network = {"widths": widths, "family": fields.pop("family", "ridge")}
    values: dict[str, Any] = {
        "name": "small", "network": network, "recipe": asdict(SMALL), "data": data, "threads": 1,
        "description": {}, "made_with": {}, "hold_out": 1,
    }  # fmt: skip
    return EnergyTask.of({**values, **fields})


@pytest.mark.parametrize("family", ["ridge", "gradient-step"])
def test_a_run_becomes_a_model_that_is_true_and_can_be_trained_on(
    tmp_path: Path, family: str
) -> None:
    run, _ = start_or_resume(tmp_path / "run", task(SAMPLES, family=family), "cpu")
    assert isinstance(run, EnergyTrainer)
    run.run(lambda _: None, every=4)
    card = export_run(tmp_path / "run", tmp_path, "small")
    denoiser = load_denoiser(str(card))
    kept = run.best["average"]
    assert all(torch.equal(v, kept[k]) for k, v in denoiser.function.state_dict().items())
    assert denoiser.card["training"]["best_step"] == 4
    found = read_card(find_card(str(card)))
    assert family_of(found).verify(found, attack_steps=0).problems == []

    given = EnergyTask.completed({"beginning": {"model": str(card)}, "recipe": asdict(SMALL)})
    assert EnergyTask.defaults(given)["name"] == "small_trained"
    again, _ = start_or_resume(
        tmp_path / "again", task(SAMPLES, network=given["network"], beginning=given["beginning"]),
        "cpu",
    )  # fmt: skip
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, kept[key])
    checkpoint = str(tmp_path / "run" / "checkpoint.pt")
    assert EnergyTask.completed({"beginning": {"model": checkpoint}})["network"]["family"] == family


def test_what_begins_with_an_energy_has_its_network() -> None:
    model = str(SAMPLES.parents[1] / "trained_models" / "ridge_grey.json")
    with pytest.raises(InputError, match=r"widths is that of .*; leave it out"):
        EnergyTask.completed({"beginning": {"model": model}, "network": {"widths": "2,2,2"}})
    with pytest.raises(InputError, match="EulerNet is no learned energy"):
        EnergyTask.completed({"beginning": {"model": "euler_grey"}})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"family": "spline"}, "unknown energy 'spline'; known: ridge, gradient-step"),
        ({"widths": "4,8"}, "expected three widths"),
        ({"widths": "4,x,8"}, "there is no such energy"),
        ({"channels": 2}, "expected 1 .grey. or 3"),
    ],
)
def test_networks_that_there_are_not(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Architecture(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"critical": 1.5}, "critical is 1.5; expected 0 to 1"),
        ({"solve": 0}, "solve is 0; expected at least 1"),
        ({"strength": 0.0}, "strength is 0; expected a positive number"),
        ({"denoising": -1.0}, "denoising is -1; expected 0 or more"),
        ({"critical": 0.5, "critical_patch": 24}, "expected at least 31"),
    ],
)
def test_recipes_that_there_are_not(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        EnergyRecipe(**fields)


def test_muon_is_for_gradient_step_energies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="take adam"):
        trainer(tmp_path, "ridge", MUON)
