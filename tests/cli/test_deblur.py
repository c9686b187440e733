"""`pnp-deblur`: borders, light; what it writes and which options it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp_recon import guarantees
from pnp_recon.cli.deblur import main
from pnp_recon.pictures.files import read_picture
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.report import validate_report
from support.blurred import DEFAULT, DONE, ENDLESS, FAST, SIZE, pixels, save
from support.cli import Load, only_line, smooth

pytestmark = pytest.mark.usefixtures("tiny_denoiser")


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
    # The denoiser of these tests declares its constant.
    assert "certified if denoiser mean has the constant that is declared for it (0.5): A" in out.out
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


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sigma", "7.65"], "7.65/255"),
        (["--sigma", "lots"], "--sigma"),
        *((["--sigma", number], "expected a level from 0 to 1") for number in ("-1", "nan", "inf")),
        *((["--strength", number], "a number above 0") for number in ("nan", "inf", "0")),
        *((["--tol", number], "--tol must be a finite") for number in ("nan", "inf", "0", "-1")),
        *((["--time-limit", number], "--time-limit must be") for number in ("nan", "inf", "-1")),
        *(
            (["--step", number, "--solver", "pnp-pgd"], "--step must be")
            for number in ("nan", "inf")
        ),
        (["--step", "-1", "--solver", "pnp-pgd", "--length", "5", "--angle", "0"], "step size -1"),
        (["--length", "nan", "--angle", "0"], "motion length"),
        (["--length", "5", "--angle", "inf"], "motion angle"),
        (["--strength", "-1"], "--strength"),
        (["--strength", "much"], "--strength"),
        (["--kernel", "wiggle"], "wiggle"),
        (["--kernel", "uniform", "--angle", "3"], "--angle does not go with"),
        (["--kernel", "uniform", "--centre", "3,4"], "--centre does not go with"),
        (["--kernel", "rotation"], "rotation needs --angle"),
        (["--kernel", "rotation", "--angle", "0"], "rotation by 0.0 degrees"),
        (["--kernel", "rotation", "--angle", "3", "--length", "3"], "--length does not go with"),
        (["--kernel", "rotation", "--angle", "3", "--centre", "3;4"], "two numbers"),
        (["--kernel", "rotation", "--angle", "90", "--centre", "999,0"], "more than memory holds"),
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


@pytest.mark.parametrize(("name", "seen"), [("a.webp", True), ("a.png", False)])
def test_a_loss_that_no_estimate_sees_is_named_beside_the_noise(
    tmp_path: Path, name: str, seen: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray((255 * pixels(3, 0)).astype(np.uint8)).save(tmp_path / name)
    args = ["--length", "5", "--angle", "20", "--strength", "1", "--max-iter", "1", *DONE]
    assert main([str(tmp_path / name), *args]) in (0, 3)
    assert ("what the WebP file lost is not seen" in capsys.readouterr().out) is seen


def test_help_says_what_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "uniform, straight camera motion" in " ".join(capsys.readouterr().out.split())


# ---- a ridge -------------------------------------------------------------------------------------


def test_a_ridge_is_named_in_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(save(tmp_path / "a.png")), *DEFAULT, *DONE, "--ridge", "0.01"]) == 0
    assert "its fixed point is the only one" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--ridge", "auto"], "--ridge has no automatic weight"),
        (["--ridge", "0"], "--ridge is '0'; expected"),
        (["--ridge", "0.1", "--model", "x"], "--ridge"),
    ],
)
def test_what_is_no_ridge_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], words: str
) -> None:
    assert main([str(save(tmp_path / "a.png")), *given]) == 2
    assert words in only_line("pnp-deblur", capsys.readouterr().err)
