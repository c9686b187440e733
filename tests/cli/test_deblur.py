"""`pnp-deblur`: what it writes, what it says, and how it ends, on small pictures."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
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
from pnp_recon.cli.shell import parse_level, parse_positive
from pnp_recon.errors import InputError
from pnp_recon.models import load as models
from pnp_recon.pictures.files import read_picture
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.report import validate_report
from support.cli import only_line, smooth

SIZE = (48, 64)
# Enough to run every stage; a tolerance that the first look already meets, or never.
DEFAULT = ["--sigma", "0.01", "--length", "7", "--angle", "20", "--max-iter", "6"]
FAST = [*DEFAULT, "--boundary", "circular"]  # the closed form of the proximal map is the quick one
DONE, ENDLESS = ["--tol", "0.9"], ["--tol", "1e-12"]


def certified() -> Denoiser:
    return Denoiser(smooth, "mean", guarantees.firm("a mean"), card={"sha256": "1" * 64})


Load = Callable[[Denoiser], None]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Puts a denoiser in the place of every shipped model."""

    def put(denoiser: Denoiser) -> None:
        monkeypatch.setattr(models, "load_denoiser", lambda name, **_: denoiser)

    return put


@pytest.fixture(autouse=True)
def _tiny_denoiser(load: Load) -> None:
    load(certified())


