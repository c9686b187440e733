"""`pnp-ct`: what it refuses and what it warns of, in one line; what its help loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from operators import OperatorError
from operators._odl import import_tomo
from pnp_recon.cli.ct import main
from pnp_recon.cli.ct.options import CtMethod, CtOptions
from pnp_recon.errors import InputError
from support.cli import only_line
from support.ct_files import lines, save_archive, save_lines, save_yaml

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

FBP = ["--method", "fbp"]


# ---- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--method", "art"], "--method"),
        (["--beam", "cone"], "--beam"),
        (["--geometry", "missing.yaml"], "no file"),
        (["--geometry", "g.yaml", "--views", "48"], "--views does not go with --geometry"),
        (["--beam", "fan-flat", "--source-radius", "9"], "--detector-radius"),
        (["--source-radius", "9"], "--source-radius does not go with a parallel beam"),
        (["--views", "47"], "holds 48 views"),
        (["--span", "nan"], "--span is nan"),
        (["--detector-mm", "0"], "above 0"),
        (["--size", "100000"], "of memory"),
        (["--axis", "left"], "expected auto, center"),
        (["--axis", "64"], "pixels 0 to 63"),
        (["--cutoff", "1.5"], "at most 1"),
        (["--slice", "2"], "holds 1 slices"),
        (["--slice", "a:b"], "such as 0:10"),
        (["--key", "nothing"], "sinogram"),
        (["--order", "xyz"], "order"),
        (["--incident", "0"], "--incident"),
        (["--kind", "counts", "--incident", "-3"], "--incident"),
        (["--weighted"], "needs counts"),
        (["--weighted", "--method", "fbp"], "--weighted does not go with --method fbp"),
        (["--denoiser", "euler_grey", "--method", "sirt"], "--denoiser does not go with"),
        (["--rings", "--method", "sirt"], "take --method cgls, or --solver landweber"),
        (["--rings", "--solver", "sirt"], "--rings does not go with --solver sirt"),
        (["--noise", "0.1"], "add --simulate"),
        (["--simulate", "--sigma", "0.1"], "--sigma does not go with --simulate"),
        (["--simulate", "--noise", "0.1", "--photons", "10"], "--noise does not go with --photons"),
        (["--simulate", "--axis", "auto"], "--axis auto"),
        (["--window", "3"], "two numbers"),
        (["--window", "5,3"], "lower one first"),
        (["--unit", "hu"], "needs lengths in mm"),
        (["-o", "b.jpg"], ".npy, .tif"),
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
    save_lines(Path("a.npz"))
    save_yaml(Path("g.yaml"))
    source = str(save_archive(Path("s.npz"))) if "--simulate" in args else "a.npz"
    index = ["--index", "0"] if "--simulate" in args else []
    assert main([source, *index, *args]) == 2
    assert words in only_line("pnp-ct", capsys.readouterr().err)
    assert not list(tmp_path.glob("*_reconstructed*"))


def test_stripes_are_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="--rings"):
        CtOptions(["none.npz"], rings=True, method=CtMethod.sirt).check()
    CtOptions(["none.npz"], rings=True, method=CtMethod.cgls).check()  # the twin


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"detector_count": 80}, ("says 80 detector pixels", "holds 64")),
        ({"n_angles": 50}, ("says 50 views", "holds 48")),
        ({"n_angles": None, "angles_deg": [0, float("nan")]}, ("finite",)),
        ({"kind": "spiral"}, ("spiral",)),
    ],
)
def test_bad_geometry(
    tmp_path: Path,
    fields: dict[str, object],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shape = save_yaml(tmp_path / "g.yaml", **fields)
    said = {k: v for k, v in yaml.safe_load(shape.read_text()).items() if v is not None}
    shape.write_text(yaml.safe_dump(said))
    assert main([str(save_lines(tmp_path / "a.npz")), "--geometry", str(shape)]) == 2
    line = only_line("pnp-ct", capsys.readouterr().err)
    assert "g.yaml" in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("name", "arrays", "words"),
    [
        ("a.npz", {"sinogram": np.full((4, 8), np.nan, np.float32)}, "not finite"),
        ("a.npz", {"sinogram": np.ones((4, 8)), "angles": np.full(4, np.inf)}, "not finite"),
        ("a.npz", {"sinogram": np.ones((4, 8)), "angles": np.zeros(5)}, "5 angles"),
        ("a.npz", {"sinogram": -np.ones((1, 4, 8)), "flat": np.ones((1, 8))}, "negative"),
        ("a.npz", {"one": np.ones((4, 8)), "other": np.ones((4, 8))}, "several arrays"),
        ("a.npy", {}, "geometry of"),
        ("a.xyz", {}, "ends in .xyz"),
        ("a.dcm", {}, "add --simulate"),
        ("a.png", {}, "add --simulate"),
        ("a.h5", {}, "cannot be read"),
        ("none.npz", {}, "does not exist"),
    ],
)
def test_bad_files(
    tmp_path: Path,
    name: str,
    arrays: dict[str, np.ndarray],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, lines(1)[0])
    elif arrays:
        np.savez(path, **arrays)
    elif name != "none.npz":
        path.write_bytes(b"no scan at all")
    assert main([str(path)]) == 2
    assert words in only_line("pnp-ct", capsys.readouterr().err)


def test_results_have_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_lines(tmp_path / "a.npz", 2)
    picture = tmp_path / "a_reconstructed.png"
    picture.write_bytes(b"mine")
    assert main([str(source), *FBP]) == 2
    assert "a_reconstructed.png: it exists" in only_line("pnp-ct", capsys.readouterr().err)
    assert picture.read_bytes() == b"mine"
    assert not (tmp_path / "a_reconstructed.npy").exists()
    assert main([str(source), *FBP, "-o", str(tmp_path / "b.png")]) == 2
    assert "give --slice" in only_line("pnp-ct", capsys.readouterr().err)
    assert main([str(source), *FBP, "--slice", "1", "-o", str(tmp_path / "b.png"), "-q"]) == 0


def test_cone_beam_needs_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is there")
    shape = save_yaml(
        tmp_path / "g.yaml", kind="cone", source_radius=100, detector_radius=50, detector_rows=2
    )
    source = save_lines(tmp_path / "a.npz", 2)
    for more in ([], ["--slices", "all"]):
        assert main([str(source), "--geometry", str(shape), *FBP, *more]) == 2
        said = only_line("pnp-ct", capsys.readouterr().err)
        assert "needs projectors in three dimensions" in said
        assert "CUDA" in said
        assert "--beam fan-flat" in said


def test_cone_beam_on_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        import_tomo("astra_cuda")
    except OperatorError as error:
        pytest.skip(str(error))
    shape = save_yaml(
        tmp_path / "g.yaml", kind="cone", source_radius=100, detector_radius=50, detector_rows=4
    )
    source, out = save_lines(tmp_path / "a.npz", 4), tmp_path / "o.npy"
    assert main([str(source), "--geometry", str(shape), *FBP, "-q", "-o", str(out)]) == 0
    assert np.isfinite(np.load(out)).all()
    assert main([str(source), "--geometry", str(shape), *FBP, "--slices", "all"]) == 2
    assert "--slices does not go with a cone beam" in only_line("pnp-ct", capsys.readouterr().err)


def test_without_astra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from odl.applications import tomo

    monkeypatch.setattr(tomo, "ASTRA_AVAILABLE", False)
    source, report = str(save_lines(tmp_path / "a.npz")), str(tmp_path / "report")
    # The picture beside the result in a report is made with the operator, the formula without it.
    assert main([source, *FBP, "--report", report]) == 2
    assert "install pnp-recon[ct]" in only_line("pnp-ct", capsys.readouterr().err)
    assert main([source, *FBP, "-q"]) == 0


def test_values_outside_the_window_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_archive(tmp_path / "a.npz")
    args = ["--simulate", "--index", "0", *FBP, "--window", "-1024,300", "-q"]
    assert main([str(source), *args]) == 0
    assert "lies outside the window" in capsys.readouterr().err


def test_angles_under_another_name_can_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, sinogram=lines(1)[0], turns=np.arange(lines(1).shape[1]))
    assert main([str(path)]) == 2
    assert "--angles-key NAME" in only_line("pnp-ct", capsys.readouterr().err)
    np.save(tmp_path / "a.npy", lines(1)[0])
    assert main([str(tmp_path / "a.npy")]) == 2
    assert "--angles-key" not in capsys.readouterr().err
