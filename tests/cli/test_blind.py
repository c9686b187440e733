"""`pnp-deblur --kernel blind`, and `motion` where there is none: kernels, refusals, words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from operators.kernels import trajectory
from pnp_recon.cli.deblur import main
from pnp_recon.estimation import kernel as blind
from pnp_recon.estimation import motion
from pnp_recon.networks.configs import GradientStepConfig
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.pictures.kernels import load_kernel
from pnp_recon.priors.energies.base import LearnedEnergy
from support.blurred import DONE, save
from support.cli import Load

pytestmark = pytest.mark.usefixtures("tiny_denoiser")
LEVELS = (0.002, 0.2)
QUICK = ["--sigma", "0.01", "--max-iter", "5", *DONE, "--boundary", "circular"]
KERNEL = trajectory(9, 0, dtype=torch.float64)


def tiny() -> LearnedEnergy:
    """A small energy of this package, with random weights, on the device that a command takes."""
    torch.manual_seed(0)
    config = GradientStepConfig(
        channels=1, widths=(4, 6), down=(1, 1), up=(1,), embedding=4, sigma_ref=0.1, power=0.5
    )
    network = GradientStepNet(config).to("cuda" if torch.cuda.is_available() else "cpu")
    return LearnedEnergy(network, "tiny", channels=1, sigma_range=LEVELS)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shake is found, a straight motion is not."""
    _answer(monkeypatch, blind.KernelEstimate(KERNEL, 0.9))


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is found."""
    _answer(monkeypatch, blind.KernelEstimate(KERNEL, 0.1, reason="it is doubtful"))


def _answer(monkeypatch: pytest.MonkeyPatch, estimate: blind.KernelEstimate) -> None:
    monkeypatch.setattr(blind, "estimate_kernel", lambda *_: estimate)
    nothing = motion.MotionEstimate(1.0, 0.0, 0.0)
    monkeypatch.setattr(motion, "estimate_motion", lambda *_: nothing)


@pytest.mark.usefixtures("found")
def test_the_kernel_is_reported_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = save(tmp_path / "a.png", 3), tmp_path / "k.npy"
    args = [str(source), "--kernel", "blind", *QUICK, "--report", str(tmp_path / "r")]
    assert main([*args, "--kernel-out", str(out)]) == 0
    said = capsys.readouterr()
    assert "blur: blind: size 9 px (estimated, confidence 0.90)" in said.out
    assert "proofs are about this kernel" in said.out
    assert said.err == ""
    record = json.loads((tmp_path / "r" / "report.json").read_text())["kernel"]
    assert (record["origin"], record["shape"]) == ("estimated", [9, 9])
    assert "Cho & Lee 2009" in record["method"]
    assert "proofs are about it only" in (tmp_path / "r" / "report.html").read_text()
    assert torch.allclose(torch.from_numpy(np.load(out)), KERNEL)
    assert f"wrote: {out}" in said.out.splitlines()
    assert main([str(source), "--kernel", str(out), *QUICK, "--overwrite"]) == 0


@pytest.mark.usefixtures("found")
def test_picture_and_kernel_are_restored_together(
    tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    load(tiny())
    source, out = save(tmp_path / "a.png", 1), tmp_path / "k.npy"
    args = [str(source), "--kernel", "blind", "--solver", "joint-descent", "--kernel-out", str(out)]
    limits = ["--sigma", "0.01", "--strength", "1", "--max-iter", "2"]
    assert main([*args, *limits, *DONE, "--report", str(tmp_path / "r")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "certified: Joint descent; start: heuristic" in said
    assert "end: critical point of the joint energy" in said
    assert "the kernel was restored with the picture, and changed by" in said
    kernel = torch.from_numpy(np.load(out))
    assert float(kernel.sum()) == pytest.approx(1)
    assert not torch.allclose(kernel, KERNEL)
    record = json.loads((tmp_path / "r" / "report.json").read_text())
    assert record["kernel"]["parameters"]["refined"] == "with the picture"
    assert torch.allclose(torch.tensor(record["kernel"]["weights"], dtype=torch.float64), kernel)
    assert record["certificate"]["kind"] == "critical point"
    assert "refined with the picture" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.usefixtures("found")
def test_a_kernel_as_a_picture(tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.png", 1), tmp_path / "k.png"
    assert main([str(source), "--kernel", "blind", *QUICK, "--kernel-out", str(out)]) == 0
    assert float((load_kernel(out).double() - KERNEL).abs().max()) < 0.01 * float(KERNEL.max())


@pytest.mark.usefixtures("found")
def test_no_straight_motion_hands_over_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), "--kernel", "motion", *QUICK]) == 0
    said = capsys.readouterr()
    assert "no straight motion was found" in said.err
    assert "as by --kernel blind" in said.err
    assert "blur: blind" in said.out


@pytest.mark.usefixtures("doubtful")
def test_no_motion_and_no_kernel_deblur_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), "--kernel", "motion", *QUICK]) == 2
    said = capsys.readouterr().err
    assert "it is doubtful; nothing was deblurred" in said
    assert "--length and --angle" in said
    assert not (tmp_path / "a_deblurred.png").exists()


@pytest.mark.usefixtures("doubtful")
def test_a_doubtful_kernel_is_refused_and_kept_for_looking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = save(tmp_path / "a.png", 1), tmp_path / "k.npy"
    args = [str(source), *QUICK]
    assert main([*args, "--kernel", "blind", "--kernel-out", str(out)]) == 2
    assert f"The doubtful kernel is in {out}; --kernel takes it" in capsys.readouterr().err
    assert main([*args, "--kernel", "blind"]) == 2
    assert "--kernel k.npy takes it all the same" in capsys.readouterr().err
    assert main([*args, "--kernel", str(out)]) == 0


def test_a_flat_picture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    source = tmp_path / "flat.png"
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(source)
    assert main([str(source), "--kernel", "blind", *QUICK]) == 2
    assert "there are no edges" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--kernel", "blind", "--simulate"], "needs one to blur"),
        (["--kernel", "blind", "--length", "5"], "--length does not go with"),
        (["--kernel", "blind", "--kernel-size", "67"], "from 3 to 65"),
        (["--kernel", "uniform", "--kernel-out", "k.tif"], ".npy or .png"),
        (["--kernel", "uniform", "--kernel-out", "nowhere/k.npy"], "does not exist"),
    ],
)
def test_refusals(
    tmp_path: Path, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *args]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_the_input_is_not_overwritten_by_the_kernel(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", 1)
    before = source.read_bytes()
    args = [str(source), "--kernel", "uniform", "--overwrite", "--kernel-out", str(source)]
    assert main(args) == 2
    assert source.read_bytes() == before


@pytest.mark.parametrize("other", ["-o", "--save-residuals"])
def test_two_results_do_not_share_a_file(
    tmp_path: Path, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, same = save(tmp_path / "a.png", 1), tmp_path / "same.png"
    (tmp_path / "link").symlink_to(tmp_path)
    args = [str(source), "--kernel", "disk", "--length", "2", "--kernel-out", str(same)]
    assert main([*args, other, str(tmp_path / "link" / "same.png"), "--overwrite"]) == 2
    assert "two results" in " ".join(capsys.readouterr().err.split())
    assert not same.exists()


def test_without_a_required_certificate_no_kernel_is_written(tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.png", 1), tmp_path / "k.npy"
    args = [str(source), "--kernel", "disk", "--length", "2", "--kernel-out", str(out)]
    assert main([*args, "--solver", "dpir", *QUICK, "--require-certificate"]) == 4
    assert not out.exists()