def pixels(channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture (H, W, channels) in [0, 1] with a few edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    base = 0.5 + 0.2 * np.sin(x / 7) + 0.2 * ((x // 16 + y // 12) % 2)
    return np.clip(base[..., None] + 0.02 * rng.standard_normal((*SIZE, channels)), 0, 1)


def save(path: Path, channels: int = 3, seed: int = 0) -> Path:
    values = np.rint(255 * pixels(channels, seed)).astype(np.uint8)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path)
    return path


# ---- what it writes -----------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "suffix"), [(1, ".png"), (3, ".png"), (3, ".jpg")])
def test_writes_beside_the_input(
    tmp_path: Path, channels: int, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / f"a{suffix}", channels)
    original = source.read_bytes()
    assert main([str(source), *DEFAULT, *DONE]) == 0
    result = read_picture(tmp_path / f"a_deblurred{suffix}")
    assert result.pixels.shape == (1, channels, *SIZE)
    assert source.read_bytes() == original
    out = capsys.readouterr()
    assert "certified: Anderson acceleration, safeguarded" in out.out
    assert "observed:" in out.out
    assert "σ·255 = 2.55 (given)" in out.out
    assert out.err == ""


def test_sixteen_bit_and_alpha_are_kept(tmp_path: Path) -> None:
    deep = tmp_path / "deep.tif"
    tifffile.imwrite(deep, np.rint(65535 * pixels()).astype(np.uint16), photometric="rgb")
    alpha = np.full((*SIZE, 1), 128, np.uint8)
    alpha[:, :20] = 7
    clear = tmp_path / "clear.png"
    Image.fromarray(np.concatenate([np.rint(255 * pixels()).astype(np.uint8), alpha], -1)).save(
        clear
    )
    assert main([str(deep), *FAST, *DONE]) == 0
    assert read_picture(tmp_path / "deep_deblurred.tif").bit_depth == 16
    assert main([str(clear), *FAST, *DONE]) == 0
    written = np.asarray(Image.open(tmp_path / "clear_deblurred.png"))
    assert np.array_equal(written[..., 3:], alpha)


def test_deblurring_helps_and_the_reference_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    load(Denoiser(lambda x, s: torch.lerp(x, smooth(x, s), 0.1), "weak", guarantees.firm("mean")))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    source = tmp_path / "clean.png"
    Image.fromarray((40 + 160 * ((x // 8 + y // 6) % 2)).astype(np.uint8)).save(source)
    args = [str(source), "--simulate", "--length", "7", "--angle", "20", "--max-iter", "40"]
    code = main([*args, "--json", "--boundary", "circular"])
    found = json.loads(capsys.readouterr().out)
    assert code == found["exit_code"]
    assert found["metrics"]["after"]["psnr"] > found["metrics"]["before"]["psnr"] + 1
    assert found["noise_origin"] == "simulated"
    assert read_picture(tmp_path / "clean_deblurred.png").pixels.shape[-2:] == SIZE


def test_simulation_with_unknown_border_loses_what_the_camera_did_not_see(tmp_path: Path) -> None:
    rgba = np.concatenate([pixels(), np.ones((*SIZE, 1))], -1)
    source = tmp_path / "clean.png"
    Image.fromarray(np.rint(255 * rgba).astype(np.uint8)).save(source)
    args = [str(source), "--simulate", "--kernel", "uniform", "--kernel-size", "5"]
    assert main([*args, "--max-iter", "5", *DONE]) == 0
    result = read_picture(tmp_path / "clean_deblurred.png")
    assert result.pixels.shape[-2:] == (SIZE[0] - 4, SIZE[1] - 4)
    assert result.alpha is not None


@pytest.mark.parametrize("boundary", ["valid", "circular", "replicate", "reflect", "constant"])
def test_every_border_rule_keeps_the_size(tmp_path: Path, boundary: str) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *DEFAULT, *DONE, "--boundary", boundary]) == 0
    assert read_picture(tmp_path / "a_deblurred.png").pixels.shape[-2:] == SIZE


@pytest.mark.parametrize("kernel", ["trajectory", "gaussian", "disk", "uniform", "FILE"])
def test_every_kernel(tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 1)
    if kernel == "FILE":
        kernel = str(tmp_path / "k.npy")
        np.save(kernel, np.ones((3, 5)))
    args = [str(source), "--kernel", kernel, "--sigma", "2.55/255", "--max-iter", "5", *DONE]
    args += ["--boundary", "circular"]
    assert main([*args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["kernel"]
    assert found["name"] in (kernel, "k.npy")
    assert found["origin"] == ("file" if kernel.endswith("npy") else "given")


def test_motion_is_estimated_and_doubt_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.estimation import motion as blind

    source = save(tmp_path / "a.png", 1)
    for confidence, doubted in ((0.9, False), (0.1, True)):
        estimate = blind.MotionEstimate(7.0, 20.0, confidence, "spectrum")
        monkeypatch.setattr(blind, "estimate_motion", lambda *_, e=estimate, **__: e)
        args = [str(source), "--sigma", "0.01", "--max-iter", "5", *DONE, "--overwrite"]
        args += ["--boundary", "circular"]
        assert main(args) == 0
        out = capsys.readouterr()
        assert f"estimated, confidence {confidence:.2f}" in out.out
        assert ("low confidence" in out.err) is doubted
        assert ("pass --length and --angle" in out.err) is doubted


def test_linear_light_changes_the_result(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", 1)
    for name, more in (("plain", []), ("linear", ["--linear-light"])):
        assert main([str(source), "-o", str(tmp_path / f"{name}.png"), *FAST, *DONE, *more]) == 0
    plain = read_picture(tmp_path / "plain.png").pixels
    linear = read_picture(tmp_path / "linear.png").pixels
    assert 0 < float((plain - linear).abs().mean()) < 0.1


def test_report_and_residuals(tmp_path: Path) -> None:
    source, truth = save(tmp_path / "a.png", 3), save(tmp_path / "truth.png", 3, seed=1)
    args = [str(source), *FAST, *ENDLESS, "--reference", str(truth)]
    places = ["--report", str(tmp_path / "r"), "--save-residuals", str(tmp_path / "res.csv")]
    assert main([*args, *places, "--quiet"]) == 3
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    validate_report(report)
    assert report["status"]["iterations"] == 6
    assert [entry["role"] for entry in report["inputs"]] == ["input", "reference"]
    assert report["certificate"]["holds"] is True
    assert report["history"]["psnr"]
    assert len((tmp_path / "res.csv").read_text().splitlines()) == 7
    assert (tmp_path / "r" / "report.html").stat().st_size > 10_000


# ---- several pictures ---------------------------------------------------------------------


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


# ---- bad input ----------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sigma", "7.65"], "7.65/255"),
        (["--sigma", "lots"], "--sigma"),
        (["--strength", "-1"], "--strength"),
        (["--strength", "much"], "--strength"),
        (["--kernel", "wiggle"], "wiggle"),
        (["--kernel", "uniform", "--angle", "3"], "--angle does not go with"),
        (["--length", "0.2", "--angle", "0"], "motion length"),
        (["--kernel", "uniform", "--kernel-size", "4"], "odd"),
        (["--boundary", "odd"], "--boundary"),
        (["--max-iter", "0"], "--max-iter"),
        (["--tol", "-1", "--length", "5", "--angle", "0"], "tol"),
        (["--solver", "pnp-drs", "--step", "1", "--length", "5", "--angle", "0"], "step"),
        (["--simulate", "--reference", "x.png"], "--reference"),
        (["--require-certificate", "--allow-uncertified"], "contradict"),
        (["--no-such-option"], "--no-such-option"),
        (["-o", "nowhere/out.png"], "does not exist"),
        (["-o", "out.xyz"], "expected one of"),
    ],
)
def test_bad_options_give_one_line(
    tmp_path: Path,
    args: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", 1)
    sigma = [] if "--sigma" in args else ["--sigma", "0.01"]
    assert main(["a.png", *sigma, *args]) == 2
    assert words in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_cuda_is_used_or_its_absence_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    code = main([str(source), *FAST, *DONE, "--device", "cuda", "-v"])
    captured = capsys.readouterr()
    if torch.cuda.is_available():
        assert code == 0
        assert "device: cuda" in captured.out
    else:
        assert code == 2
        last = captured.err.splitlines()[-1]  # -v: a traceback too
        assert "no CUDA device" in only_line("pnp-deblur", last)


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


# ---- how it ends --------------------------------------------------------------------------


def test_iteration_limit_is_code_3_and_the_picture_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, *ENDLESS]) == 3
    assert (tmp_path / "a_deblurred.png").exists()
    assert "iteration limit" in capsys.readouterr().err


def test_missing_certificate_is_said_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    load(Denoiser(smooth, "plain", guarantees.none("plain declares nothing")))
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, *DONE]) == 0
    out = capsys.readouterr()
    assert "no guarantee: plain declares nothing" in out.out
    assert "no guarantee: plain declares nothing" in out.err


@pytest.mark.parametrize("as_json", [False, True])
def test_required_certificate_is_checked_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load, as_json: bool
) -> None:
    def never(x: torch.Tensor, sigma: float) -> torch.Tensor:
        raise AssertionError("the run was begun")

    load(Denoiser(never, "plain", guarantees.none("plain declares nothing")))
    source = save(tmp_path / "a.png", 1)
    more = ["--json"] if as_json else ["--quiet"]
    assert main([str(source), *FAST, "--require-certificate", *more]) == 4
    captured = capsys.readouterr()
    assert "plain declares nothing" in only_line("pnp-deblur", captured.err)
    if as_json:
        assert json.loads(captured.out)["exit_code"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_required_certificate_that_the_run_contradicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    generator = torch.Generator().manual_seed(0)

    def jumpy(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.rand(x.shape, generator=generator, dtype=x.dtype)

    load(Denoiser(jumpy, "liar", guarantees.firm("a false claim")))
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *ENDLESS, "--quiet"]
    assert main([*args, "--require-certificate"]) == 4
    assert "CERTIFICATE FAILED" in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert main(args) == 3  # not required: written, with the failure shown
    assert "CERTIFICATE FAILED" in capsys.readouterr().err


def test_step_outside_the_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), *FAST, *DONE, "--solver", "pnp-pgd", "--step", "50", "--quiet"]
    assert main(args) == 2
    assert "proven range (0," in only_line("pnp-deblur", capsys.readouterr().err)
    assert main([*args, "--require-certificate"]) == 4
    assert "proven range (0," in only_line("pnp-deblur", capsys.readouterr().err)
    assert not (tmp_path / "a_deblurred.png").exists()
    main([*args, "--allow-uncertified"])
    assert "no guarantee" in capsys.readouterr().err
    assert (tmp_path / "a_deblurred.png").exists()


