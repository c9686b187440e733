"""Landweber in the commands ends where its error is estimated to be least."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnp_recon.cli.ct import main as ct
from pnp_recon.cli.deblur import facts
from pnp_recon.cli.deblur import main as deblur
from pnp_recon.cli.listing import main as recon
from pnp_recon.cli.mri import main as mri
from pnp_recon.kspace.phantom import head

LANDWEBER = ["--solver", "landweber"]
SIDE = 32


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = (255 * head(SIDE)[0, 0].numpy()).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "head.png")
    return tmp_path / "head.png"


def run(
    capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], *args: object
) -> dict:
    code = main([*map(str, args), "--simulate", "--json", "--overwrite"])
    found: dict = json.loads(capsys.readouterr().out)
    assert code == found["exit_code"]
    return found


@pytest.mark.parametrize(
    ("main", "more"),
    [
        (ct, ["--views", 30, "--noise", 0.02]),
        (ct, ["--views", 30, "--photons", 1000]),
        (mri, ["--undersampling", 2, "--sigma", 0.05]),
        (deblur, ["--kernel", "gaussian", "--sigma", 0.03]),
    ],
)
def test_it_ends_there_and_says_that_this_is_an_estimate(
    picture: Path, capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], more: list
) -> None:
    found = run(capsys, main, picture, *LANDWEBER, *more)
    assert (found["exit_code"], found["status"]) == (0, "least_error")
    assert "of which nothing is proven" in found["certificate"]["verdict"]
    assert 0 < found["parameters"]["steps_worth_making"] < found["iterations"]
    # The twin: an acceleration has no such rule, and its picture is the last one.
    wrapped = run(capsys, main, picture, *LANDWEBER, *more, "--acceleration", "km")
    assert wrapped["status"] != "least_error"
    assert "steps_worth_making" not in wrapped["parameters"]
    assert found["metrics"]["after"]["psnr"] > wrapped["metrics"]["after"]["psnr"]


@pytest.mark.slow
def test_counted_photons_give_each_ray_its_noise(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(picture), "--simulate", *LANDWEBER, "--views", "20", "--overwrite"]
    report = str(picture.with_name("report"))
    assert ct([*words, "--photons", "1e3", "--report", report]) == 0
    said = capsys.readouterr().out
    assert "that of each ray is as its photons say" in said
    assert "fewer than 10 photons" not in said
    assert "an estimate by the noise level, of which nothing is proven" in said
    assert recon(["verify", report]) == 0
    # The twins: of too few photons it is said, and noise of one level has no words about rays.
    capsys.readouterr()
    assert ct(words) == 0
    assert "its photons say" not in capsys.readouterr().out
    assert ct([*words, "--photons", "20"]) == 0
    assert "fewer than 10 photons" in capsys.readouterr().err


def test_a_limit_of_ones_own_that_comes_first_is_said(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(capsys, ct, picture, *LANDWEBER, "--max-iter", 3)
    assert (found["exit_code"], found["status"]) == (3, "iteration_limit")


@pytest.mark.parametrize("solver", ["landweber", "cgls"])
def test_clipped_pixels_of_a_photograph_are_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], solver: str
) -> None:
    """These solvers know no weights, by which others leave such pixels out."""
    bright = 1.4 * (1.6 * head(64)[0, 0].numpy() - 0.05).clip(0, 1)
    seen = np.stack([np.roll(bright, k, 1) for k in (-2, -1, 0, 1, 2)]).mean(0)
    noisy = seen + 0.01 * np.random.default_rng(0).normal(size=seen.shape)
    source = tmp_path / "bright.png"
    Image.fromarray((255 * noisy.clip(0, 1)).round().astype(np.uint8)).save(source)
    words = ["--kernel", "motion", "--length", "5", "--angle", "0", "--sigma", "0.01"]
    code = deblur([str(source), *words, "--solver", solver, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert "inpainting" in found["operator"]
    assert any("carries no weight" in note for note in found["notes"])
    # The twin: without clipped pixels the operator is the blur alone.
    Image.fromarray((128 * noisy.clip(0, 1)).round().astype(np.uint8)).save(source)
    deblur([str(source), *words, "--solver", solver, "--json", "--overwrite"])
    assert "inpainting" not in json.loads(capsys.readouterr().out)["operator"]


def test_a_clipped_light_does_not_end_black(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fills it in where there is no prior."""
    bright = np.full((48, 48), 0.4)
    bright[14:34, 14:34] = 3.0
    seen = np.stack([np.roll(bright, k, 1) for k in (-2, -1, 0, 1, 2)]).mean(0)
    noisy = seen + 0.01 * np.random.default_rng(0).normal(size=seen.shape)
    source, out = tmp_path / "light.png", tmp_path / "out.png"
    Image.fromarray((255 * noisy.clip(0, 1)).round().astype(np.uint8)).save(source)
    words = ["--kernel", "motion", "--length", "5", "--angle", "0", "--sigma", "0.01"]

    def middle() -> float:
        assert deblur([str(source), *words, *LANDWEBER, "-o", str(out), "--overwrite"]) == 0
        assert "no prior to fill it in" in capsys.readouterr().err
        return float(np.asarray(Image.open(out))[20:28, 20:28].mean())

    assert middle() > 250
    # The twin: from zero.
    monkeypatch.setattr(facts, "_lights", lambda of, *_: of.y.new_zeros(1, *of.A.image_shape))
    assert middle() < 5


def test_no_strength_is_spoken_of_where_nothing_depends_on_it(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for name in ("a.png", "a.jpg"):
        source = picture.with_name(name)
        Image.open(picture).save(source)
        words = [str(source), "--kernel", "gaussian", "--length", "1", "--overwrite"]
        deblur([*words, *LANDWEBER, "--max-iter", "3"])
        found = capsys.readouterr().out.splitlines()
        said[name] = [line for line in found if line.startswith("strength")]
    assert said["a.png"] == said["a.jpg"] != []
    # The twin: a prior has one, and trials do not find it by the noise of a JPEG file.
    deblur([*words, "--method", "tv", "--max-iter", "3"])
    assert "not white" in capsys.readouterr().out
