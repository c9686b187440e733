"""`pnp-deblur --noise poisson`: what it solves, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from pnp_recon.cli.deblur import main
from pnp_recon.fidelity import Fidelity, KullbackLeibler, WeightedLeastSquares
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.problem import Problem
from support.blurred import pixels, save
from support.cli import only_line

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

BLUR = ["--length", "5", "--angle", "20", "--boundary", "circular", "--strength", "1"]
FEW = ["--max-iter", "6", "--tol", "0.9", "--overwrite"]
PHOTONS = ["--noise", "poisson", "--peak", "40"]


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[Fidelity]:
    """The fidelities of the problems that are made, the last one last."""
    found: list[Fidelity] = []
    plain = Problem.check

    def check(self: Problem) -> None:
        plain(self)
        if self.fidelity is not None:
            found.append(self.fidelity)

    monkeypatch.setattr(Problem, "check", check)
    return found


def test_a_picture_weighs_as_its_photons_say(
    tmp_path: Path, solved: list[Fidelity], capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    report = tmp_path / "report"
    asked = [str(source), *BLUR, *FEW, *PHOTONS, "--background", "4"]
    assert main([*asked, "--report", str(report)]) == 0
    held = solved[-1]
    assert isinstance(held, WeightedLeastSquares)
    stored = read_picture(source).pixels
    assert torch.allclose(held.y.cpu(), stored - 4 / 40)
    # Bright pixels weigh less: the variance of a count is its mean.
    mean = float(stored.mean())
    weights = held.weights.cpu()
    assert float(weights.mean()) == pytest.approx(40 / mean, rel=0.2)
    bright, dark = weights[stored > 0.7], weights[stored < 0.3]
    assert float(dark.mean()) > 1.5 * float(bright.mean())
    said = capsys.readouterr().out
    assert "40 counts expected where the picture is 1 (white)" in said
    assert "4 of them background" in said
    assert "proofs are about the energy with these weights" in said
    noise = json.loads((report / "report.json").read_text(encoding="utf-8"))["noise"]
    assert "photons" in noise["words"]
    # Without the word, all pixels weigh alike.
    solved.clear()
    assert main([str(source), *BLUR, *FEW, "--sigma", "0.1"]) == 0
    assert not solved


def test_total_variation_takes_the_likelihood(
    tmp_path: Path, solved: list[Fidelity], capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *BLUR, *FEW, *PHOTONS, "--method", "tv"]) == 0
    held = solved[-1]
    assert isinstance(held, KullbackLeibler)
    assert held.photons == 40
    assert held.readout == pytest.approx((40 / 255) ** 2 / 12)
    said = capsys.readouterr().out
    assert "the likelihood of the counts" in said
    assert "which exists, pictures being confined to a box" in said
    assert main([str(source), *BLUR, *FEW, *PHOTONS, "--method", "tv", "--solver", "drs"]) == 0
    assert isinstance(solved[-1], WeightedLeastSquares)


def test_simulated_counts_are_drawn_and_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    asked = [str(source), *BLUR, "--simulate", "--overwrite", "--json", "--method", "tv"]
    seen = {}
    for peak in ("30", "3000"):
        assert main([*asked, "--noise", "poisson", "--peak", peak, "--max-iter", "300"]) in (0, 3)
        seen[peak] = json.loads(capsys.readouterr().out)
    before, after = (
        {peak: found["metrics"][when]["psnr"] for peak, found in seen.items()}
        for when in ("before", "after")
    )
    assert after["30"] > before["30"] + 1
    # More photons make less noise.
    assert before["3000"] > before["30"] + 1
    assert after["3000"] > after["30"] + 1


def test_numbers_that_are_counts(
    tmp_path: Path, solved: list[Fidelity], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.random.default_rng(0).poisson(900 * pixels(1)[..., 0]).astype(np.uint16)
    path = tmp_path / "counts.tif"
    tifffile.imwrite(path, counts)
    assert main([str(path), *BLUR, *FEW, "--noise", "poisson", "--peak", "counts"]) == 0
    assert "1023 counts expected" in capsys.readouterr().out  # white is the end of 10 bits
    held = solved[-1]
    assert isinstance(held, WeightedLeastSquares)
    assert float((1 / held.weights).mean()) * 1023**2 == pytest.approx(counts.mean(), rel=0.1)
    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, pixels(1)[..., 0].astype(np.float32))
    assert main([str(grey), *BLUR, *FEW, "--noise", "poisson", "--peak", "counts"]) == 2
    assert "give the counts" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--noise", "poisson"], "needs --peak N"),
        (["--peak", "20"], "--peak does not go with --noise gaussian; add --noise poisson"),
        (["--background", "2"], "--background does not go with --noise gaussian"),
        ([*PHOTONS, "--background", "-1"], "--background"),
        (["--noise", "poisson", "--peak", "0"], "--peak"),
        (["--noise", "poisson", "--peak", "many"], "expected the counts where the picture is 1"),
        (["--noise", "poisson", "--peak", "counts", "--simulate"], "--simulate needs --peak N"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    assert main([str(source), *BLUR, *FEW, *args]) == 2
    assert words in only_line("pnp-deblur", capsys.readouterr().err)


def test_the_noise_of_the_readout_comes_on_top(tmp_path: Path, solved: list[Fidelity]) -> None:
    source = save(tmp_path / "a.png", 1)
    variances = []
    for more in ([], ["--sigma", "0.2"]):
        assert main([str(source), *BLUR, *FEW, *PHOTONS, *more]) == 0
        held = solved[-1]
        assert isinstance(held, WeightedLeastSquares)
        variances.append(1 / held.weights.cpu())
    assert torch.allclose(variances[1] - variances[0], torch.tensor(0.04), atol=1e-6)
