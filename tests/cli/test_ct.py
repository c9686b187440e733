"""`pnp-ct`: geometry, window, results; the shared run is tested by pnp-deblur."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from operators import attenuation
from operators.filtered_back_projection import WINDOWS
from operators.scan_geometry import KINDS
from pnp_recon.cli.ct import main
from pnp_recon.cli.ct.options import Beam, Filter
from pnp_recon.report import validate_report
from support.cli import only_line
from support.ct_files import SIZE, lines, save_archive, save_counts, save_lines, save_yaml

pytestmark = pytest.mark.usefixtures("tiny_denoiser")

FAST = ["--max-iter", "5", "--tol", "0.9"]
FBP = ["--method", "fbp"]


def run_json(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, dict]:
    code = main([*map(str, args), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out)


# ---- names that are kept without torch ------------------------------------------------------


def test_names_are_those_of_the_operators() -> None:
    assert {one.value for one in Filter} == set(WINDOWS)
    assert {one.kind for one in Beam} < set(KINDS)


# ---- what it writes -----------------------------------------------------------------------


def test_line_integrals_by_filtered_back_projection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_lines(tmp_path / "a.npz")
    assert main([str(source), *FBP, "--detector-mm", "0.5"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    assert "parallel beam, 48 views from 0° to 176.2°, 64 detector pixels of 0.5 mm" in out.out
    assert "computed by a formula" in out.out
    assert "no convergence to prove" in out.out
    found = np.load(tmp_path / "a_reconstructed.npy")
    assert (found.shape, found.dtype) == ((SIZE, SIZE), np.float32)
    # 0.010 per detector pixel of half a millimetre.
    assert np.median(found[20:28, 40:50]) == pytest.approx(0.02, rel=0.05)
    picture = np.asarray(Image.open(tmp_path / "a_reconstructed.png"))
    assert (picture.shape, picture.dtype) == ((SIZE, SIZE), np.uint16)


def test_lengths_are_detector_pixels_where_nothing_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run_json(capsys, save_lines(tmp_path / "a.npz"), *FBP)
    assert code == 0
    assert found["physics"]["parameters"]["unit"] == "1/pixel"
    values = np.load(tmp_path / "a_reconstructed.npy")
    assert np.median(values[20:28, 40:50]) == pytest.approx(0.01, rel=0.05)


def test_counts_of_two_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_counts(tmp_path / "a.h5")
    target = tmp_path / "out.tif"
    assert main([str(source), *FAST, "-o", str(target), "--report", str(tmp_path / "r")]) == 0
    out = capsys.readouterr()
    assert "certified if denoiser mean" in out.out
    assert "rotation axis: detector pixel 34." in out.out
    assert "each ray weighs as its photons say" in out.out
    assert tifffile.imread(target).shape == (2, SIZE, SIZE)
    assert tifffile.imread(target).dtype == np.float32
    assert np.asarray(Image.open(tmp_path / "out.png")).shape == (SIZE, SIZE)
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    validate_report(report)
    assert report["physics"]["parameters"]["axis_offset_mm"] == pytest.approx(3, abs=0.1)
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Values are shown and denoised in the window" in page
    for word in ("blur", "camera"):
        assert word not in page


def test_many_slices_are_solved_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.cli.ct import case as ct_case

    source = save_lines(tmp_path / "a.npz", 3)
    results = {}
    for at_once in (2, 8):
        monkeypatch.setattr(ct_case, "AT_ONCE", {"cpu": at_once, "cuda": at_once})
        target = tmp_path / f"{at_once}.npy"
        table = tmp_path / f"{at_once}.csv"
        args = (source, "--max-iter", 8, "--no-picture", "--save-residuals", table)
        _, found = run_json(capsys, *args, "--sigma", 0.05, "-o", target)
        assert found["certificate"]["holds"]
        results[at_once] = np.load(target)
        rows = table.read_text().splitlines()
        assert len(rows) == 1 + 3 * found["iterations"]
    assert results[2].shape == (3, SIZE, SIZE)
    np.testing.assert_allclose(results[2], results[8], atol=1e-4)
    assert not (tmp_path / "2.png").exists()


@pytest.mark.parametrize("chosen", ["1", "1:"])
def test_slices(tmp_path: Path, chosen: str) -> None:
    source = save_lines(tmp_path / "a.npz", 3)
    assert main([str(source), *FBP, "--quiet"]) == 0
    assert main([str(source), *FBP, "-q", "--slice", chosen, "-o", str(tmp_path / "b.npy")]) == 0
    first, colon, last = chosen.partition(":")
    part = slice(int(first or 0), int(last) if last else 3 if colon else int(first) + 1)
    whole = np.load(tmp_path / "a_reconstructed.npy")
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), np.squeeze(whole[part]), atol=1e-7)


def test_geometry_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Angles of the file count, not those of the scan; lengths are those of the file."""
    np.save(tmp_path / "a.npy", lines(1)[0])
    shape = save_yaml(tmp_path / "g.yaml", axis_offset=0.0)
    code, found = run_json(capsys, tmp_path / "a.npy", *FBP, "--geometry", shape)
    assert code == 0
    assert found["physics"]["parameters"]["detector_mm"] == 0.5
    values = np.load(tmp_path / "a_reconstructed.npy")
    assert np.median(values[20:28, 40:50]) == pytest.approx(0.02, rel=0.05)


