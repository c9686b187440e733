"""`pnp-train` from the outside: train, be killed, resume, export, check, and every refusal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from pnp_recon.cli.train import display as train_display
from pnp_recon.cli.train import main
from pnp_recon.models.load import load_denoiser
from pnp_recon.pictures.files import read_picture, write_picture
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from pnp_recon.training.trainer import read_checkpoint
from support.killed import killed_training

ROOT = Path(__file__).resolve().parents[2]
NET = ["--width", "8", "--hidden", "8", "--blocks", "2"]
TINY = [*NET, "--batch", "2", "--patch", "16", "--no-bf16", "--threads", "1"]
TINY += ["--learning-rate", "0.02", "--no-tensorboard"]
STEPS = 60


@pytest.fixture(autouse=True)
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(36), indexing="ij")
    for i in range(4):
        picture = (0.5 + 0.4 * torch.sin(0.2 * rows + 0.1 * (i + 1) * columns)).repeat(1, 3, 1, 1)
        picture[:, i % 3, 10:25, 5:20] = 0.3
        write_picture(folder / f"{i}.png", picture)
    return folder


@pytest.fixture(scope="session")
def whole_run(pictures, tmp_path_factory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    before = torch.get_num_threads()
    assert start(pictures, folder) == 0
    torch.set_num_threads(before)
    return folder


def command(pictures: Path, folder: Path, *more: str) -> list[str]:
    arguments = ["denoiser", "--data", str(pictures), "-o", str(folder), *TINY, *more]
    return arguments if "--steps" in more else [*arguments, "--steps", str(STEPS)]


def start(pictures: Path, folder: Path, *more: str) -> int:
    return main(command(pictures, folder, "--quiet", *more))


@pytest.fixture(scope="session")
def killed_run(pictures, tmp_path_factory) -> Path:
    """The same run, killed in the middle without a chance to save."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    arguments = [*command(pictures, folder, "--every", "8"), "--tensorboard"]
    killed_training(arguments, folder)
    return folder


def weights_of(folder: Path) -> bytes:
    return (folder / "euler_grey.safetensors").read_bytes()


def test_a_killed_run_resumes_to_the_same_weights_bit_by_bit(killed_run, whole_run, tmp_path):
    assert 0 < read_checkpoint(killed_run / "checkpoint.pt")["step"] < STEPS
    run = tmp_path / "run"
    shutil.copytree(killed_run, run)
    assert main(["denoiser", "-o", str(run), "--quiet", "--no-tensorboard"]) == 0
    assert weights_of(run) == weights_of(whole_run)
    final = [read_checkpoint(folder / "checkpoint.pt") for folder in (run, whole_run)]
    for part in ("network", "average"):
        for key, value in final[0][part].items():
            assert torch.equal(value, final[1][part][key]), key
    rows = [line.split(",")[0] for line in (run / "log.csv").read_text().splitlines()[1:]]
    assert rows == sorted(set(rows), key=int)
    assert rows[-1] == str(STEPS)
    if find_spec("tensorboard"):
        assert list((killed_run / "tensorboard").glob("events.*"))


def test_resuming_without_the_generator_gives_other_weights(
    killed_run, whole_run, tmp_path, monkeypatch
):
    """Twin: the comparison sees a resume that is not exact."""
    run = tmp_path / "run"
    shutil.copytree(killed_run, run)
    resume = DenoiserTrainer._resume

    def forgetful(self: DenoiserTrainer) -> None:
        resume(self)
        self.generator.manual_seed(self.recipe.seed)

    monkeypatch.setattr(DenoiserTrainer, "_resume", forgetful)
    assert main(["denoiser", "-o", str(run), "--quiet", "--no-tensorboard"]) == 0
    assert weights_of(run) != weights_of(whole_run)


