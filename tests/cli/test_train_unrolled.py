"""`pnp-train unrolled` from the outside: train, be killed, resume, export, and every refusal."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from pnp_recon.cli.train import display as train_display
from pnp_recon.cli.train import main
from pnp_recon.models.load import load_unrolled
from pnp_recon.pictures.files import read_picture
from pnp_recon.training.trainer import read_checkpoint
from pnp_recon.training.unrolled.task import SimulatedScans
from pnp_recon.training.unrolled.trainer import UnrolledTrainer
from support.killed import killed_training
from support.slices import SIDE, save_archive

TINY = ["--size", str(SIDE), "--views", "12", "--width", "8", "--depth", "2", "--memory", "1"]
TINY += ["--lr", "0.01", "--threads", "1", "--no-tensorboard"]
STEPS = 40
MODEL = "unrolled_ct_c4"


@pytest.fixture(autouse=True)
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> Path:
    split = ["val" if i % 4 == 1 else "train" for i in range(12)]
    return save_archive(tmp_path_factory.mktemp("slices") / "slices.npz", split=split)


def command(slices: Path, folder: Path, *more: str) -> list[str]:
    arguments = ["unrolled", "--data", str(slices), "-o", str(folder), *TINY, *more]
    return arguments if "--steps" in more else [*arguments, "--steps", str(STEPS)]


def start(slices: Path, folder: Path, *more: str) -> int:
    return main(command(slices, folder, "--quiet", *more))


@pytest.fixture(scope="module")
def whole_run(slices, tmp_path_factory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    before = torch.get_num_threads()
    assert start(slices, folder, "--every", "8") == 0
    torch.set_num_threads(before)
    return folder


@pytest.fixture(scope="module")
def killed_run(slices, tmp_path_factory) -> Path:
    """The same run, killed in the middle without a chance to save."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    killed_training(command(slices, folder, "--every", "8"), folder)
    return folder


def weights_of(folder: Path) -> bytes:
    return (folder / f"{MODEL}.safetensors").read_bytes()


def log_without_seconds(folder: Path) -> list[list[str]]:
    rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    return [row[:2] + row[3:] for row in rows]


def one_line(capsys) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("pnp-train: error: ")
    return lines[0]


# --- training and export ---------------------------------------------------------------------


def test_a_killed_run_resumes_to_the_same_weights_and_log(killed_run, whole_run, tmp_path):
    assert 0 < read_checkpoint(killed_run / "checkpoint.pt")["step"] < STEPS
    run = tmp_path / "run"
    shutil.copytree(killed_run, run)
    again = ["unrolled", "-o", str(run), "--quiet", "--no-tensorboard", "--every", "8"]
    assert main(again) == 0
    assert weights_of(run) == weights_of(whole_run)
    assert log_without_seconds(run) == log_without_seconds(whole_run)
    assert [row[0] for row in log_without_seconds(run)] == ["step", "8", "16", "24", "32", "40"]


def test_resuming_without_the_generator_gives_other_weights(
    killed_run, whole_run, tmp_path, monkeypatch
):
    """Twin: the comparison sees a resume that is not exact."""
    run = tmp_path / "run"
    shutil.copytree(killed_run, run)
    resume = UnrolledTrainer._resume

    def forgetful(self: UnrolledTrainer) -> None:
        resume(self)
        self.generator.manual_seed(self.recipe.seed)

    monkeypatch.setattr(UnrolledTrainer, "_resume", forgetful)
    assert main(["unrolled", "-o", str(run), "--quiet", "--no-tensorboard"]) == 0
    assert weights_of(run) != weights_of(whole_run)


def test_a_run_leaves_sheets_a_log_and_a_model_that_says_its_geometry(whole_run):
    model = load_unrolled(str(whole_run / f"{MODEL}.json"))
    card = model.card
    assert card["trained_on"]["other_geometry"] == "warn"
    assert card["trained_on"]["image_shape"] == [1, SIDE, SIDE]
    assert card["trained_on"]["window_hu"] == [-1024, 1500]
    assert model.trained_on.geometry == SimulatedScans(views=12, size=SIDE).geometry()
    assert card["network"]["group"] == "C4"
    assert card["training"]["steps_done"] == STEPS
    data = card["training"]["data"]
    assert (data["slices"], len(data["sha256"])) == (9, 64)
    assert not set(data["training_slices"]) & set(data["validation_slices"])
    assert card["validation"]["measured_on"].startswith("exported weights, float32")
    assert card["validation"]["psnr_db"]["psnr_val"] > 20
    assert card["made_with"]["torch"] == torch.__version__
    sheet = read_picture(whole_run / "samples" / f"step_{STEPS:07}.png")
    assert sheet.pixels.shape == (1, 1, 3 * SIDE + 2 * 2, 4 * SIDE + 3 * 2)