def test_ctrl_c_writes_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    calls = []

    def interrupted(x: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(0)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return smooth(x, sigma)

    load(Denoiser(interrupted, "mean", guarantees.firm("a mean")))
    first, second = save(tmp_path / "a.png", 1), save(tmp_path / "b.png", 1)
    assert main([str(first), str(second), *FAST, *ENDLESS]) == 3
    err = capsys.readouterr().err
    assert "interrupted; the picture is the last iterate" in err
    assert "1 files were not begun" in err
    assert (tmp_path / "a_deblurred.png").exists()
    assert not (tmp_path / "b_deblurred.png").exists()


def test_ctrl_c_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "load_denoiser", interrupt)
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, "--quiet"]) == 130
    assert "nothing was written" in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


SLOW_RUN = """
import signal, sys, time, torch
from pnp_recon import guarantees
from pnp_recon.models import load as models
from pnp_recon.priors.denoiser import Denoiser

# A shell's background jobs are born deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def slow(x, sigma):
    print("iteration", file=sys.stderr, flush=True)
    time.sleep(0.05)
    return x

models.load_denoiser = lambda name, **_: Denoiser(slow, "slow", guarantees.firm("identity"))
from pnp_recon.cli.deblur import main
sys.exit(main(sys.argv[1:]))
"""


