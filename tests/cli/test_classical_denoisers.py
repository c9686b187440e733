"""Classical denoisers by name on the command line: they run, and claim nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pnp_recon.cli.deblur import main
from support.cli import only_line
from support.pictures import pillow_picture

SIZE = (40, 36)
BLUR = ["--simulate", "--kernel", "gaussian", "--max-iter", "3", "--quiet"]


def picture(folder: Path) -> Path:
    path = folder / "a.png"
    pillow_picture(SIZE).save(path)
    return path


def test_a_denoiser_by_name_runs_without_a_certificate(tmp_path: Path) -> None:
    source, folder = picture(tmp_path), tmp_path / "report"
    assert main([str(source), *BLUR, "--denoiser", "median", "--report", str(folder)]) in (0, 3)
    found = json.loads((folder / "report.json").read_text())
    assert found["denoiser"]["name"] == "median"
    assert found["denoiser"]["sha256"] is None
    assert not found["certificate"]["holds"]


def test_a_required_certificate_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = picture(tmp_path)
    assert main([str(source), *BLUR, "--denoiser", "nlm", "--require-certificate"]) == 4
    message = only_line("pnp-deblur", capsys.readouterr().err)
    assert "nlm" in message
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_name_lists_the_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = picture(tmp_path)
    assert main([str(source), *BLUR, "--denoiser", "nlmm"]) == 2
    assert "no model 'nlmm'" in only_line("pnp-deblur", capsys.readouterr().err)
