"""`pnp-inpaint`: masks, known pixels, what it refuses; the shared run is tested by pnp-deblur."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp_recon.cli.inpaint import main
from pnp_recon.cli.inpaint.options import MaskKind
from pnp_recon.pictures.files import read_picture
from pnp_recon.report import validate_report
from support.cli import only_line

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

SIZE = (48, 64)
FAST, DONE = ["--max-iter", "6"], ["--tol", "0.9"]


def pixels(channels: int = 3) -> np.ndarray:
    """A smooth picture (H, W, channels), 8 bit."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    grey = 120 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7)
    shifts = 5 * np.arange(channels)
    return np.rint(grey[..., None] + shifts).astype(np.uint8)


def save(path: Path, channels: int = 3) -> Path:
    values = pixels(channels)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path)
    return path


def save_mask(path: Path, known: np.ndarray | None = None) -> Path:
    """A mask file; by default a block of 8×10 pixels is missing."""
    if known is None:
        known = np.ones(SIZE, bool)
        known[20:28, 30:40] = False
    Image.fromarray(np.where(known, 255, 0).astype(np.uint8)).save(path)
    return path


# ---- what it writes -----------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_writes_beside_the_input_and_never_reads_what_is_missing(
    tmp_path: Path, channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = save_mask(tmp_path / "mask.png")
    results = []
    for name in ("a", "scratched"):
        source = save(tmp_path / f"{name}.png", channels)
        if name == "scratched":
            values = np.asarray(Image.open(source)).copy()
            values[20:28, 30:40] = 0
            Image.fromarray(values).save(source)
        assert main([str(source), "--mask", str(mask), *FAST, *DONE]) == 0
        results.append(read_picture(tmp_path / f"{name}_inpainted.png").pixels)
    out = capsys.readouterr()
    assert results[0].shape == (1, channels, *SIZE)
    assert torch.equal(*results)
    assert "missing: 2.6% of the pixels" in out.out
    assert "σ·255 = 0 (assumed: known pixels count as exact)" in out.out
    # The denoiser of these tests declares its constant.
    assert "certified if denoiser mean has the constant that is declared for it (0.5): A" in out.out
    assert out.err == ""


def test_known_pixels_stay_close_and_keep_known_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, mask = save(tmp_path / "a.png"), save_mask(tmp_path / "mask.png")
    known = read_picture(mask).pixels.expand(1, 3, -1, -1) == 1
    original = read_picture(source).pixels
    args = [str(source), "--mask", str(mask), "--overwrite", "--max-iter", "200"]
    main(args)
    assert "put back" not in capsys.readouterr().err
    result = read_picture(tmp_path / "a_inpainted.png").pixels
    assert float((result - original)[known].abs().max()) < 0.01
    filled = (result - original)[~known].abs()
    assert float(filled.max()) < 0.1
    main([*args, "--keep-known"])
    assert "is not the fixed point" in capsys.readouterr().err
    result = read_picture(tmp_path / "a_inpainted.png").pixels
    assert torch.equal(result[known], original[known])
    assert not torch.equal(result, original)


def test_keep_known_matters_where_known_pixels_are_noisy(tmp_path: Path) -> None:
    source, mask = save(tmp_path / "a.png", 1), save_mask(tmp_path / "mask.png")
    known = read_picture(mask).pixels == 1
    original = read_picture(source).pixels
    args = [str(source), "--mask", str(mask), "--sigma", "20/255", "--overwrite", "--quiet"]
    main([*args, *FAST])
    smoothed = read_picture(tmp_path / "a_inpainted.png").pixels
    assert not torch.equal(smoothed[known], original[known])
    main([*args, *FAST, "--keep-known"])
    kept = read_picture(tmp_path / "a_inpainted.png").pixels
    assert torch.equal(kept[known], original[known])
    assert torch.equal(kept[~known], smoothed[~known])


