"""`pnp-jpeg`: cells, what it refuses; the shared run is tested by pnp-deblur."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnp_recon.cli.jpeg import main
from pnp_recon.cli.jpeg.case import certificate_line
from pnp_recon.cli.jpeg.facts import FileFacts, file_facts, turned
from pnp_recon.cli.run.region import Region
from pnp_recon.estimation.quantisation import quantisation_level
from pnp_recon.files import shipped
from pnp_recon.pictures.coefficients import read_coefficients
from pnp_recon.pictures.decoding import orient
from pnp_recon.pictures.files import read_picture
from pnp_recon.report import validate_report
from support.cli import only_line

pytest.importorskip("jpeglib")
pytestmark = pytest.mark.usefixtures("tiny_denoiser")

SIZE = (43, 61)
FAST, DONE = ["--max-iter", "6"], ["--tol", "0.9"]


def pixels(channels: int = 3) -> np.ndarray:
    """A smooth picture with an edge and grain (H, W, channels), 8 bit."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    grey = 110 + 40 * np.sin(x / 9) + 30 * np.cos(y / 7) + 30 * (x > y)
    grey = grey + np.random.default_rng(0).normal(0, 6, SIZE)
    tints = np.array([1.0, 0.9, 0.8])[:channels] * np.linspace(0.8, 1, SIZE[1])[:, None]
    return np.clip(np.rint(grey[..., None] * tints), 0, 255).astype(np.uint8)


def save(path: Path, channels: int = 3, **settings: Any) -> Path:
    values = pixels(channels)
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    image.save(path, **{"quality": 20, **settings})
    return path


def facts_of(path: Path) -> FileFacts:
    return file_facts(read_coefficients(path, path.read_bytes()))


# ---- what a file says --------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_picture_before_encoding_lies_in_the_cells(
    tmp_path: Path, subsampling: int, progressive: bool
) -> None:
    path = save(tmp_path / "a.jpg", subsampling=subsampling, progressive=progressive)
    facts = facts_of(path)
    assert facts.file.progressive == progressive
    assert facts.file.planes[1].factor == [(1, 1), (1, 2), (2, 2)][subsampling]
    clean = np.pad(pixels(), [(0, -n % 16) for n in SIZE] + [(0, 0)], mode="edge")
    height, width = facts.A.image_shape[1:]
    truth = torch.from_numpy(clean[:height, :width] / 255).permute(2, 0, 1)[None]
    # The encoder rounds Y, Cb, Cr and their averages to integers: a little more than the cell.
    v = facts.A.A(truth)
    beyond = ((v - facts.middle).abs() - facts.half).clamp_min(0)
    assert float(beyond.max()) < 2.5 / 255
    assert float((beyond > 0).double().mean()) < 0.02
    assert facts.outside(facts.inside(truth)) == 0
    # The rows and columns of blocks are not exchanged: a transposed picture is far from the cells.
    assert facts.outside(truth.flip(-1)) > 100


@pytest.mark.parametrize("channels", [1, 3])
def test_the_plain_decoder_is_the_centre_of_the_cells(tmp_path: Path, channels: int) -> None:
    path = save(tmp_path / "a.jpg", channels, subsampling=0)
    facts = facts_of(path)
    decoded = read_picture(path).pixels.double()
    assert float((facts.shown(facts.start()) - decoded).abs().max()) < 3 / 255


@pytest.mark.parametrize("quality", [10, 20, 40])
def test_the_level_is_that_of_the_error(tmp_path: Path, quality: int) -> None:
    """Of a photograph: the model knows how their coefficients fall."""
    image = Image.open(shipped("samples/coffee.png")).convert("L").crop((60, 60, 156, 156))
    path = tmp_path / "a.jpg"
    image.save(path, quality=quality)
    error = read_picture(path).pixels.numpy()[0, 0] - np.asarray(image) / 255
    plane = facts_of(path).file.planes[0]
    assert 0.7 < quantisation_level(plane.values, plane.table) / np.sqrt((error**2).mean()) < 1.6
    # A twin that counts every cell in full says much more.
    uniform = np.sqrt((plane.table.astype(float) ** 2 / 12).mean()) / 255
    assert uniform > 2 * np.sqrt((error**2).mean())