def test_fan_beam_counts_and_a_smaller_slice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.random.default_rng(1).poisson(1e4 * np.exp(-lines(1)[0]))
    np.save(tmp_path / "a.npy", counts.astype(np.float32))
    flags = ["--beam", "fan-curved", "--source-radius", 200, "--detector-radius", 100]
    args = [*flags, "--span", 360, "--incident", 1e4, "--size", 40, *FAST]
    code, found = run_json(capsys, tmp_path / "a.npy", *args)
    assert code == 0
    assert found["operator"] == "fan_curved ray transform"
    assert found["physics"]["parameters"]["pixel_mm"] == pytest.approx(2 / 3)
    assert np.load(tmp_path / "a_reconstructed.npy").shape == (40, 40)


def test_axis_is_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found and given agree; with the centre taken instead, the slice is another one."""
    source = save_counts(tmp_path / "a.h5", 1)
    values = {}
    for axis in ("auto", "34.5", "center"):
        target = tmp_path / f"{axis}.npy"
        assert main([str(source), *FBP, "--axis", axis, "-o", str(target), "-q"]) == 0
        values[axis] = np.load(target)
    spread = values["34.5"].std()
    assert np.abs(values["auto"] - values["34.5"]).mean() < 0.1 * spread
    assert np.abs(values["center"] - values["34.5"]).mean() > 0.15 * spread


def test_window_and_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_lines(tmp_path / "a.npz")
    base = [source, *FBP, "--detector-mm", 0.5]
    _, mu = run_json(capsys, *base, "--window", "0,0.05", "-o", tmp_path / "mu.npy")
    _, hu = run_json(
        capsys, *base, "--unit", "hu", "--window", "-1000,1427.18", "-o", tmp_path / "hu.npy"
    )
    assert mu["physics"]["parameters"]["window_high"] == pytest.approx(0.05)
    assert hu["physics"]["parameters"]["unit"] == "HU"
    np.testing.assert_allclose(
        attenuation(np.load(tmp_path / "hu.npy")), np.load(tmp_path / "mu.npy"), atol=1e-6
    )
    shown = [np.asarray(Image.open(tmp_path / f"{name}.png")) / 65535 for name in ("mu", "hu")]
    np.testing.assert_allclose(*shown, atol=1e-4)
    expected = np.clip(np.load(tmp_path / "mu.npy") / 0.05, 0, 1)
    np.testing.assert_allclose(shown[0], expected, atol=1e-4)


# ---- simulations --------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [[], ["--noise", "0.02"], ["--photons", "3e4"]])
def test_simulation_compares(
    tmp_path: Path, noise: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_archive(tmp_path / "a.npz")
    args = [source, "--simulate", "--index", 1, "--views", 40, *noise, "--max-iter", 20]
    args += ["--strength", 1]  # its denoiser is a mean, whose best strength is another matter
    code, found = run_json(capsys, *args, "--tol", 1e-3, "--seed", 3)
    assert code == 0
    assert found["metrics"]["after"]["psnr"] > found["metrics"]["before"]["psnr"] + 0.5
    assert found["noise_origin"] == "simulated"
    numbers = found["physics"]["parameters"]
    assert (numbers["views"], numbers["unit"], numbers["pixel_mm"]) == (40, "HU", 1.25)
    values = np.load(tmp_path / "a_reconstructed.npy")
    assert np.median(values[28:36, 14:24]) == pytest.approx(40, abs=40)
    assert -1024 <= values.min() < -900


@pytest.mark.parametrize("beam", ["fan-flat", "fan-curved"])
def test_simulation_of_a_picture_in_a_fan(
    tmp_path: Path, beam: str, capsys: pytest.CaptureFixture[str]
) -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    values = np.where(x**2 + y**2 < 26**2, 140, 0).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    flags = ["--beam", beam, "--source-radius", 300, "--detector-radius", 100]
    args = ["--simulate", "--noise", 0, "--views", 90, *flags, *FBP, "-o", tmp_path / "b.png"]
    code, found = run_json(capsys, tmp_path / "a.png", *args)
    assert code == 0
    assert found["metrics"]["after"]["psnr"] > 25
    shown = np.asarray(Image.open(tmp_path / "b.png")) / 65535
    assert np.median(shown[24:40, 24:40]) == pytest.approx(140 / 255, abs=0.02)


def test_seed_and_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_archive(tmp_path / "a.npz")
    args = ["--simulate", "--index", "0", *FBP, "-q", "--no-picture"]
    for name, seed in (("b", "1"), ("c", "1"), ("d", "2")):
        assert main([str(source), *args, "--seed", seed, "-o", str(tmp_path / f"{name}.npy")]) == 0
    b, c, d = (np.load(tmp_path / f"{name}.npy") for name in "bcd")
    np.testing.assert_array_equal(b, c)
    assert not np.array_equal(b, d)
    scan = save_lines(tmp_path / "s.npz")
    truth = tmp_path / "truth.npy"
    assert main([str(scan), *FBP, "-q", "-o", str(truth)]) == 0
    capsys.readouterr()
    _, found = run_json(capsys, scan, *FBP, "--reference", truth)
    assert found["metrics"]["after"]["psnr"] > 100


def test_arrays_to_simulate_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = (x**2 + y**2 < 26**2).astype(np.float32)
    args = ["--simulate", "--noise", "0", "--views", "90", *FBP, "-q", "--overwrite"]
    source, out = tmp_path / "a.npy", tmp_path / "b.npy"
    for values, unit in ((1040 * disc - 1024, []), (0.02 * disc, ["--unit", "mu"])):
        np.save(source, values)
        assert main([str(source), *args, *unit, "-o", str(out)]) == 0
        # Also not of padding, which lies at the very end of the window.
        assert capsys.readouterr().err == ""
        assert np.linalg.norm(np.load(out) - values) < 0.2 * np.linalg.norm(values)
    assert main([str(source), *args, "-o", str(out)]) == 2
    assert "give --unit mu" in capsys.readouterr().err


# ---- methods ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tv", "sirt", "cgls"])
def test_other_methods(tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_archive(tmp_path / "a.npz")
    args = [source, "--simulate", "--index", 0, "--method", method]
    args += ["--tol", 1e-2] if method == "tv" else ["--max-iter", 10]
    code, found = run_json(capsys, *args)
    assert code == 0
    assert found["status"] == ("converged" if method == "tv" else "early_stop")
    assert found["method"] == method
    assert found["certificate"]["holds"]
    assert found["metrics"]["after"]["psnr"] > 22


def test_certificate_of_a_formula_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_lines(tmp_path / "a.npz")
    assert main([str(source), *FBP, "--require-certificate"]) == 4
    assert "no convergence to prove" in only_line("pnp-ct", capsys.readouterr().err.strip())
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
