"""`pnp-train --minutes`: a call ends in time, by a clock of the test, for the same weights."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import pnp_recon.training.trainer as training_module
from pnp_recon.cli.train import main
from pnp_recon.cli.train import session as train_session
from pnp_recon.pictures.files import write_picture
from pnp_recon.training.trainer import read_checkpoint
from support.cli import only_line

STEPS = 16
TINY = ["--width", "8", "--hidden", "8", "--blocks", "1", "--batch", "2", "--patch", "16"]
TINY += ["--no-bf16", "--threads", "1", "--no-tensorboard", "--quiet", "--steps", str(STEPS)]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(36), indexing="ij")
    for i in range(3):
        picture = 0.5 + 0.4 * torch.sin(0.2 * rows + 0.1 * (i + 1) * columns)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        write_picture(tmp_path / "pictures" / f"{i}.png", picture[None, None])
    return tmp_path / "pictures"


def start(pictures: Path, run: Path, *more: str) -> int:
    before = torch.get_num_threads()
    try:
        return main(["denoiser", "--data", str(pictures), "-o", str(run), *TINY, *more])
    finally:
        torch.set_num_threads(before)


def test_minutes_stop_a_call_and_leave_the_weights_as_they_are(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert start(pictures, whole) == 0
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)  # a second at each look
    for module in (train_session, training_module):
        monkeypatch.setattr(module, "time", clock)
    capsys.readouterr()
    assert start(pictures, run, "--minutes", "0.2") == 3
    step = read_checkpoint(run / "checkpoint.pt")["step"]
    assert 5 < step < STEPS
    said = capsys.readouterr().err
    assert f"stopped at step {step} of {STEPS}; go on with: pnp-train denoiser -o {run}" in said
    assert start(pictures, run, "--minutes", "1000") == 0
    weights = "euler_grey.safetensors"
    assert (run / weights).read_bytes() == (whole / weights).read_bytes()


@pytest.mark.parametrize("minutes", ["0", "nan", "-1"])
def test_minutes_are_above_zero(
    minutes: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(pictures, tmp_path / "run", "--minutes", minutes) == 2
    assert "--minutes" in only_line("pnp-train", capsys.readouterr().err)