@pytest.mark.parametrize("kind", list(MaskKind))
def test_simulation_compares(
    tmp_path: Path, kind: MaskKind, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--simulate", "--mask-kind", kind.value, "--missing", "0.3"]
    main([*args, "--json", "--max-iter", "60", "--seed", "4"])
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["after"]["psnr"] > found["metrics"]["before"]["psnr"] + 5
    assert found["noise_level"] == 0
    assert found["kernel"] is None
    assert found["physics"]["name"] == "inpainting"
    assert found["physics"]["parameters"]["kind"] == kind.value
    assert found["physics"]["parameters"]["missing"] == pytest.approx(0.3, abs=0.06)


def test_simulation_with_a_mask_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, mask = save(tmp_path / "a.png", 1), save_mask(tmp_path / "mask.png")
    args = [str(source), "--simulate", "--mask", str(mask), "--sigma", "5/255", *FAST, *DONE]
    assert main([*args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["noise_origin"] == "simulated"
    assert found["noise_level"] == pytest.approx(5 / 255)
    assert found["physics"]["parameters"]["mask"] == "mask.png"


def test_noise_is_estimated_from_known_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = 5 * np.random.default_rng(0).standard_normal(SIZE)
    values = np.clip(pixels(1)[..., 0] + noise, 0, 255)
    values[20:28, 30:40] = np.arange(10) % 2 * 255  # what is missing must not count
    source = tmp_path / "a.png"
    Image.fromarray(np.rint(values).astype(np.uint8)).save(source)
    args = [str(source), "--sigma", "auto", *FAST, *DONE, "--json"]
    assert main([*args, "--mask", str(save_mask(tmp_path / "mask.png"))]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 255 * found["noise_level"] == pytest.approx(5, rel=0.15)
    half = torch.rand(SIZE, generator=torch.Generator().manual_seed(0)).numpy() < 0.5
    sparse = save_mask(tmp_path / "sparse.png", half)
    assert main([str(source), "--sigma", "auto", "--mask", str(sparse), "--overwrite"]) == 2
    assert "give its level" in only_line("pnp-inpaint", capsys.readouterr().err)


def test_report(tmp_path: Path) -> None:
    source, mask = save(tmp_path / "a.png"), save_mask(tmp_path / "mask.png")
    truth = save(tmp_path / "truth.png")
    args = [str(source), "--mask", str(mask), "--reference", str(truth), *FAST, *DONE]
    assert main([*args, "--report", str(tmp_path / "r"), "--quiet"]) == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    validate_report(report)
    assert [entry["role"] for entry in report["inputs"]] == ["input", "reference", "mask"]
    assert report["kernel"] is None
    assert report["physics"]["parameters"]["missing"] == pytest.approx(80 / (48 * 64))
    page = (tmp_path / "r" / "report.html").read_text()
    assert "2.6% of the pixels are missing" in page
    assert "mask: white is known" in page
    for word in ("blur", "camera"):
        assert word not in page


def test_folder_with_a_folder_of_masks(tmp_path: Path) -> None:
    for name in ("in", "masks"):
        (tmp_path / name).mkdir()
    for name in ("a.png", "b.png"):
        save(tmp_path / "in" / name)
        save_mask(tmp_path / "masks" / name)
    args = [str(tmp_path / "in"), "--mask", str(tmp_path / "masks"), *FAST, *DONE]
    assert main([*args, "-o", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_inpainted.png", "b_inpainted.png"]


def test_mask_beside_the_pictures_is_no_input(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    mask = save_mask(tmp_path / "mask.png")
    before = mask.read_bytes()
    args = [str(tmp_path), "--mask", str(mask), *FAST, *DONE]
    assert main(args) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.png", "a_inpainted.png", "mask.png"]
    assert main([*args, "-o", str(mask), "--overwrite"]) == 2
    assert mask.read_bytes() == before


# ---- bad input ----------------------------------------------------------------------------


def test_mask_without_a_hole_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = save_mask(tmp_path / "mask.png", np.ones(SIZE, bool))
    assert main([str(save(tmp_path / "a.png")), "--mask", str(mask), *FAST, *DONE]) == 0
    assert "nothing to fill in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((40, 64), 255), "expected a mask of the same size"),
        (np.zeros(SIZE), "all pixels are missing"),
        (np.full(SIZE, 128), "not binary"),
        (pixels(3), "mask"),
    ],
)
def test_bad_masks(
    tmp_path: Path, values: np.ndarray, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(values.astype(np.uint8)).save(mask)
    source = save(tmp_path / "a.png")
    assert main([str(source), "--mask", str(mask)]) == 2
    line = only_line("pnp-inpaint", capsys.readouterr().err)
    assert words in line
    assert "mask.png" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "mask.png"]


@pytest.mark.parametrize("gap", [np.nan, -9999.0])
def test_gaps_under_the_mask_are_what_it_is_for(
    tmp_path: Path, gap: float, capsys: pytest.CaptureFixture[str]
) -> None:
    values = pixels(1)[..., 0].astype(np.float32) / 255
    mask = str(save_mask(tmp_path / "mask.png"))
    results = []
    for name, number in (("whole", 0.5), ("gaps", gap)):
        values[20:28, 30:40] = number
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
        assert main([str(tmp_path / f"{name}.tif"), "--mask", mask, *FAST, *DONE]) == 0
        results.append(read_picture(tmp_path / f"{name}_inpainted.tif").pixels)
    assert torch.equal(*results)
    capsys.readouterr()
    values[2, 3] = np.nan  # the twin: known, and not there
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert main([str(tmp_path / "a.tif"), "--mask", mask]) == 2
    assert "1 values that are not finite" in (
        line := only_line("pnp-inpaint", capsys.readouterr().err)
    )
    assert "mark them as missing" in line


@pytest.mark.parametrize("kind", ["turned", "miniswhite", "ones"])
def test_masks_mean_what_they_show(tmp_path: Path, kind: str) -> None:
    known = np.ones(SIZE, bool)
    known[20:28, 30:40] = False
    ones = known.astype(np.uint8)
    source, mask = save(tmp_path / "a.png"), save_mask(tmp_path / "plain.png", known)
    assert main([str(source), "--mask", str(mask), *FAST, *DONE]) == 0
    expected = read_picture(tmp_path / "a_inpainted.png").pixels
    mask, exif = tmp_path / "mask.png", Image.Exif()
    exif[274] = 3
    if kind == "turned":
        source = tmp_path / "turned.png"
        Image.fromarray(np.rot90(pixels(3), 2)).save(source, exif=exif)
        Image.fromarray(np.rot90(255 * ones, 2)).save(mask, exif=exif)
    elif kind == "miniswhite":
        mask = tmp_path / "mask.tif"
        tifffile.imwrite(mask, 255 - 255 * ones, photometric="miniswhite")
    else:
        Image.fromarray(ones).save(mask)
    out = tmp_path / "out.png"
    assert main([str(source), "--mask", str(mask), "-o", str(out), *FAST, *DONE]) == 0
    assert torch.equal(read_picture(out).pixels, expected)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "give --mask"),
        (["--mask", "missing.png"], "does not exist"),
        (["--mask", "a.png", "--missing", "0.2"], "--missing does not go with --mask"),
        (["--mask", "a.png", "--mask-kind", "blocks"], "--mask-kind does not go with --mask"),
        (["--missing", "0.2"], "give --mask"),
        (["--simulate", "--missing", "1"], "between 0 and 1"),
        (["--simulate", "--missing", "nan"], "between 0 and 1"),
        (["--simulate", "--mask-kind", "holes"], "--mask-kind"),
        (["--simulate", "--reference", "a.png"], "--reference"),
        (["--simulate", "--kernel", "motion"], "--kernel"),
    ],
)
def test_bad_options(
    tmp_path: Path,
    args: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png", 1)
    assert main(["a.png", *args]) == 2
    assert words in only_line("pnp-inpaint", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("solver", "told"), [("landweber", True), ("cgls", True), ("auto", False)])
def test_a_solver_without_a_prior_is_said_to_leave_holes(
    tmp_path: Path, solver: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source, mask = save(tmp_path / "a.png"), save_mask(tmp_path / "mask.png")
    words = [str(source), "--mask", str(mask), "--simulate", "--solver", solver, "--json"]
    main([*words, *(DONE if solver == "auto" else [])])
    found = json.loads(capsys.readouterr().out)
    assert any("stay as they were at the start" in note for note in found["notes"]) == told
    assert (found["exit_code"], found["status"]) == (0, "converged")
    # The twin: with noise there is a step that adds more of it than it removes error.
    if solver == "landweber":
        main([*words, "--sigma", "0.2", "--step", "0.3", "--overwrite"])
        assert json.loads(capsys.readouterr().out)["status"] == "least_error"
