"""`pnp-mri`: simulations, measured scans, what it writes and refuses; the shared run elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from operators.kspace_masks import random_lines
from operators.mri import centred_fft, centred_ifft
from pnp_recon.cli import listing
from pnp_recon.cli.mri import main
from pnp_recon.cli.mri.options import Sampling
from pnp_recon.kspace import head, polynomial_phase, ring_maps, root_sum_of_squares
from pnp_recon.pictures.files import read_picture, write_picture
from pnp_recon.problems.masks import sampling_mask
from pnp_recon.problems.noise import phase_weights
from pnp_recon.report import validate_report
from support.cli import only_line
from support.verified import QUICK, claims

SIDE = 48
FAST = ["--strength", "1", "--tol", "1e-2"]
TV = ["--method", "tv", *FAST]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "head.png"
    write_picture(path, head(SIDE))
    return path


def scan(folder: Path, coils: int = 4, name: str = "scan.npy", sigma: float = 0.0) -> Path:
    """All of k-space of the head with a smooth phase, (coils, H, W) or (H, W)."""
    angle = polynomial_phase(SIDE, SIDE, phase_weights(1)).float()
    x = torch.polar(head(SIDE)[0, 0], angle)
    data = centred_fft(ring_maps(coils, SIDE, SIDE) * x) if coils > 1 else centred_fft(x)
    noise = torch.randn((2, *data.shape), generator=torch.Generator().manual_seed(0))
    values = (7 * (data + sigma * torch.complex(*noise))).numpy()
    if name.endswith(".npy"):
        np.save(folder / name, values)
        return folder / name
    import h5py

    with h5py.File(folder / name, "w") as file:
        file["kspace"] = values[None]
    return folder / name


def run(capsys: pytest.CaptureFixture[str], *args: Any, code: int = 0) -> dict[str, Any]:
    assert main([*map(str, args), "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


# ---- simulations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--coils", "4"], ["--phase", "global"], ["--phase", "none"]])
def test_a_simulation_is_certified_and_better_than_zero_filling(
    picture: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    found = run(capsys, picture, "--simulate", *TV, "--strength", "4", *more)
    before, after = (found["metrics"][when]["psnr"] for when in ("before", "after"))
    assert after > before + 2
    assert found["certificate"]["verdict"].startswith("certified: PDHG")
    assert found["physics"]["parameters"]["measured_share"] == 0.25
    values = np.load(found["output"])
    assert (values.shape, values.dtype) == ((SIDE, SIDE), np.complex64)
    shown = read_picture(picture.with_name("head_reconstructed.png")).pixels[0, 0]
    assert np.allclose(np.abs(values).clip(0, 1), shown, atol=1 / 255)


@pytest.mark.parametrize("kind", Sampling)
def test_every_mask_is_drawn(
    picture: Path, capsys: pytest.CaptureFixture[str], kind: Sampling
) -> None:
    args = ("--simulate", "--method", "zero-filled", "--mask", kind, "--undersampling", "3")
    found = run(capsys, picture, *args, "--seed", "5")
    share = float(sampling_mask(kind.value, (SIDE, SIDE), 3, 5).double().mean())
    assert found["physics"]["parameters"]["measured_share"] == share
    assert found["certificate"]["verdict"].startswith("no guarantee: zero-filled is a formula")
    assert found["metrics"]["after"] == found["metrics"]["before"]


def test_cgls_stops_early_and_rss_sees_no_phase(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coils = ("--simulate", "--coils", "4", "--undersampling", "2", "--method", "cgls")
    found = run(capsys, picture, *coils)
    assert found["metrics"]["after"]["psnr"] > found["metrics"]["before"]["psnr"] + 1
    assert found["status"] == "early_stop"
    assert found["solver"] == "cgls"
    run(capsys, picture, "--simulate", "--method", "rss", "--overwrite")
    values = np.load(picture.with_name("head_reconstructed.npy"))
    assert float(np.abs(values).max()) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--denoiser", "euler_grey"], ["--denoiser", "wavelet"]])
def test_priors_are_certified(
    picture: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    found = run(capsys, picture, "--simulate", "--strength", "1", *more)
    assert found["certificate"]["holds"]
    assert found["metrics"]["after"]["psnr"] > found["metrics"]["before"]["psnr"] + 1
    assert found["solver"] == ("pnp-drs+anderson" if more else "descent")


# ---- scans ---------------------------------------------------------------------------------------


def test_all_of_a_scan_gives_its_picture_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan(tmp_path, name="scan.h5", sigma=0.002)
    found = run(capsys, path, *TV, "--strength", "0.1")
    values = np.abs(np.load(found["output"]))
    assert np.abs(values / 7 - head(SIDE)[0, 0].numpy()).mean() < 0.01
    assert "estimated from the outermost" in found["noise_origin"]
    # Detail at the outermost frequencies of so small a picture counts as noise.
    assert 0.014 < found["physics"]["parameters"]["noise_in_k_space"] < 0.3
    assert found["metrics"]["after"] is None


def test_a_full_scan_is_undersampled_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan(tmp_path)
    args = (path, "--mask", "random", "--undersampling", "2", "--sigma", "0.01")
    found = run(capsys, *args, "--method", "zero-filled")
    truth = root_sum_of_squares(torch.from_numpy(7 * np.abs(head(SIDE)[0].numpy())))
    assert found["physics"]["parameters"]["white"] == pytest.approx(float(truth.max()), rel=1e-4)
    better = run(capsys, *args, *TV, "--strength", "4", "--overwrite")
    assert better["metrics"]["after"]["psnr"] > found["metrics"]["after"]["psnr"] + 2
    np.save(tmp_path / "mask.npy", random_lines((SIDE, SIDE), 2, torch.Generator().manual_seed(0)))
    same = run(
        capsys, path, "--mask", tmp_path / "mask.npy", "--sigma", "0.01", "--method",
        "zero-filled", "--overwrite",
    )  # fmt: skip
    assert same["metrics"] == found["metrics"]


def test_maps_from_a_file_are_normalised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan(tmp_path)
    np.save(tmp_path / "maps.npy", 5 * ring_maps(4, SIDE, SIDE).numpy())
    args = [
        "--maps",
        str(tmp_path / "maps.npy"),
        "--sigma",
        "0.01",
        "--report",
        str(tmp_path / "r"),
    ]
    assert main([str(path), *TV, *args]) == 0
    assert "coil maps: " in (out := capsys.readouterr().out)
    assert "normalised" in out
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    validate_report(report)
    assert [file["role"] for file in report["inputs"]] == ["input", "maps"]
    norms = [c for c in report["certificate"]["constants"] if "MRI" in c["name"]]
    assert norms[0]["value"] == pytest.approx(1, abs=1e-6)
    found = claims(capsys, tmp_path / "r", *QUICK)
    assert [what for what, one in found.items() if one["holds"] is False] == []
    assert found["run: picture"]["holds"]


def test_one_coil_with_a_centre_that_is_not_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = scan(tmp_path, coils=1)
    values = np.load(path)
    values[:, SIDE // 2] = 0
    np.save(path, values)
    assert main([path.name, *TV, "--sigma", "0.01"]) == 0
    out = capsys.readouterr()
    assert "picture: scan_reconstructed.png" in out.out.splitlines()  # as it was typed
    assert "the centre of k-space is not sampled" in out.err
    assert "phase: one for the whole picture" in out.out


def test_a_narrow_window_and_a_swapped_scan_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan(tmp_path, coils=1)
    assert main([str(path), *TV, "--sigma", "0.01", "--scale", "3"]) in (0, 3)
    assert "at the ends of the window" in capsys.readouterr().err
    np.save(tmp_path / "swapped.npy", np.fft.ifftshift(np.load(path)))
    swapped = tmp_path / "swapped.npy"
    assert main([str(swapped), "--method", "zero-filled", "--sigma", "1"]) == 0
    assert "say --zero-frequency corner" in capsys.readouterr().err
    corner = ["--zero-frequency", "corner", "--overwrite"]
    assert main([str(swapped), "--method", "zero-filled", "--sigma", "1", *corner]) == 0
    assert "corner" not in capsys.readouterr().err
    values = np.load(tmp_path / "swapped_reconstructed.npy")
    assert np.allclose(np.abs(values) / 7, head(SIDE)[0, 0], atol=1e-4)


@pytest.mark.parametrize("lines", ["all", "random"])
def test_a_transform_that_began_in_the_pictures_corner_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str
) -> None:
    path = scan(tmp_path, coils=1)
    as_it_is = ["--method", "zero-filled", "--sigma", "1", "--overwrite"]
    values = np.load(path)
    if lines == "random":
        values = values * sampling_mask("random", (SIDE, SIDE), 3, 0).numpy()
    picture = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(values), norm="ortho"))
    np.save(path, values)
    assert main([str(path), *as_it_is]) == 0
    assert "picture-origin" not in capsys.readouterr().err  # silent where all is well
    plain = tmp_path / "plain.npy"
    np.save(plain, np.fft.fftshift(np.fft.fft2(picture, norm="ortho")).astype(np.complex64))
    assert main([str(plain), *as_it_is, "--zero-frequency", "centre"]) == 0
    assert "say --picture-origin corner" in capsys.readouterr().err
    assert main([str(plain), *as_it_is, "--picture-origin", "corner"]) == 0
    assert "corner" not in capsys.readouterr().err
    found = np.load(tmp_path / "plain_reconstructed.npy")
    assert np.allclose(np.abs(found), np.abs(picture), atol=1e-4)


@pytest.mark.parametrize(("kind", "most"), [("random", 30), ("equispaced", 30), ("radial", 24)])
def test_a_mask_without_a_line_beside_the_centre_is_refused(
    kind: str, most: int, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(picture), "--simulate", "--mask", kind, "--method", "zero-filled", "--overwrite"]
    assert main([*args, "--undersampling", str(most + 1)]) == 2
    assert f"expected 1 to {most}, which leaves" in only_line("pnp-mri", capsys.readouterr().err)
    assert main([*args, "--undersampling", str(most)]) == 0  # the twin
    mask = sampling_mask(kind, (SIDE, SIDE), most, 0)  # type: ignore[arg-type]
    assert bool(mask[SIDE // 2, SIDE // 2])
    assert int(mask.any(0).sum()) >= 2


def test_the_map_of_one_coil_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scan(tmp_path, coils=1)
    turned = 2j * np.ones((SIDE, SIDE), np.complex64)
    np.save(tmp_path / "map.npy", turned)
    maps = ["--maps", str(tmp_path / "map.npy"), "--phase", "none"]
    assert main([str(path), "--method", "zero-filled", "--sigma", "1", *maps]) == 0
    assert "coil maps: " in capsys.readouterr().out
    found = np.load(tmp_path / "scan_reconstructed.npy")
    plain = centred_ifft(torch.from_numpy(np.load(path))).numpy()
    assert np.allclose(1j * found, plain, atol=1e-4)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--mask", "spiral"], "--mask is spiral, which is no file"),
        (["--mask", "mask.png"], "the mask mask.png has the size (3, 4)"),
        (["--mask", "mask.png", "--undersampling", "2"], "--undersampling does not go with a mask"),
        (["--undersampling", "2"], "add --mask random"),
        (["--mask", "random", "--undersampling", "0.5"], "--undersampling is 0.5"),
        (["--maps", "maps.npy"], "--maps is maps.npy, which is no file"),
        (["--maps", "wrong.npy"], "coil maps in wrong.npy have the shape"),
        (["--coils", "4"], "--coils does not go with a measured scan"),
        (["--scale", "nan"], "--scale is nan"),
        (["--sigma", "0"], "--sigma is '0'"),
        (["--slice", "1"], "--slice is 1"),
        (["--order", "ab"], "in the order 'ab'"),
        (["--simulate", "--order", "yx"], "--order does not go with --simulate"),
        (["--simulate", "--sigma", "7"], "did you mean 7/255"),
        (["--denoiser", "euler_grey", "--method", "rss"], "--denoiser does not go with"),
        (["--model", "equivariant_ct"], "equivariant_ct"),
        (["-o", "b.jpg"], ".npy, .png"),
        (["--reference", "wrong.npy"], "the reference wrong.npy has the shape (2, 2)"),
    ],
)
def test_bad_options(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    scan(tmp_path, coils=1)
    np.save("wrong.npy", np.ones((2, 2), np.complex64))
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save("mask.png")
    assert main(["scan.npy", *args]) == 2
    assert words in only_line("pnp-mri", capsys.readouterr().err)
    assert not Path("scan_reconstructed.npy").exists()


def test_coils_without_a_centre_need_maps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scan(tmp_path)
    values = np.load(path)
    values[..., SIDE // 2] = 0
    np.save(path, values)
    assert main([str(path), "--sigma", "0.01"]) == 2
    assert "give the maps (--maps FILE)" in only_line("pnp-mri", capsys.readouterr().err)


def test_the_listing_names_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.main(["list"]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("  MRI\t")]
    assert "norm 1, exact, for a single coil" in line


def test_a_picture_is_no_k_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((16, 16), 128, np.uint8)).save(path)
    assert main([str(path)]) == 2
    assert "add --simulate" in only_line("pnp-mri", capsys.readouterr().err)
