"""`pnp-sr`: sizes, kernels, borders, what it refuses; the shared run is tested by pnp-deblur."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnp_recon.cli.sr import main
from pnp_recon.cli.sr.case import enlarged
from pnp_recon.pictures.files import read_picture
from pnp_recon.report import validate_report
from support.cli import only_line

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

SIZE = (23, 31)
FAST, DONE = ["--max-iter", "6", "--strength", "1"], ["--tol", "0.9"]


def pixels(size: tuple[int, int] = SIZE, channels: int = 3) -> np.ndarray:
    """A picture with an edge and waves (H, W, channels), 8 bit, of the same content at any size."""
    y, x = (np.arange(n) / n for n in size)
    waves = 40 * np.sin(19 * x) + 30 * np.cos(17 * y[:, None])
    grey = 110 + waves + 40 * (x > 0.4 + 0.2 * y[:, None])
    return np.rint(grey[..., None] + 5 * np.arange(channels)).clip(0, 255).astype(np.uint8)


def save(path: Path, size: tuple[int, int] = SIZE, channels: int = 3, **settings: object) -> Path:
    values = pixels(size, channels)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_result_is_so_many_times_as_large(
    tmp_path: Path, channels: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / name, channels=channels)
    for scale in (2, 3, 4):
        args = ["--scale", str(scale), "--overwrite", *FAST, *DONE]
        assert main([str(source), *args]) == 0
        suffix = Path(name).suffix
        result = read_picture(tmp_path / f"a_enlarged{suffix}").pixels
        assert result.shape == (1, channels, scale * SIZE[0], scale * SIZE[1])
        plain = enlarged(read_picture(source).pixels, scale)
        assert float((result - plain).abs().mean()) < 0.03
    out = capsys.readouterr().out
    assert "enlarging: 31×23 -> 124×92, shrunk with the kernel bicubic (assumed)" in out
    assert "certified if denoiser mean has" in out
    source_of_noise = "JPEG" if name == "a.jpg" else "rounding"
    assert f"estimated from {'the quantisation tables of the ' * (name == 'a.jpg')}" in out
    assert source_of_noise in out


@pytest.mark.parametrize(
    ("boundary", "scale"), [("valid", "2"), ("valid", "3"), ("replicate", "3"), ("circular", "2")]
)
def test_a_simulation_compares(
    tmp_path: Path, scale: str, boundary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", (65, 58), 1)
    args = ["--simulate", "--scale", scale, "--boundary", boundary, "--json", "--max-iter", "20"]
    args += ["--strength", "1"]
    main([str(source), *args, "--report", str(tmp_path / "r")])
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["before"]["psnr"] > 28
    assert found["metrics"]["after"]["psnr"] > 28
    assert found["noise_level"] == 0
    assert found["physics"]["parameters"] == {"scale": int(scale), "kernel": "bicubic"}
    assert found["boundary"] == boundary
    report = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    validate_report(report)
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert f"every {scale}th pixel" in page or "kept on each axis" in page
    result = read_picture(tmp_path / "a_enlarged.png").pixels
    lost = [n - m for n, m in zip((65, 58), result.shape[-2:], strict=True)]
    assert all(loss < (int(scale) if boundary != "valid" else 6 * int(scale)) for loss in lost)


def test_a_wrong_kernel_is_worse_than_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = save(tmp_path / "clean.png", (64, 56), 1)
    with Image.open(clean) as opened:
        opened.resize((28, 32), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    found = {}
    for kernel in (["bicubic"], ["gaussian", "--width", "2.5"]):
        args = ["--reference", str(clean), "--kernel", *kernel, "--json", "--overwrite"]
        main([str(tmp_path / "a.png"), *args, "--max-iter", "20", "--strength", "1"])
        found[kernel[0]] = json.loads(capsys.readouterr().out)["metrics"]["after"]["psnr"]
    assert found["bicubic"] > found["gaussian"] + 3


def test_a_kernel_from_a_file_is_taken_and_said_to_shift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    args = ["--kernel", str(tmp_path / "k.npy"), "--overwrite", *FAST, *DONE]
    assert main([str(source), *args]) == 0
    out = capsys.readouterr()
    assert "k.npy (3×3, from file)" in out.out
    assert "shifted by half a pixel" in out.err
    assert main([str(source), *args, "--scale", "3"]) == 0
    assert "shifted" not in capsys.readouterr().err
    np.save(tmp_path / "k.npy", np.ones((3, 3, 3)))
    assert main([str(source), "--kernel", f"{tmp_path / 'k.npy'}:[1]", *args[2:]]) == 0
    capsys.readouterr()
    assert main([str(source), "--kernel", f"{tmp_path / 'k.npy'}:[:]", *args[2:]]) == 2
    assert "one for the whole picture" in only_line("pnp-sr", capsys.readouterr().err)


def test_a_kernel_may_be_one_picture_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, kernels = save(tmp_path / "a.png"), tmp_path / "k.tif"
    flat, sharp = np.full((3, 3), 200, np.uint8), np.zeros((5, 5), np.uint8)
    sharp[2, 2] = 255
    first, second = Image.fromarray(flat), Image.fromarray(sharp)
    first.save(kernels, save_all=True, append_images=[second])
    args = [str(source), "--overwrite", "--scale", "3", *DONE, "--strength", "1"]
    assert main([*args, "--kernel", f"{kernels}[1]"]) == 0
    assert "(5×5, from file)" in capsys.readouterr().out
    # Twin: the file has no such picture.
    assert main([*args, "--kernel", f"{kernels}[2]"]) == 2
    assert "k.tif" in only_line("pnp-sr", capsys.readouterr().err)


def test_alpha_and_resolution_grow_with_the_picture(tmp_path: Path) -> None:
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[:10] = 0
    values = np.concatenate([pixels(), alpha[..., None]], -1)
    Image.fromarray(values).save(tmp_path / "a.png", dpi=(100, 100))
    assert main([str(tmp_path / "a.png"), *FAST, *DONE]) == 0
    result = read_picture(tmp_path / "a_enlarged.png")
    assert result.alpha is not None
    assert result.alpha.shape == (1, 1, 46, 62)
    assert torch.equal(result.alpha[..., :16, :], torch.zeros(1, 1, 16, 62))
    assert result.dpi == pytest.approx((200, 200), rel=1e-3)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--scale", "5"], "--scale"),
        (["--kernel", "lanczos"], "expected bicubic, gaussian, box or an existing"),
        (["--width", "2"], "add --kernel gaussian"),
        (["--kernel", "gaussian", "--width", "0"], "--width"),
        (["--simulate", "--scale", "4"], "use a larger picture"),
    ],
)
def test_refusals(
    tmp_path: Path, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    assert main([str(source), *args]) == 2
    assert words in only_line("pnp-sr", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_reference_of_another_size_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, other = save(tmp_path / "a.png"), save(tmp_path / "b.png")
    assert main([str(source), "--reference", str(other)]) == 2
    assert "expected the same picture, 2 times as large" in capsys.readouterr().err


def test_a_kernel_that_hides_the_picture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, wide, grid = save(tmp_path / "a.png"), tmp_path / "wide.npy", tmp_path / "grid.npy"
    np.save(wide, np.ones((151, 151)))
    np.save(grid, np.ones((2, 2, 3, 3)))
    for args, words in (
        ([str(wide)], "the kernel is 151×151 pixels, larger than the large picture (62×46)"),
        ([str(grid)], "holds a grid of kernels"),
        (["gaussian", "--width", "1e9"], "the width of a Gaussian"),
    ):
        assert main([str(source), "--kernel", *args]) == 2
        assert words in " ".join(capsys.readouterr().err.split())
