"""Training on from a model: its weights are the first ones, once, and nothing else fits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_trained
from pnp_recon.networks.unrolled import UnrolledConfig, UnrolledNetwork
from pnp_recon.training.runs import run_file, start_or_resume
from pnp_recon.training.unrolled.task import Beginning, SimulatedScans, UnrolledTask
from pnp_recon.training.unrolled.trainer import UnrolledRecipe
from support.slices import save_archive

TINY = UnrolledConfig(group="C4", width=8, depth=2, memory=1, gradient="filtered")
SCANS = SimulatedScans(views=12, size=16)


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(5)
    scan = {"operator": "RayTransform", "image_shape": [1, 32, 32]}
    return str(export(UnrolledNetwork(TINY), tmp_path / "models", "first", scan, {}))


def run(tmp_path: Path, beginning: Beginning, config: UnrolledConfig = TINY) -> UnrolledTask:
    data = tmp_path / "slices.npz"
    if not data.exists():
        save_archive(data)
    recipe = UnrolledRecipe(steps=3, warmup=1, bf16=False)
    return UnrolledTask(
        name="tiny",
        network=config,
        recipe=recipe,
        scans=SCANS,
        beginning=beginning,
        data=data,
        threads=1,
        description={},
        made_with={},
    )


def of(model: str, step: float | None = None) -> Beginning:
    return Beginning(model, load_trained(model, "network")[1].sha256, step)


def test_the_first_weights_are_those_of_the_model(tmp_path: Path, model: str) -> None:
    settings = run(tmp_path, of(model))
    trainer, _ = start_or_resume(tmp_path / "run", settings, "cpu")
    expected = load_trained(model, "network")[0].state_dict()
    for state in (trainer.network.state_dict(), trainer.average.state_dict()):
        assert all(torch.equal(state[key], value) for key, value in expected.items())
    random, _ = start_or_resume(tmp_path / "random", run(tmp_path, Beginning()), "cpu")
    state = random.network.state_dict()
    assert not all(torch.equal(state[key], value) for key, value in expected.items())


def test_step_sizes_are_set_apart(tmp_path: Path, model: str) -> None:
    trainer, _ = start_or_resume(tmp_path / "run", run(tmp_path, of(model, 0.6)), "cpu")
    assert torch.equal(trainer.network.steps.detach(), torch.full((2,), 0.6))
    with pytest.raises(InputError, match="first-step is -1"):
        Beginning(step=-1.0)


def test_a_resumed_run_does_not_begin_again(tmp_path: Path, model: str) -> None:
    settings = run(tmp_path, of(model))
    first, settings = start_or_resume(tmp_path / "run", settings, "cpu")
    first.run(lambda line: None, every=1)
    Path(model).unlink()
    again, _ = start_or_resume(tmp_path / "run", settings, "cpu")
    assert again.step == 3
    trained, before = again.network.state_dict(), first.network.state_dict()
    assert all(torch.equal(trained[key], value) for key, value in before.items())


def test_other_networks_and_changed_models_are_refused(tmp_path: Path, model: str) -> None:
    wide = replace(TINY, width=12)
    with pytest.raises(InputError, match="another width: 8, not 12"):
        start_or_resume(tmp_path / "wide", run(tmp_path, of(model), wide), "cpu")
    # Nothing has begun there, so that the right options are not refused as others.
    assert not run_file(tmp_path / "wide").exists()
    other = Beginning(model, "0" * 64)
    with pytest.raises(InputError, match="no longer the model"):
        start_or_resume(tmp_path / "other", run(tmp_path, other), "cpu")
    dual = run(tmp_path, Beginning(step=0.5), replace(TINY, scheme="primal-dual"))
    with pytest.raises(InputError, match="has no step sizes"):
        start_or_resume(tmp_path / "dual", dual, "cpu")


def test_the_card_says_where_it_began(tmp_path: Path, model: str) -> None:
    from pnp_recon.training.runs import export_run

    settings = run(tmp_path, of(model, 0.6))
    trainer, _ = start_or_resume(tmp_path / "run", settings, "cpu")
    trainer.run(lambda line: None, every=3)
    card = json.loads(export_run(tmp_path / "run", tmp_path / "out").read_text())
    assert card["began_with"] == {"model": "first", "sha256": of(model).sha256, "step": 0.6}