def test_ctrl_c_saves_between_steps_and_says_how_to_go_on(
    slices, whole_run, tmp_path, monkeypatch, capsys
):
    def tick(self: train_display.TrainingDisplay, step: int, loss: float) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(train_display.TrainingDisplay, "tick", tick)
        assert start(slices, run) == 130
    assert f"go on with: pnp-train unrolled -o {run}" in capsys.readouterr().err
    assert read_checkpoint(run / "checkpoint.pt")["step"] == 5
    # The same options again are as good as none, and how memory is saved has no say.
    assert start(slices, run, "--checkpointing") == 0
    assert weights_of(run) == weights_of(whole_run)


def test_another_seed_gives_other_weights(slices, whole_run, tmp_path):
    assert start(slices, tmp_path / "run", "--seed", "1") == 0
    assert weights_of(tmp_path / "run") != weights_of(whole_run)


def test_export_takes_another_name_and_works_where_the_slices_are_gone(slices, tmp_path, capsys):
    data, run = tmp_path / "data.npz", tmp_path / "run"
    shutil.copy(slices, data)
    more = ["--steps", "2", "--group", "C1", "--other-geometry", "refuse", "--name", "mine"]
    assert start(data, run, *more) == 0
    data.unlink()
    arguments = ["export", str(run), "--name", "other", "-o", str(tmp_path)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "proximal-gradient over C1" in out
    assert " dB" in out
    assert main(arguments) == 2
    assert "other.json exists already" in one_line(capsys)
    card = json.loads((tmp_path / "other.json").read_text())
    assert card["trained_on"]["other_geometry"] == "refuse"
    assert card["validation"]["measured_on"].startswith("during training")


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--group", "E4"], "unknown group 'E4'"),
        (["--group", "D4", "--width", "12"], "width 12 is no multiple of 8"),
        (["--scheme", "newton"], "unknown scheme 'newton'; known: proximal-gradient"),
        (["--start", "ones"], "unknown start"),
        (["--gradient", "steep"], "unknown gradient"),
        (["--step-sizes", "both"], "unknown steps 'both'; known: learned, fixed"),
        (["--kernel-size", "4"], "network cannot be built"),
        (["--filters", "wavelet"], "network cannot be built"),
        (["--memory", "-1"], "memory is -1"),
        (["--views", "0"], "views is 0"),
        (["--incident", "0"], "incident is 0"),
        (["--incident", "nan"], "incident is nan"),
        (["--field-mm", "-1"], "field-mm is -1"),
        (["--size", "24"], "see --size"),
        (["--count", "10"], "expected 1 to 9"),
        (["--steps", "0"], "steps is 0"),
        (["--other-geometry", "hope"], "expected refuse or warn"),
        (["--name", "a/b"], "no name of a model"),
        (["--threads", "0"], "threads"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(slices, tmp_path, capsys, more, words):
    assert start(slices, tmp_path / "run", *more) == 2
    assert words in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_its_own_options_slices_and_command(slices, whole_run, tmp_path, capsys):
    before = weights_of(whole_run)
    assert main(["unrolled", "-o", str(tmp_path)]) == 2
    assert "give --data FOLDER" in one_line(capsys)
    assert start(slices, whole_run, "--step-sizes", "fixed", "--views", "13") == 2
    assert "step-sizes learned (now fixed), views 12 (now 13)" in one_line(capsys)
    assert main(["denoiser", "-o", str(whole_run)]) == 2
    assert "holds a run of pnp-train unrolled" in one_line(capsys)
    with np.load(slices) as archive:
        content = dict(archive)
    content["img"][0, 0, 0] += 1
    np.savez(tmp_path / "slices.npz", **content)
    assert start(tmp_path / "slices.npz", whole_run) == 2
    assert "are not those that the run began with (another sha256)" in one_line(capsys)
    assert weights_of(whole_run) == before


def test_new_runs_pull_filtered(whole_run):
    """What the help states is what a run takes that was told nothing."""
    assert "--gradient" not in TINY
    assert json.loads((whole_run / "run.json").read_text())["network"]["gradient"] == "filtered"


def test_a_reversible_network_trains_with_several_slices_a_step(slices, tmp_path) -> None:
    options = ["--cell", "reversible", "--batch", "2", "--steps", "4"]
    assert start(slices, tmp_path / "run", *options) == 0
    model = load_unrolled(str(tmp_path / "run" / f"{MODEL}.json"))
    assert model.network.config.cell == "reversible"


def test_a_reversible_primal_dual_network_is_refused(slices, tmp_path, capsys) -> None:
    options = ["--cell", "reversible", "--scheme", "primal-dual"]
    assert start(slices, tmp_path / "run", *options) == 2
    assert "is for the scheme 'proximal-gradient' alone" in one_line(capsys)