# ---- what is written ---------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "subsampling"), [(1, 0), (3, 0), (3, 2)])
def test_every_coefficient_lies_in_its_cell(
    tmp_path: Path, channels: int, subsampling: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.jpg", channels, subsampling=subsampling)
    folder = tmp_path / "report"
    assert main([str(path), *FAST, *DONE, "--report", str(folder)]) == 0
    out = capsys.readouterr()
    assert "cells: every coefficient of the result lies in your file's cell" in out.out
    assert "from the file's quantisation tables" in out.out
    assert not out.err
    result = read_picture(tmp_path / "a_restored.png")
    assert result.pixels.shape == (1, channels, *SIZE)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    validate_report(report)
    assert report["physics"]["parameters"]["outside"] == 0
    assert "lies in your file's cell" in report["physics"]["words"]


def test_a_result_outside_a_cell_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.jpg", 1)
    facts = facts_of(path)
    inside = facts.inside(facts.start())
    assert "every coefficient" in certificate_line(facts, inside, 8)
    moved = facts.A.A(inside)
    moved[0, 7] = facts.middle[0, 7] + 1.001 * facts.half[0, 7]
    line = certificate_line(facts, facts.A.A_adjoint(moved), 8)
    assert line.startswith(f"1 of {facts.count} coefficients of the result lie outside")
    # A projection that does nothing is told from one that does.
    monkeypatch.setattr(FileFacts, "inside", lambda self, image: image.double() * 0.9)
    assert main([str(path), *FAST, *DONE]) == 0
    assert "lie outside your file's cells" in capsys.readouterr().err
    again = [str(path), *FAST, *DONE, "--overwrite", "--require-certificate"]
    assert main(again) == 4


def test_orientation_is_that_of_the_decoded_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", 1, exif=exif)
    assert main([str(path), *FAST, *DONE, "-q"]) == 0
    before, after = (read_picture(p).pixels for p in (path, tmp_path / "a_restored.png"))
    assert before.shape == after.shape == (1, 1, *SIZE[::-1])
    assert float((before - after).abs().mean()) < 0.05


def test_simulation_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "clean.png"
    Image.fromarray(pixels()).save(source)
    args = [str(source), "--simulate", "--quality", "15", *FAST, *DONE, "--json"]
    assert main(args) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["before"]["psnr"] > 20
    assert found["physics"]["parameters"]["outside"] == 0


# ---- what it refuses ---------------------------------------------------------------------------


def test_refuses_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "a.png"
    Image.fromarray(pixels()).save(png)
    cmyk = tmp_path / "cmyk.jpg"
    Image.fromarray(pixels()).convert("CMYK").save(cmyk)
    rgb = save(tmp_path / "rgb.jpg", keep_rgb=True)
    whole = save(tmp_path / "whole.jpg").read_bytes()
    cut, broken = tmp_path / "cut.jpg", tmp_path / "broken.jpg"
    cut.write_bytes(whole[:-200])
    broken.write_bytes(whole[:30])
    for path, words in (
        (png, "is no JPEG file"),
        (cmyk, "CMYK"),
        (rgb, "stores its colours as RGB"),
        (cut, "damaged"),
        (broken, "damaged"),
    ):
        assert main([str(path)]) == 2
        assert words in only_line("pnp-jpeg", capsys.readouterr().err)
    assert main([str(tmp_path / "whole.jpg"), "-o", str(tmp_path / "out.jpg")]) == 2
    assert ".png, .tif" in capsys.readouterr().err
    assert main([str(tmp_path / "whole.jpg"), "--quality", "5"]) == 2
    assert "--simulate" in capsys.readouterr().err


def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    assert main([str(save(tmp_path / "a.jpg"))]) == 2
    assert 'pip install "pnp-recon[jpeg]"' in capsys.readouterr().err


# ---- a region ----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_is_found_in_a_turned_file(orientation: int) -> None:
    stored = np.arange(12 * 17).reshape(12, 17)
    shown = orient(stored[..., None], orientation)[..., 0]
    region = Region(3, 2, 5, 7)
    there = turned(region, (12, 17), orientation)
    found = orient(stored[there.slices][..., None], orientation)[..., 0]
    assert np.array_equal(found, shown[region.slices])


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_blocks_of_a_region_are_those_of_the_file(
    tmp_path: Path, subsampling: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    facts = facts_of(save(tmp_path / "a.jpg", subsampling=subsampling, exif=exif))
    shown = facts.shown(facts.start())
    few, around = facts.part(Region(9, 20, 8, 9))
    assert few.count < facts.count
    assert few.level == facts.level
    assert torch.allclose(few.shown(few.start()), shown[around.slices], atol=1e-12)
    inside = few.inside(few.start() + 0.3)
    assert few.outside(inside) == 0


def test_a_region_of_a_file_is_restored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.jpg")
    assert main([str(source), *FAST, *DONE, "--crop", "30,8,16,20"]) == 0
    assert "every coefficient of the result lies in your file's cell" in capsys.readouterr().out
    found = read_picture(tmp_path / "a_restored.png").pixels
    plain = read_picture(source).pixels[..., 8:28, 30:46]
    assert found.shape == plain.shape
    assert float((found - plain).abs().mean()) < 0.05
    other = read_picture(source).pixels[..., 8:28, 38:54]
    assert float((found - plain).abs().mean()) < 0.5 * float((found - other).abs().mean())


def test_the_strength_that_is_said_is_the_one_that_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, levels = str(save(tmp_path / "a.jpg")), []
    for given, said in ([], "1, the default"), (["--strength", "2"], "2, as given"):
        report = tmp_path / f"report{len(levels)}"
        args = [source, *given, "--overwrite", *FAST, *DONE, "--report", str(report)]
        assert main(args) == 0
        block = json.loads((report / "report.json").read_text(encoding="utf-8"))["strength"]
        assert (block["value"], block["rule"]) == ((2, "given") if given else (1, "the fixed rule"))
        assert "multiplies the level" in block["reason"]
        (line,) = [s for s in capsys.readouterr().out.splitlines() if s.startswith("strength:")]
        assert line.startswith(f"strength: {said}; level")
        levels.append(float(line.rpartition(" ")[2]))
    assert levels[1] == pytest.approx(2 * levels[0], rel=0.01)


def test_a_large_file_has_its_own_strength(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pnp_recon.cli.run.large.LARGE", 1000)
    assert main([str(save(tmp_path / "a.jpg")), *FAST, *DONE]) == 0
    out = capsys.readouterr().out
    assert "size: 61×43, 3 channels: about" in out
    assert "iterations, as a crop took" in out
    assert "median" not in out
