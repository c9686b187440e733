"""`pnp-bench run`: failures are rows, Ctrl-C is none, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pnp_recon.benchmark.methods.registry import expand
from pnp_recon.benchmark.store import Results
from pnp_recon.cli.shell import INTERRUPTED
from pnp_recon.errors import InputError
from support.benchmark import (
    bench,
    column,
    error,
    folder_of_pictures,
    own_file,
    picture,
    start,
    table,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of_pictures(tmp_path / "pictures")


# ---- failures are rows --------------------------------------------------------------------


def test_a_corrupt_picture_fails_in_its_cells_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "b.png").write_bytes((data / "b.png").read_bytes()[:60])
    out = tmp_path / "out"
    assert start(data, out, "--methods", "wavelet", "--noise", "5") == 0
    assert column(out, "status") == ["done", "failed", "done"]
    failed = table(out)[1]
    assert "b.png" in failed["message"]
    assert failed["psnr"] == ""
    assert "1 of 3 cells failed" in capsys.readouterr().err
    # Mended, it is run again on demand only.
    Image.fromarray(picture(1)).save(data / "b.png")
    assert bench("run", "--resume", "-o", out, "--quiet") == 0
    assert column(out, "status") == ["done", "failed", "done"]
    assert bench("run", "--resume", "--retry-failed", "-o", out, "--quiet") == 0
    assert column(out, "status") == ["done", "done", "done"]


@pytest.mark.parametrize("columns", ["20", "200"])
def test_a_method_that_raises_fails_in_its_cells_only(
    columns: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    mine, out = own_file(tmp_path), tmp_path / "out"
    options = ["--data", data, "-o", out, "--methods", f"{mine}:stumbles,wavelet", "--noise", "5"]
    assert bench("run", "denoise", *options) == 0
    said = f"failed: {mine}:stumbles on c.png: RuntimeError: out of luck"
    assert said in capsys.readouterr().err.splitlines()  # one line, however narrow the terminal
    rows = Results.open(out).rows
    failed = [(row.picture, row.method) for row in rows if row.status == "failed"]
    assert failed == [("c.png", f"{mine}:stumbles")]
    assert "out of luck" in next(row.message for row in rows if row.status == "failed")


def test_ctrl_c_inside_a_reconstruction_ends_the_run_without_a_row(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The solver catches it to give back the picture so far, of which no row may be made."""
    mine, out = own_file(tmp_path), tmp_path / "out"
    methods = f"{mine}:Half,{mine}:interrupted"
    code = bench(
        "run", "deblur", "--grey", "--data", data, "-o", out, "--methods", methods, "--quiet",
        "--problems", "disk", "--noise", "7.65", "--set", "tol=1e-2",
    )  # fmt: skip
    assert code == INTERRUPTED
    assert f"go on with: pnp-bench run --resume -o {out}" in capsys.readouterr().err
    (row,) = Results.open(out).rows
    assert row.method == f"{mine}:Half"
    assert row.status == "converged"


# ---- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--data", "empty"], "empty holds no picture"),
        (["--data", "pictures", "--split", "bsd68"], "is not BSDS500"),
        (["--data", "pictures", "--methods", "euler_gray"], "did you mean euler_grey"),
        (["--data", "pictures", "--methods", "euler_colour"], "euler_colour"),
        (["--data", "pictures", "--noise", "five"], "expected σ·255"),
        (["--data", "pictures", "--noise", "300"], "expected σ·255 from 0 to 255"),
        (["--data", "pictures", "--images", "none"], "--images is 'none'"),
        (["--data", "pictures", "--set", "tol=1"], "no setting 'tol'"),
        (["--data", "pictures", "--problems", "fog"], "no problem 'fog'"),
        ([], "needs --data"),
    ],
)
def test_refused_before_anything_runs(
    options: list[str],
    words: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert bench("run", "denoise", "-o", "out", "--quiet", *options) == 2
    assert words in error(capsys)
    assert not Path("out").exists()


@pytest.mark.parametrize("solver", ["pnp-pgd", "newton"])
def test_reconstructions_refuse_a_solver_that_they_have_no_coupling_for(
    solver: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for suite in ("deblur", "inpaint"):
        assert bench("run", suite, "--data", data, "-o", out, "--set", f"solver={solver}") == 2
        assert f"solver={solver}: expected pnp-" in error(capsys)
    assert not out.exists()


def test_unknown_suite_and_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("run", "denoize", "--data", tmp_path) == 2
    assert "unknown suite 'denoize'" in error(capsys)
    assert bench("report", tmp_path / "none") == 2
    assert "holds no benchmark" in error(capsys)


def test_a_method_for_other_channels_is_told_the_option() -> None:
    with pytest.raises(InputError, match="3 channels, these have 1; take --colour, or another"):
        expand(["euler_colour"], 1)
    assert expand(["euler_colour"], 3) == ["euler_colour"]