def test_a_run_leaves_sheets_a_log_and_a_certified_model(whole_run):
    denoiser = load_denoiser(str(whole_run / "euler_grey.json"))
    assert denoiser.guarantee.is_averaged
    assert denoiser.sigma_range == pytest.approx((1 / 255, 50 / 255))
    x = torch.rand(1, 1, 21, 30, generator=torch.Generator().manual_seed(0))
    assert denoiser(x, 10 / 255).shape == x.shape
    sheet = read_picture(whole_run / "samples" / f"step_{STEPS:07}.png")
    assert sheet.pixels.shape[1] == 1
    card = json.loads((whole_run / "euler_grey.json").read_text())
    training = card["training"]
    assert (training["seed"], training["steps_done"]) == (0, STEPS)
    assert training["recipe"]["patch"] == 16
    assert training["data"]["pictures"] == 3
    assert len(training["data"]["sha256_of_sorted_file_hashes"]) == 64
    assert card["validation"]["held_out"] is True
    assert card["validation"]["psnr_db"]["psnr_25"] > 20.5
    assert card["made_with"]["torch"] == torch.__version__
    assert card["made_with"]["pnp_recon"]


def test_ctrl_c_saves_between_steps_and_says_how_to_go_on(
    pictures, whole_run, tmp_path, monkeypatch, capsys
):
    def tick(self: train_display.TrainingDisplay, step: int, loss: float) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(train_display.TrainingDisplay, "tick", tick)
        assert start(pictures, run) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert f"go on with: pnp-train denoiser -o {run}" in capsys.readouterr().err
    assert read_checkpoint(run / "checkpoint.pt")["step"] == 5
    assert start(pictures, run) == 0  # the same options again are as good as none
    assert weights_of(run) == weights_of(whole_run)


def test_export_takes_another_name_and_replaces_only_when_asked(whole_run, tmp_path, capsys):
    arguments = ["export", str(whole_run), "--name", "mine", "-o", str(tmp_path)]
    assert main(arguments) == 0
    assert "averaged, α ≤ 0.9" in capsys.readouterr().out
    assert (tmp_path / "mine.safetensors").read_bytes() == weights_of(whole_run)
    assert main(arguments) == 2
    assert "mine.json exists already" in one_line(capsys)
    assert main([*arguments, "--overwrite", "-q"]) == 0


def test_export_works_where_the_pictures_are_gone(pictures, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(pictures, data)
    assert start(data, run, "--steps", "2") == 0
    shutil.rmtree(data)
    assert main(["export", str(run), "-o", str(tmp_path / "new" / "models"), "-q"]) == 0
    card = json.loads((tmp_path / "new" / "models" / "euler_grey.json").read_text())
    assert card["validation"]["measured_on"].startswith("during training")
    assert card["validation"]["psnr_db"]["psnr_5"] > 20


def test_a_denoiser_of_a_group_takes_the_lifting_into_its_fields(pictures, tmp_path):
    assert start(pictures, tmp_path / "run", "--group", "C4", "--steps", "1") == 0
    network = json.loads((tmp_path / "run" / "run.json").read_text())["network"]
    assert (network["group"], network["lifting"]) == ("C4", "unshuffle")
    assert main(["denoiser", "-o", str(tmp_path / "run"), "--group", "C4", "-q"]) == 0


# --- check -----------------------------------------------------------------------------------


def test_check_agrees_with_an_honest_card(whole_run, capsys):
    assert main(["check", str(whole_run / "euler_grey.json"), "--attack-steps", "5"]) == 0
    out = capsys.readouterr().out
    assert "looseness" in out
    assert "NO" not in out


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("averagedness", lambda v: v - 0.01, "no more than"),
        ("averagedness", lambda v: v + 0.01, "these weights give"),
        ("lipschitz", lambda v: 0.9, "network, Lipschitz"),
        ("layer_norm_bounds", lambda v: [0.5 * v[0], *v[1:]], "block 0, ‖W‖"),
        ("block_averagedness", lambda v: v[:1], "1 in the card, 2 blocks"),
    ],
)
def test_check_finds_a_tampered_card(whole_run, tmp_path, capsys, key, change, words):
    for suffix in (".json", ".safetensors"):
        shutil.copy(whole_run / f"euler_grey{suffix}", tmp_path)
    path = tmp_path / "euler_grey.json"
    card = json.loads(path.read_text())
    card["certificate"][key] = change(card["certificate"][key])
    path.write_text(json.dumps(card))
    assert main(["check", str(path), "--attack-steps", "0", "-q"]) == 4
    assert words in one_line(capsys)