def test_sigint_to_the_process(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--sigma", "0.01", "--length", "7", "--angle", "20", *ENDLESS]
    command = [sys.executable, "-c", SLOW_RUN, *args]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            begun = [process.stderr.readline() for _ in range(3)]
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=120)[1]
        finally:
            process.kill()
    assert begun == 3 * ["iteration\n"]
    assert process.returncode == 3, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "a_deblurred.png").exists()


def test_defect_is_named_as_such_and_v_shows_the_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], load: Load
) -> None:
    def broken(x: torch.Tensor, sigma: float) -> torch.Tensor:
        raise IndexError("oh")

    load(Denoiser(broken, "broken", guarantees.firm("test")))
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *FAST, "--quiet"]) == 1
    assert "defect of the program" in only_line("pnp-deblur", capsys.readouterr().err)
    assert main([str(source), *FAST, "--quiet", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


# ---- help, version, parsing ---------------------------------------------------------------


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """Quick by what it loads, which no busy machine changes; torch alone is hundreds of modules."""
    code = (
        "import sys\n"
        "from pnp_recon.cli.deblur import main\n"
        "code = main(['--help'])\n"
        "heavy = {'torch', 'numpy', 'deepinv', 'matplotlib', 'skimage', 'PIL'} & set(sys.modules)\n"
        "few = len(sys.modules) < 300\n"
        "sys.exit(code if few and not heavy else f'loaded {heavy}, {len(sys.modules)} modules')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "uniform, straight camera motion" in " ".join(done.stdout.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pnp-deblur 0.")


def test_no_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "pnp-deblur --help" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("text", "level"),
    [("0.03", 0.03), ("7.65/255", 0.03), (" AUTO ", None), ("0", 0.0), ("1", 1.0), ("255/255", 1)],
)
def test_levels(text: str, level: float | None) -> None:
    assert parse_level(text) == (None if level is None else pytest.approx(level))


@pytest.mark.parametrize("text", ["", "x", "1/0", "-0.1", "7.65", "nan", "inf", "1/2/3", "300/255"])
def test_bad_levels(text: str) -> None:
    with pytest.raises(InputError, match="--sigma"):
        parse_level(text)


def test_positive() -> None:
    assert parse_positive("auto", "--strength") is None
    assert parse_positive("2.5", "--strength") == 2.5
    for text in ("0", "-1", "nan", "inf", "x"):
        with pytest.raises(InputError, match="--strength"):
            parse_positive(text, "--strength")
