"""Training on at the fixed point: the first weights, the certificate, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pnp_recon.cli.train import main
from pnp_recon.errors import InputError
from pnp_recon.models.export import export
from pnp_recon.models.load import load_network
from pnp_recon.networks.configs import EulerConfig
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.fixed_point.beginning import FirstWeights, first_network, first_weights
from pnp_recon.training.fixed_point.task import FixedPointTask
from pnp_recon.training.runs import export_run, start_or_resume
from support.fixed_points import RECIPE, TINY, fresh, pictures


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return export(fresh(5), tmp_path / "models", "first", (1 / 255, 50 / 255), {})


def settings(tmp_path: Path, model: Path) -> FixedPointTask:
    folder = tmp_path / "pictures"
    folder.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures()):
        write_picture(folder / f"{i}.png", picture[None].float() / 255, overwrite=True)
    network, sha256 = first_network(str(model), ()), first_weights(str(model))[0]
    return FixedPointTask(
        name="tiny",
        network=EulerConfig(**network),
        recipe=replace(RECIPE, steps=2),
        hold_out=None,
        beginning=FirstWeights(str(model), sha256),
        data=folder,
        threads=1,
        description={},
        made_with={},
    )


def test_a_run_begins_with_the_model_and_exports_its_own_certificate(
    tmp_path: Path, model: Path
) -> None:
    run = settings(tmp_path, model)
    _, first = first_weights(str(model))
    running, run = start_or_resume(tmp_path / "run", run, "cpu")
    held = running.network.state_dict()
    assert all(torch.equal(held[key], value) for key, value in first.items())
    running.run(lambda line: None, every=2)
    card_path = export_run(tmp_path / "run", tmp_path / "out")
    card = json.loads(card_path.read_text())
    trained, _ = load_network(str(card_path))
    # Proven anew for the weights that came out, which are not those that it began with.
    alpha = card["certificate"]["averagedness"]
    assert trained.check().averagedness == pytest.approx(alpha, abs=1e-9)
    assert 0 < alpha < 1
    assert alpha != json.loads(model.read_text())["certificate"]["averagedness"]
    assert card["began_with"]["model"] == "first"
    assert {"psnr_15", "psnr_motion", "psnr_inpainting"} <= set(card["validation"]["psnr_db"])
    # On from the run's own checkpoint: its averaged weights.
    checkpoint = str(tmp_path / "run" / "checkpoint.pt")
    assert EulerConfig(**first_network(checkpoint, ["fixed-point"])) == TINY
    with pytest.raises(InputError, match="of a pnp-train fixed-point run, not of a denoiser"):
        first_network(checkpoint, ["denoiser"])
    _, state = first_weights(checkpoint)
    average = running.average.state_dict()
    assert all(torch.equal(state[key], value) for key, value in average.items())


def test_what_is_no_beginning_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(InputError, match="has no certificate"):
        first_weights("dncnn_grey")
    with pytest.raises(InputError, match="does not exist"):
        first_weights(str(tmp_path / "checkpoint.pt"))
    run = settings(tmp_path, model)
    export(fresh(6), model.parent, "first", (1 / 255, 50 / 255), {})
    with pytest.raises(InputError, match="no longer the model"):
        start_or_resume(tmp_path / "run", run, "cpu")


def test_the_command_trains_resumes_and_says_what_is_missing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = settings(tmp_path, model).data
    run = ["fixed-point", "-o", str(tmp_path / "run"), "--quiet", "--no-tensorboard"]
    assert main([*run, "--data", str(data)]) == 2
    assert "--init" in capsys.readouterr().err
    options = ["--batch", "1", "--patch", "32", "--iterations", "4", "--terms", "1"]
    options += ["--steps", "2", "--threads", "1", "--name", "tiny"]
    assert main([*run, "--data", str(data), "--init", str(model), *options]) == 0
    assert (tmp_path / "run" / "tiny.json").exists()
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    assert main(run) == 0
    assert main([*run, "--terms", "2"]) == 2
    assert "terms 1 (now 2)" in capsys.readouterr().err
