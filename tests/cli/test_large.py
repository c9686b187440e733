"""Large pictures: a part alone (--crop) or first (--preview), and what is said beforehand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from pnp_recon import guarantees
from pnp_recon.cli import inpaint
from pnp_recon.cli.deblur import main
from pnp_recon.cli.run import large, memory, preview
from pnp_recon.cli.run.region import Region, centre, parse_region
from pnp_recon.errors import InputError
from pnp_recon.priors.denoiser import Denoiser
from support.blurred import DONE, pixels, save
from support.cli import Load, only_line, smooth

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

BLUR = ["--sigma", "0.01", "--length", "5", "--angle", "20", "--strength", "1"]
PRECISE = [*BLUR, "--tol", "1e-5"]
SEARCHED = [*BLUR[:-1], "auto", "--tol", "1e-3"]


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of these tests count as large, and their crops are smaller."""
    monkeypatch.setattr(large, "LARGE", 1000)
    monkeypatch.setattr(large, "CROP", 24)


@pytest.fixture
def small_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "PREVIEW", 20)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(float)


# ---- a region ----------------------------------------------------------------------------------


def test_a_region_is_restored_as_in_the_whole_picture(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    whole, part = tmp_path / "w.png", tmp_path / "p.png"
    assert main([str(source), *PRECISE, "-o", str(whole)]) == 0
    assert main([str(source), *PRECISE, "-o", str(part), "--crop", "20,10,24,16"]) == 0
    wanted, found = read(whole)[10:26, 20:44], read(part)
    assert found.shape == wanted.shape
    # What the margin does not know fades towards the region; without one this is 20 and more.
    assert np.abs(found - wanted).max() <= 6
    assert np.abs(found - read(whole)[11:27, 20:44]).max() > 20  # another region is not it


def test_the_margin_is_what_keeps_the_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(tmp_path / "a.png")
    whole, part = tmp_path / "w.png", tmp_path / "p.png"
    monkeypatch.setattr(Region, "grown", lambda region, *_: region)
    monkeypatch.setattr(Region, "filled", lambda region, *_: region)
    assert main([str(source), *PRECISE, "-o", str(whole)]) == 0
    assert main([str(source), *PRECISE, "-o", str(part), "--crop", "20,10,24,16"]) == 0
    assert np.abs(read(part) - read(whole)[10:26, 20:44]).max() > 6


def test_a_region_at_the_corner_and_alpha(tmp_path: Path) -> None:
    values = np.rint(255 * np.concatenate([pixels(3), pixels(1)], -1)).astype(np.uint8)
    source = tmp_path / "a.png"
    Image.fromarray(values).save(source)
    assert main([str(source), *BLUR, *DONE, "--crop", "40,0,24,48"]) == 0
    found = read(tmp_path / "a_deblurred.png")
    assert found.shape == (48, 24, 4)
    assert np.array_equal(found[..., 3], values[:, 40:, 3])


def test_a_simulated_region_is_compared_with_its_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = save(tmp_path / "a.png"), tmp_path / "p.tif"
    crop = ["--simulate", "--crop", "20,10,24,16", "--json"]
    assert main([str(source), *PRECISE, *crop, "-o", str(out)]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["after"]["psnr"] > metrics["before"]["psnr"]
    truth = np.rint(255 * pixels(3))[10:26, 20:44]
    assert np.abs(tifffile.imread(out) - truth).mean() < 12
    assert main([str(source), *BLUR, "--simulate", "--crop", "0,0,24,16"]) == 2
    assert "reaches into the border" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("crop", "words"),
    [
        ("50,0,15,20", "does not lie in"),
        ("0,40,20,9", "which is 64×48 pixels"),
        ("0,0,20", "expected x,y,w,h"),
        ("-1,0,20,20", "expected x,y,w,h"),
        ("0,0,7,20", "at least 8 on each side"),
    ],
)
def test_what_is_no_region_of_the_picture(
    tmp_path: Path, crop: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    assert main([str(source), *BLUR, f"--crop={crop}"]) == 2
    assert words in only_line("pnp-deblur", capsys.readouterr().err)
    assert not (tmp_path / "a_deblurred.png").exists()


def test_a_region_goes_with_one_picture_and_no_preview(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(save(tmp_path / "a.png"))
    crop = ["--crop", "0,0,20,20"]
    assert main([source, source, *BLUR, *crop]) == 2
    assert "give one picture at a time" in capsys.readouterr().err
    assert main([source, *BLUR, *crop, "--preview"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_regions_of_a_side_and_of_text() -> None:
    assert centre((100, 40), 20) == Region(10, 40, 20, 20)
    assert Region(70, 5, 20, 9).filled((10, 40), (12, 100)) == Region(60, 2, 40, 10)
    assert Region(70, 5, 20, 9).filled((13, 20), (12, 100)) == Region(70, 5, 20, 9)
    assert centre((100, 40), 60) == Region(0, 20, 40, 60)
    assert centre((100, 40), 20, 0.0) == Region(0, 0, 20, 20)
    assert parse_region(" 1,2, 30,40") == Region(1, 2, 30, 40)
    with pytest.raises(InputError):
        parse_region("1,2,3.5,40")


def test_holes_are_filled_in_a_region(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png")
    known = np.full((48, 64), 255, np.uint8)
    known[20:24, 30:36] = 0
    known[:, :10] = 0
    Image.fromarray(known).save(tmp_path / "m.png")
    mask = ["--mask", str(tmp_path / "m.png"), "--strength", "1", "--tol", "1e-3"]
    assert inpaint.main([str(source), *mask, "--crop", "24,12,20,20"]) == 0
    assert "missing: 6.0% of the pixels" in capsys.readouterr().out
    found = read(tmp_path / "a_inpainted.png")
    assert found.shape == (20, 20, 3)
    assert np.abs(found - read(source)[12:32, 24:44]).mean() < 6


# ---- a preview ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_preview")
def test_a_preview_is_written_before_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    assert main([str(source), *BLUR, *DONE, "--preview"]) == 0
    out = capsys.readouterr().out
    assert read(tmp_path / "a_deblurred_preview.png").shape == (20, 20, 3)
    assert read(tmp_path / "a_deblurred_preview_sheet.png").shape == (20, 42, 3)
    assert read(tmp_path / "a_deblurred.png").shape == (48, 64, 3)
    assert out.index("_preview.png (preview of 20×20 at 22,14)") < out.index("certificate:")
    assert main([str(source), *BLUR, *DONE, "--preview", "-o", str(tmp_path / "b.png")]) == 0
    (tmp_path / "b.png").unlink()
    assert main([str(source), *BLUR, *DONE, "--preview", "-o", str(tmp_path / "b.png")]) == 2
    assert "b_preview.png" in only_line("pnp-deblur", capsys.readouterr().err)


def test_a_small_picture_has_no_preview(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(save(tmp_path / "a.png")), *BLUR, *DONE, "--preview"]) == 0
    assert "preview: none" in capsys.readouterr().out
    assert not list(tmp_path.glob("*preview*"))


# ---- what is said beforehand -------------------------------------------------------------------


@pytest.mark.usefixtures("small_is_large")
def test_crops_say_strength_and_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report"
    source = save(tmp_path / "a.png")
    assert main([str(source), *SEARCHED, "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "size: 64×48, 3 channels: about" in out
    assert "is the median of what crops of at most 24 pixels a side speak for" in out
    assert "iterations, as a crop took; an estimate)" in out
    found = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert any("the median of what crops" in note for note in found["notes"])
    value = float(out.partition("the strength ")[2].split()[0])
    assert found["strength"]["value"] == pytest.approx(value, rel=1e-2)
    assert found["strength"]["trials"]


def test_a_small_picture_is_searched_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(save(tmp_path / "a.png")), *SEARCHED]) == 0
    out = capsys.readouterr().out
    assert "median" not in out
    assert "GiB" not in out


@pytest.mark.usefixtures("small_is_large")
def test_too_little_memory_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    source = save(tmp_path / "a.png")
    assert main([str(source), *BLUR, *DONE]) == 0
    err = capsys.readouterr().err
    assert "GiB are free" in err
    assert "--crop" in err
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1 << 40)
    assert main([str(source), *BLUR, *DONE, "--overwrite"]) == 0
    assert "GiB are free" not in capsys.readouterr().err


@pytest.mark.usefixtures("small_is_large")
def test_ctrl_c_in_a_crop_ends_the_run(
    tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def interrupted(x: object, sigma: float) -> object:
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return smooth(x, sigma)  # type: ignore[arg-type]

    load(Denoiser(interrupted, "mean", guarantees.firm("a mean")))  # type: ignore[arg-type]
    assert main([str(save(tmp_path / "a.png")), *SEARCHED]) == 130
    assert "nothing was written" in capsys.readouterr().err