def test_check_refuses_flipped_weights(whole_run, tmp_path, capsys):
    for suffix in (".json", ".safetensors"):
        shutil.copy(whole_run / f"euler_grey{suffix}", tmp_path)
    data = bytearray((tmp_path / "euler_grey.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "euler_grey.safetensors").write_bytes(data)
    assert main(["check", str(tmp_path / "euler_grey.json"), "-q"]) == 2
    assert "SHA-256" in one_line(capsys)


def test_check_catches_a_constant_that_an_attack_exceeds(whole_run, monkeypatch, capsys):
    monkeypatch.setattr("pnp_recon.models.euler.attained_ratio", lambda *args: 1.001)
    assert main(["check", str(whole_run / "euler_grey.json"), "-q"]) == 4
    assert "an attack attains 1.001" in one_line(capsys)


# --- refusals --------------------------------------------------------------------------------


def one_line(capsys) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("pnp-train: error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--sigma-max", "25"], "25/255"),
        (["--sigma-min", "lots"], "expected"),
        (["--sigma-min", "0"], "sigma-min is 0"),
        (["--patch", "64"], "smaller than the patch of 64×64"),
        (["--hold-out", "4"], "expected 0 to 3"),
        (["--activation", "gelu"], "unknown activation 'gelu'; known: relu"),
        (["--lifting", "up"], "unknown lifting"),
        (["--kernel-size", "4"], "must be odd"),
        (["--blocks", "0"], "blocks is 0"),
        (["--name", "a/b"], "no name of a model"),
        (["--threads", "0"], "threads"),
        (["--steps", "0"], "steps is 0"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(pictures, tmp_path, capsys, more, words):
    assert start(pictures, tmp_path / "run", *more) == 2
    assert words in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_folders_without_pictures_are_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.png").write_text("no picture")
    for name in ("empty", "file", "missing", "text"):
        assert start(tmp_path / name, tmp_path / "run") == 2
        assert str(tmp_path / name) in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_a_run_needs_data_or_a_run_to_resume(tmp_path, capsys):
    assert main(["denoiser", "-o", str(tmp_path)]) == 2
    assert "give --data FOLDER" in one_line(capsys)
    assert main(["export", str(tmp_path)]) == 2
    assert "holds no training run" in one_line(capsys)
    assert main(["check", str(tmp_path / "none.json")]) == 2
    one_line(capsys)


def test_resuming_with_other_options_is_refused_by_name(pictures, whole_run, capsys):
    before = weights_of(whole_run)
    assert start(pictures, whole_run, "--patch", "24", "--seed", "1") == 2
    assert "seed 0 (now 1), patch 16 (now 24)" in one_line(capsys)
    assert main(["denoiser", "-o", str(whole_run), "--colour"]) == 2
    assert "channels 1 (now 3)" in one_line(capsys)
    assert weights_of(whole_run) == before


def test_resuming_with_other_pictures_is_refused(pictures, whole_run, tmp_path, capsys):
    shutil.copytree(pictures, tmp_path / "data")
    write_picture(tmp_path / "data" / "0.png", torch.rand(1, 3, 40, 40), overwrite=True)
    assert main(["denoiser", "-o", str(whole_run), "--data", str(tmp_path / "data")]) == 2
    assert "are not those that the run began with" in one_line(capsys)


@pytest.mark.parametrize("content", ["{", "{}", '{"run_version": 9, "kind": "denoiser"}'])
def test_a_damaged_run_file_is_one_line(tmp_path, capsys, content):
    (tmp_path / "run.json").write_text(content)
    assert main(["export", str(tmp_path)]) == 2
    assert "run.json" in one_line(capsys)


def test_an_export_that_would_replace_a_model_is_refused_before_training(
    pictures, whole_run, tmp_path, capsys
):
    more = ["--export", str(whole_run)]
    assert start(pictures, tmp_path / "run", *more) == 2
    assert "exists already" in one_line(capsys)
    assert not (tmp_path / "run").exists()


def test_help_does_not_load_torch():
    code = (
        "import sys, pnp_recon.cli.train as t; t.main(['denoiser', '--help']); print(*sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "--learning-rate" in done.stdout
    loaded = done.stdout.splitlines()[-1].split()
    assert "pnp_recon.cli.train" in loaded
    assert not {"torch", "numpy", "rich.progress"} & set(loaded)
