"""`pnp-train dncnn` as a user sees it: what it says at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pnp_recon.cli.train import main
from pnp_recon.pictures.files import write_picture
from support.training import pictures


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for index, picture in enumerate(pictures()):
        write_picture(tmp_path / "data" / f"{index}.png", picture[None].float() / 255)
    return tmp_path / "data"


def test_a_run_and_an_export_say_that_nothing_is_proven(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    run = ["dncnn", "--data", str(data), "-o", str(tmp_path / "run"), "--no-tensorboard"]
    run += ["--depth", "3", "--width", "4", "--batch", "1", "--patch", "16", "--steps", "2"]
    try:
        assert main([*run, "--threads", "1"]) == 0
    finally:
        torch.set_num_threads(before)
    assert "dncnn_grey.json: no guarantee: DnCNN is trained" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 0
    assert "no guarantee" in capsys.readouterr().out
