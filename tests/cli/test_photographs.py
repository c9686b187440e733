"""`pnp-deblur` and `pnp-inpaint` on files as cameras, phones and instruments write them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pnp_recon import guarantees
from pnp_recon.cli import inpaint
from pnp_recon.cli.deblur import main
from pnp_recon.cli.listing import main as recon
from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write, split_frame
from pnp_recon.pictures.files import read_picture
from pnp_recon.pictures.kernels import load_kernel
from pnp_recon.pictures.masks import read_mask
from pnp_recon.priors.denoiser import Denoiser
from support.blurred import DONE, ENDLESS, FAST, SIZE, pixels, save
from support.cli import Load, only_line, smooth

pytestmark = pytest.mark.usefixtures("tiny_denoiser")


def result(path: Path) -> np.ndarray:
    return tifffile.imread(path.with_name(f"{path.stem}_deblurred.tif")).astype(np.float64)


@pytest.mark.parametrize(
    ("dtype", "largest", "high"),
    [
        (np.uint16, 4095, "4095 (uint16)"),
        (np.int16, 16383, "16383 (int16)"),
        (np.uint32, 1023, "1023 (uint32)"),
        (np.float32, 4095, "4095 (float32)"),
        (np.float32, 2e-4, "0.0002 (float32)"),
    ],
)
def test_any_range_has_the_same_result(
    tmp_path: Path, dtype: type, largest: float, high: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = pixels(3)
    values[0, 0] = 1.0  # where the range ends, so that a float shows it
    found = []
    for name, top, kind in (("16", 65535, np.uint16), ("own", largest, dtype)):
        path = tmp_path / f"{name}.tif"
        numbers = values * top if kind == np.float32 else np.rint(values * top)
        tifffile.imwrite(path, numbers.astype(kind), photometric="rgb")
        assert main([str(path), *FAST, *DONE]) == 0
        found.append(result(path) / top)
        assert tifffile.imread(path.with_name(f"{name}_deblurred.tif")).dtype == kind
    steps = 5 / largest if dtype != np.float32 else 1e-4  # what rounding the input changes
    assert np.abs(found[0] - found[1]).max() < steps
    out = capsys.readouterr().out
    assert f"values: 0 to {high}; --sigma is a share of that" in out
    assert "values: 0 to 65535" not in out


def test_a_reference_is_held_against_the_same_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = np.rint(pixels(1)[..., 0] * 1000).astype(np.uint16)  # 10 bit by itself
    truth[5:9, 5:9] = 1020
    seen = truth.copy()
    seen[5:9, 5:9] = 1030  # 12 bit by a little noise
    for name, numbers in (("a", seen), ("t", truth)):
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers)
    args = [str(tmp_path / "a.tif"), "--reference", str(tmp_path / "t.tif"), *FAST, *DONE]
    assert main(args) == 0
    before = float(capsys.readouterr().out.partition("PSNR ")[2].split()[0])
    assert before > 60


def test_a_lost_end_marker_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.rint(255 * pixels(3)).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue()[:-2])
    assert main([str(tmp_path / "a.jpg"), *FAST, *DONE]) == 0
    assert "warning: " in (err := capsys.readouterr().err)
    assert "a.jpg is a JPEG file without its end marker" in err
    assert (tmp_path / "a_deblurred.jpg").exists()


def test_what_is_only_read_is_written_as_png(tmp_path: Path) -> None:
    Image.fromarray(np.rint(255 * pixels(1)[..., 0]).astype(np.uint8)).save(tmp_path / "a.gif")
    assert main([str(tmp_path), *FAST, *DONE, "--quiet"]) == 0
    assert read_picture(tmp_path / "a_deblurred.png").pixels.shape == (1, 1, *SIZE)
    assert main([str(tmp_path), *FAST, *DONE, "--quiet", "--overwrite"]) == 0
    assert len(list(tmp_path.iterdir())) == 2  # the result is no input of the second run


def test_jfif_is_jpeg(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    assert main([str(source), *FAST, *DONE, "-o", str(tmp_path / "b.jfif")]) == 0
    assert (tmp_path / "b.jfif").read_bytes().startswith(b"\xff\xd8\xff")
    assert main([str(tmp_path / "b.jfif"), *FAST, *DONE]) == 0
    assert (tmp_path / "b_deblurred.jfif").exists()


def test_notes_of_the_camera_come_through(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110], exif[0x0112], exif[0x8769] = "Model", 8, {0x9003: "2024:05:06 07:08:09"}
    values = np.rint(255 * pixels(3)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300))
    assert main([str(tmp_path / "a.jpg"), *FAST, *DONE]) == 0
    with Image.open(tmp_path / "a_deblurred.jpg") as image:
        assert image.size == (SIZE[0], SIZE[1])  # turned, once
        found = image.getexif()
        assert (found[0x0110], found.get(0x0112, 1)) == ("Model", 1)
        assert found.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert image.info["dpi"] == pytest.approx((300, 300))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("moving.gif", "is a GIF file of 2 pictures; pick one, counted from 0: 'moving.gif[0]'"),
        ("pages.tif", "is a TIFF file of 2 pictures; pick one, counted from 0: 'pages.tif[0]'"),
        ("photo.cr3", 'pip install "pnp-recon[photo]", or export the picture as TIFF or PNG'),
        ("photo.heic", 'pip install "pnp-recon[photo]", or export the picture as TIFF or PNG'),
    ],
)
def test_messages_name_the_way_out(
    tmp_path: Path,
    name: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("rawpy", "pillow_heif"):
        monkeypatch.setitem(sys.modules, package, None)
    frames = [Image.fromarray(np.full((20, 20), n, np.uint8)) for n in (9, 200)]
    brand = {"photo.cr3": b"crx ", "photo.heic": b"heic"}.get(name)
    if brand is None:
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    else:
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\1" + bytes(64))
    assert main([str(tmp_path / name), *FAST]) == 2
    assert words in only_line("pnp-deblur", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == [name]


# ---- one picture of a file of several ----------------------------------------------------------


@pytest.mark.parametrize("name", ["moving.gif", "pages.tif"])
def test_one_of_several_pictures_is_restored(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / name
    frames = [
        Image.fromarray(np.rint(255 * pixels(1, seed)[..., 0]).astype(np.uint8)) for seed in (1, 2)
    ]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    original = source.read_bytes()
    beside = tmp_path / f"{source.stem}_1_deblurred{'.tif' if name == 'pages.tif' else '.png'}"
    report = tmp_path / "r"
    command = [f"{source}[1]", "--length", "1", "--angle", "0", "--sigma", "0.001", *DONE]
    assert main([*command, "--strength", "1", "--report", str(report)]) == 0
    assert read_picture(beside).pixels.shape[-2:] == SIZE
    seen = read_picture(f"{source}[1]").pixels
    assert np.array_equal((255 * seen[0, 0]).round().numpy(), np.asarray(frames[1]))
    assert not torch.equal(seen, read_picture(f"{source}[0]").pixels)  # the twin: the other one
    assert recon(["verify", str(report)]) == 0
    # The file itself is an input, whichever picture of it is meant; and it holds no more than two.
    assert main([*command, "-o", str(source), "--overwrite"]) == 2
    assert source.read_bytes() == original
    capsys.readouterr()
    assert main([f"{source}[2]", *command[1:]]) == 2
    assert "of 2 pictures; the number 2 is not below 2" in only_line(
        "pnp-deblur", capsys.readouterr().err
    )


def test_kernel_and_mask_of_several_and_files_that_are_called_so(tmp_path: Path) -> None:
    stack = np.zeros((2, 5, 5), np.uint8)
    stack[0, 2, 2], stack[1, 2, :] = 255, 255
    tifffile.imwrite(tmp_path / "k.tif", stack, photometric="minisblack")
    for kernel in ("k.tif[1]", "k.tif:[1]"):
        options = [
            str(save(tmp_path / "a.png", 1)),
            "--kernel",
            f"{tmp_path / kernel}",
            "--overwrite",
        ]
        assert main([*options, "--sigma", "0.01", "--strength", "1", *DONE]) == 0
    assert torch.allclose(load_kernel(tmp_path / "k.tif[1]")[2], torch.full((5,), 0.2))
    assert read_mask(tmp_path / "k.tif[0]").sum() == 1
    save(tmp_path / "b.png", 1).with_name("b.png[3]").write_bytes(b"a picture of this name")
    assert split_frame(tmp_path / "b.png[3]") == (tmp_path / "b.png[3]", None)
    assert split_frame(tmp_path / "b.png[2]") == (tmp_path / "b.png", 2)
    assert split_frame(tmp_path / "c.png[2]") == (tmp_path / "c.png[2]", None)


# ---- endings, by the other command -----------------------------------------------------------


def hole(tmp_path: Path) -> list[str]:
    known = np.full(SIZE, 255, np.uint8)
    known[20:28, 30:40] = 0
    Image.fromarray(known).save(tmp_path / "mask.png")
    args = [str(save(tmp_path / "a.png", 1)), "--mask", str(tmp_path / "mask.png")]
    return [*args, "--strength", "1", "--max-iter", "40"]


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_the_iteration_limit_of_inpainting(tmp_path: Path) -> None:
    assert inpaint.main([*hole(tmp_path), *ENDLESS]) == 3
    assert names(tmp_path) == ["a.png", "a_inpainted.png", "mask.png"]


@pytest.mark.parametrize(("patience", "code"), [(1, 130), (30, 3)])
def test_ctrl_c_while_inpainting(tmp_path: Path, load: Load, patience: int, code: int) -> None:
    calls: list[int] = []

    def interrupted(x: torch.Tensor, sigma: float) -> torch.Tensor:
        calls.append(0)
        if len(calls) == patience:
            raise KeyboardInterrupt
        return smooth(x, sigma)

    load(Denoiser(interrupted, "mean", guarantees.firm("a mean")))
    assert inpaint.main([*hole(tmp_path), *ENDLESS]) == code
    written = ["a_inpainted.png"] if code == 3 else []
    assert names(tmp_path) == ["a.png", *written, "mask.png"]


FULL = """
import resource, sys
from pathlib import Path
from pnp_recon.errors import OutputError
from pnp_recon.files import atomic_write, split_frame
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the system refuses to write more
try:
    atomic_write(Path(sys.argv[1]), bytes(5000))
except OutputError as error:
    sys.exit(f"{error}")
"""


def test_what_the_system_does_not_write_leaves_the_old_file(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(target)], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot write {target}: ")
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


def test_systems_without_fchmod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fchmod")
    target = tmp_path / "a.txt"
    for text in ("σ", "‖\udce9"):
        atomic_write(target, text)
    assert target.read_text(encoding="utf-8") == "‖\\udce9"
    with pytest.raises(OutputError):
        atomic_write(tmp_path, "σ")
