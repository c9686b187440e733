"""`pnp-deblur` on files as people have them: the noise is found, and a bad result is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from operators import kernels
from pnp_recon.cli.deblur import main
from pnp_recon.cli.inpaint import main as inpaint
from pnp_recon.cli.run import job
from pnp_recon.report import Run
from support.photographs import blurred, eight_bit, noise_like, photograph

KERNEL = kernels.linear_motion(9, 30)
QUICK = ["--kernel", "motion", "--length", "9", "--angle", "30", "--tol", "1e-3", "--overwrite"]
QUICK += ["--denoiser", "euler_grey", "--boundary", "valid"]


@pytest.fixture
def no_doubts() -> None:
    """What is said of a result is what these tests are about."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph as PNG and as JPEG, with soft noise, and the truth."""
    place = tmp_path_factory.mktemp("files")
    x = photograph("astronaut", 104)[:, 1:2]
    reach = KERNEL.shape[-1] // 2
    eight_bit(x[..., reach:-reach, reach:-reach]).save(place / "truth.png")
    y = blurred(x, KERNEL)
    eight_bit(y + noise_like(y, 1 / 255)).save(place / "plain.png")
    eight_bit(y + noise_like(y, 3.88 / 255, soft=True)).save(place / "soft.png")
    for quality in (75, 30):
        eight_bit(y + noise_like(y, 1 / 255)).save(place / f"q{quality}.jpg", quality=quality)
    return place


def run(
    folder: Path, name: str, args: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, Any], float, str]:
    """What --json says, the gain in dB, and the warnings."""
    out = folder / f"out_{name}"
    truth = ["--reference", str(folder / "truth.png"), "--json", "-o", str(out)]
    main([str(folder / name), *QUICK, *truth, *args])
    said = capsys.readouterr()
    found = json.loads(said.out)
    before, after = (found["metrics"][when]["psnr"] for when in ("before", "after"))
    return found, after - before, said.err


@pytest.mark.parametrize(
    ("name", "gain", "source"),
    [
        ("plain.png", 3.0, "where the kernel lets nothing through"),
        ("soft.png", 0.3, "where the kernel lets nothing through"),
        ("q75.jpg", 0.8, "the quantisation tables of the JPEG file"),
        ("q30.jpg", 0.3, "the quantisation tables of the JPEG file"),
    ],
)
def test_the_result_is_better_than_the_file(
    folder: Path, name: str, gain: float, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, gained, warned = run(folder, name, [], capsys)
    assert gained > gain
    assert source in found["noise_origin"].partition(";")[0]
    assert "worse than the input" not in warned
    assert "times the noise level" not in warned


def test_a_wrong_level_is_named_and_strength_rescues_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = ["--sigma", "0.4/255"]
    found, gained, warned = run(folder, "q30.jpg", [*low, "--strength", "1"], capsys)
    assert gained < 0
    assert "may be worse than the input" in warned
    assert any("times the noise level" in note for note in found["notes"])
    _, rescued, warned = run(folder, "q30.jpg", [*low, "--strength", "200"], capsys)
    assert rescued > 0
    assert "may be worse than the input" not in warned


def test_the_run_of_a_report_knows_its_doubts(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """So that the figure can say them; they stand among the notes as well. Twin: a good run."""
    runs: list[Run] = []
    monkeypatch.setattr(job, "write_report", lambda _, given, **__: runs.append(given))
    report = ["--report", str(tmp_path / "r"), "--overwrite", "--strength", "1"]
    run(folder, "q30.jpg", [*report, "--sigma", "0.4/255"], capsys)
    run(folder, "plain.png", report, capsys)
    doubtful, good = runs
    assert any("may be worse than the input" in doubt for doubt in doubtful.doubts)
    assert all(any(doubt in note for note in doubtful.notes) for doubt in doubtful.doubts)
    assert good.doubts == ()


def test_inpainting_knows_the_tables_of_its_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.full((96, 96), 255, np.uint8)
    mask[20:30, 30:44] = 0
    Image.fromarray(mask).save(folder / "mask.png")
    args = [
        "--mask",
        str(folder / "mask.png"),
        "--max-iter",
        "1",
        "--strength",
        "1",
        "--json",
        "--sigma",
        "auto",
    ]
    args += ["--denoiser", "euler_grey", "-o", str(folder / "filled.png"), "--overwrite"]
    for name, source in (("q30.jpg", "tables of the JPEG"), ("plain.png", "highest frequencies")):
        assert inpaint([str(folder / name), *args]) in (0, 3)
        found = json.loads(capsys.readouterr().out)["noise_origin"]
        assert source in found.partition(";")[0]


def test_clipped_lights_carry_no_weight(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = 0.2 + 0.6 * photograph("astronaut", 104)[:, 1:2]
    reach = KERNEL.shape[-1] // 2
    eight_bit(x[..., reach:-reach, reach:-reach]).save(folder / "truth.png")
    x[..., 30:34, 30:34] = 8.0
    y = blurred(x, KERNEL)
    eight_bit(y + noise_like(y, 1 / 255)).save(folder / "lamp.png")
    found, gained, warned = run(folder, "lamp.png", [], capsys)
    assert "of the picture is clipped" in warned
    assert any("carries no weight" in note for note in found["notes"])
    assert found["certificate"]["proven"]
    # The twin: with weight, the lamp rings through the picture.
    monkeypatch.setattr("pnp_recon.cli.deblur.case.clipped_pixels", lambda *_, **__: None)
    _, rung, warned = run(folder, "lamp.png", ["--sigma", "1/255"], capsys)
    assert "clipped" not in warned
    assert gained > rung + 3
