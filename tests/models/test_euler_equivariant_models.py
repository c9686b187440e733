"""Euler networks of a group: trained, resumed, exported, loaded, and refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from laws.networks import picture
from pnp_recon.cli.train import main
from pnp_recon.errors import InputError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_denoiser, load_network
from pnp_recon.models.verify import verify
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.networks.constraints import conv_norm_bound
from pnp_recon.networks.equivariant import Group
from pnp_recon.networks.euler import EulerNet
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.runs import read_run
from support.euler_groups import EXACT, TINY, turning_error

# ---- training ----------------------------------------------------------------------------------

RECIPE = DenoiserRecipe(steps=40, batch=4, patch=16, learning_rate=2e-2, warmup=3, sigma_min=0.1)


def trainer(folder: Path, recipe: DenoiserRecipe = RECIPE) -> DenoiserTrainer:
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    stripes = [0.5 + 0.4 * torch.sin(0.2 * rows + 0.1 * i * columns) for i in range(3)]
    pictures = [(stripe * 255).to(torch.uint8)[None] for stripe in stripes]
    return DenoiserTrainer(build_network(TINY, 0), recipe, pictures, pictures[:1], folder)


@pytest.mark.parametrize("bf16", [False, True])
def test_training_learns_resumes_exactly_and_stays_equivariant(tmp_path: Path, bf16: bool) -> None:
    recipe = replace(RECIPE, bf16=bf16)
    whole = trainer(tmp_path / "whole", recipe)
    losses = [whole.train_step() for _ in range(recipe.steps)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    first = trainer(tmp_path / "parts", recipe)
    for _ in range(17):
        first.train_step()
    first.save()
    second = trainer(tmp_path / "parts", recipe)
    assert second.step == 17
    assert [second.train_step() for _ in range(17, recipe.steps)] == losses[17:]
    for ours, theirs in ((whole.network, second.network), (whole.average, second.average)):
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key
    # Updates and averages of tied weights are tied.
    mean = copy.deepcopy(whole.average)
    assert isinstance(mean, EulerNet)
    mean.certify()
    assert mean.check().is_averaged
    assert turning_error(mean.double().requires_grad_(False), mean.group, (7, 8)) < EXACT


def test_fresh_filters_have_the_spread_of_free_ones() -> None:
    tied = build_network(replace(TINY, width=32, hidden=32), 0).flow_blocks()
    free = build_network(EulerConfig(width=32, hidden=32, blocks=2), 0).flow_blocks()
    for ours, theirs in zip(tied, free, strict=True):
        assert float(ours.weight.detach().std() / theirs.weight.detach().std()) == pytest.approx(
            1, abs=0.1
        )
        # Estimated from below, for these filters.
        assert 0.5 < float(ours.norm) / conv_norm_bound(ours.weight) < 1


# ---- cards and refusals ------------------------------------------------------------------------


def test_card_and_loading(tmp_path: Path) -> None:
    net = build_network(TINY, 0)
    card_path = export(net, tmp_path, "turned", (1 / 255, 50 / 255), {})
    card = json.loads(card_path.read_text())
    assert card["network"]["group"] == "D4"
    assert card["parameters"] * 7 < card["parameters_plain"]
    loaded, _ = load_network(str(card_path))
    assert not any("parametrizations" in key for key in loaded.state_dict())
    assert not any(p.requires_grad for p in loaded.parameters())
    assert loaded.check().averagedness == card["certificate"]["averagedness"]
    denoiser = load_denoiser(str(card_path), dtype=torch.float64)
    assert turning_error(denoiser, net.group, (7, 9)) < EXACT
    assert verify(str(card_path), attack_steps=2).problems == []
    with pytest.raises(ValueError, match="no longer tied by D4"):
        export(loaded, tmp_path, "again", (1 / 255, 50 / 255), {})
    card["parameters_plain"] -= 1
    card_path.write_text(json.dumps(card))
    (problem,) = verify(str(card_path), attack_steps=0).problems
    assert "parameters_plain" in problem


def test_what_was_made_before_there_were_groups_loads(tmp_path: Path) -> None:
    free = EulerConfig(width=8, hidden=8, blocks=1)
    card_path = export(EulerNet(free), tmp_path, "old", (1 / 255, 50 / 255), {})
    card = json.loads(card_path.read_text())
    del card["network"]["group"]
    assert "parameters_plain" not in card
    card_path.write_text(json.dumps(card))
    loaded, _ = load_network(str(card_path))
    assert loaded.config == free
    assert set(loaded.state_dict()) >= {"blocks.0.weight", "blocks.0.bias", "blocks.0.threshold"}
    run = {"run_version": 1, "kind": "denoiser", "name": "old", "network": card["network"]}
    run |= {"recipe": {}, "data": "/", "hold_out": None, "threads": 1}
    run |= {"description": {}, "made_with": {}}
    del run["network"]["class"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert read_run(tmp_path).network.group == "C1"


def test_the_command_takes_a_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    for i in range(2):
        write_picture(tmp_path / "data" / f"{i}.png", picture(1, 1, 20, 24, seed=i))
    run = ["denoiser", "--data", str(tmp_path / "data"), "-o", str(tmp_path / "run")]
    small = ["--width", "8", "--hidden", "8", "--blocks", "1", "--batch", "1", "--patch", "8"]
    small += ["--steps", "2", "--threads", str(torch.get_num_threads()), "--no-tensorboard", "-q"]
    assert main([*run, *small, "--group", "D4", "--name", "turned"]) == 0
    assert read_run(tmp_path / "run").network.lifting == "unshuffle"
    denoiser = load_denoiser(str(tmp_path / "run" / "turned.json"))
    assert turning_error(denoiser.double(), Group.named("D4"), (7, 8)) < EXACT
    assert main([*run, "--group", "C4"]) == 2
    assert "group D4 (now C4)" in capsys.readouterr().err
    other = [*run[:-1], str(tmp_path / "other")]
    assert main([*other, *small, "--group", "D4", "--lifting", "haar"]) == 2
    assert "no regular fields of D4" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"group": "C8"}, "off itself; take C2"),
        ({"group": "O3"}, "unknown group 'O3'"),
        ({"lifting": "haar"}, "no regular fields of D4; known: unshuffle"),
        ({"width": 12}, "width 12 is no multiple of 8"),
        ({"hidden": 12}, "width 12 is no multiple of 8"),
        ({"channels": 3}, "width 8 is below the 24 channels"),
    ],
)
def test_refusals(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_network(replace(TINY, **changes), 0)
