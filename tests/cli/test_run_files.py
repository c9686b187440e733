"""The shared run, by `pnp-deblur`: which files are read and written, and which are refused."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp_recon import guarantees
from pnp_recon.cli.deblur import main
from pnp_recon.pictures.files import read_picture
from pnp_recon.priors.denoiser import Denoiser
from support.blurred import DONE, FAST, SIZE, pixels, save
from support.cli import Load, only_line

pytestmark = pytest.mark.usefixtures("tiny_denoiser")


# ---- several pictures -----------------------------------------------------------------------


def test_folder_goes_on_after_a_bad_file_and_skips_earlier_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "c.png", "a_deblurred.png"):
        save(folder / name, 1)
    (folder / "b.png").write_bytes(b"")
    args = [str(folder), "-o", str(out), *FAST, *DONE, "--report", str(tmp_path / "r")]
    assert main([*args, "--json"]) == 2
    captured = capsys.readouterr()
    assert "b.png is empty" in only_line("pnp-deblur", captured.err)
    found = json.loads(captured.out)
    assert [entry["exit_code"] for entry in found] == [0, 2, 0]
    assert "empty" in found[1]["error"]
    assert sorted(path.name for path in out.iterdir()) == ["a_deblurred.png", "c_deblurred.png"]
    assert (tmp_path / "r" / "c" / "report.json").exists()


def test_glob_and_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 1)
    assert main([str(tmp_path / "*.png"), *FAST, *DONE, "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("converged" in line and "certified" in line for line in lines)


def test_two_inputs_for_one_result_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "a.png", 1)
    args = [str(tmp_path / "x"), str(tmp_path / "y"), "-o", str(tmp_path / "out")]
    assert main([*args, *FAST]) == 2
    assert "several inputs" in only_line("pnp-deblur", capsys.readouterr().err)


# ---- bad pictures ---------------------------------------------------------------------------


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _truncated(path: Path) -> Path:
    data = save(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def _text(path: Path) -> Path:
    path.write_text("this is not a picture")
    return path


def _flat(height: int, width: int) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        Image.fromarray(np.full((height, width), 99, np.uint8)).save(path)
        return path

    return make


def _nan(path: Path) -> Path:
    values = pixels(1)[..., 0].astype(np.float32)
    values[3, 4] = np.nan
    tifffile.imwrite(path.with_suffix(".tif"), values)
    return path.with_suffix(".tif")


def _five(path: Path) -> Path:
    values = np.rint(255 * pixels(5)).astype(np.uint8)
    tifffile.imwrite(path.with_suffix(".tif"), values, photometric="rgb")
    return path.with_suffix(".tif")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_empty, "is empty"),
        (_truncated, "truncated"),
        (_text, "not a picture"),
        (_flat(1, 1), "1×1 pixels"),
        (_flat(1, 80), "80×1 pixels"),
        (_flat(12, 12), "the kernel is"),
        (_nan, "not finite"),
        (_five, "expected"),
        (lambda path: path.with_name("missing.png"), "does not exist"),
    ],
)
def test_bad_pictures_give_one_line_and_nothing_else(
    tmp_path: Path, make: Callable[[Path], Path], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "bad.png")
    before = sorted(tmp_path.iterdir())
    args = [str(source), "--kernel", "uniform", "--kernel-size", "15", "--sigma", "0.01"]
    assert main(args) == 2
    captured = capsys.readouterr()
    assert words in only_line("pnp-deblur", captured.err)
    assert "bad" in captured.err or "missing" in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


# ---- places ---------------------------------------------------------------------------------


def test_unreadable_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o000)
    if os.geteuid() == 0:  # root reads everything: let the system say no in its own way

        def refuse(self: Path) -> Any:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(Path, "iterdir", refuse)
    try:
        assert main([str(folder), *FAST]) == 2
    finally:
        folder.chmod(0o700)
    assert "permission denied" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize(("given", "said"), [("--weight", False), ("--strength", True)])
def test_a_weight_is_no_strength_that_was_given(
    given: str, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(save(tmp_path / "a.png", 1))
    tv = ["--method", "tv", "--kernel", "gaussian", "--length", "2", "--sigma", "0.02"]
    tv += ["--max-iter", "2"]
    assert main([source, *tv, given, "0.5"]) == 3
    assert ("strength: 0.5, as given" in capsys.readouterr().out) == said


def test_existing_results_and_inputs_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, result = save(tmp_path / "a.png", 1), tmp_path / "a_deblurred.png"
    result.write_bytes(b"mine")
    assert main([str(source), *FAST, *DONE]) == 2
    assert "exists already" in only_line("pnp-deblur", capsys.readouterr().err)
    assert result.read_bytes() == b"mine"
    original = source.read_bytes()
    assert main([str(source), "-o", str(source), "--overwrite", *FAST]) == 2
    assert "input itself" in only_line("pnp-deblur", capsys.readouterr().err)
    assert source.read_bytes() == original
    assert main([str(source), *FAST, *DONE, "--overwrite"]) == 0
    assert read_picture(result).pixels.shape[-2:] == SIZE


def test_reference_and_kernel_file_are_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, truth = save(tmp_path / "a.png", 1), save(tmp_path / "t.png", 1)
    original = truth.read_bytes()
    args = [str(source), "-o", str(truth), "--overwrite", "--reference", str(truth), *FAST]
    assert main(args) == 2
    assert "never overwritten" in only_line("pnp-deblur", capsys.readouterr().err)
    assert truth.read_bytes() == original


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_read_only_output_is_said_before_the_run(
    tmp_path: Path,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    load: Load,
) -> None:
    source = save(tmp_path / "a.png", 1)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    def never(x: torch.Tensor, sigma: float) -> torch.Tensor:
        raise AssertionError("the run was begun")

    load(Denoiser(never, "never", guarantees.firm("test")))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert main([str(source), *FAST]) == 2
    assert "choose" in only_line("pnp-deblur", capsys.readouterr().err)


def test_full_disk_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, result = save(tmp_path / "a.png", 1), tmp_path / "a_deblurred.png"
    result.write_bytes(b"mine")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert main([str(source), *FAST, *DONE, "--overwrite", "--quiet"]) == 2
    assert "the disk is full" in only_line("pnp-deblur", capsys.readouterr().err)
    assert result.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a_deblurred.png"]


def test_reference_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, truth = save(tmp_path / "a.png", 1), save(tmp_path / "t.png", 3)
    assert main([str(source), "--reference", str(truth), *FAST]) == 2
    assert "grey" in only_line("pnp-deblur", capsys.readouterr().err)
