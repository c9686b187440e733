"""--model: reconstruction networks in the commands, in the list, and in pnp-train check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from operators import attenuation, parallel_beam
from pnp_recon.cli import ct, deblur, inpaint, listing, train
from pnp_recon.files import sha256_of
from pnp_recon.models.export import export as export_model
from pnp_recon.report import validate_report
from support.cli import only_line
from support.ct_files import SIZE, VIEWS, save_archive, save_counts, save_lines
from support.unrolled import random_network, small

VIEWS_TRAINED = 20


def export(folder: Path, name: str, network: dict[str, Any], **trained_on: Any) -> Path:
    tiny = random_network(small(**network), torch.float32)
    return export_model(tiny, folder, name, trained_on, {})


def export_ct(folder: Path, **changes: Any) -> Path:
    """For the simulated scans of `save_archive`."""
    known: dict[str, Any] = {
        "operator": "RayTransform",
        "geometry": parallel_beam(VIEWS_TRAINED, SIZE, pixel_mm=1.5).to_dict(),
        "image_shape": [1, SIZE, SIZE],
        "window_hu": [-1024, 1500],
        "incident": 1e4,
        "other_geometry": "refuse",
    }
    return export(folder, "tiny_ct", {"depth": 2}, **{**known, **changes})


def simulate(folder: Path, *args: object) -> list[str]:
    """Of the first slice, with as many views as `export_ct` is for unless `args` say."""
    source = folder / "slices.npz"
    if not source.exists():
        save_archive(source)
    views = () if "--views" in args else ("--views", VIEWS_TRAINED)
    given = (source, "--simulate", "--index", 0, "--photons", 1e4, *views, *args)
    return [str(one) for one in given]


def run_json(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict]:
    code = ct.main([*args, "--json"])
    return code, json.loads(capsys.readouterr().out)


# ---- what it writes -----------------------------------------------------------------------------


def test_a_simulated_scan_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = export_ct(tmp_path)
    folder = tmp_path / "report"
    assert ct.main([*simulate(tmp_path, "--model", card), "--report", str(folder)]) == 0
    out = capsys.readouterr()
    assert "model: tiny_ct, trained for RayTransform, parallel beam with 20 views" in out.out
    assert "window: -1024 to 1500 HU" in out.out
    assert "computed in a fixed number of steps" in out.out
    assert "2 iterations" in out.out
    assert "quality: PSNR" in out.out
    assert "no guarantee: 2 learned iterations" in out.out
    assert "equivariant under turns by 90° (measured: relative error" in out.out
    assert "certified" not in out.out
    assert "not trained for" not in out.err
    values = np.load(tmp_path / "slices_reconstructed.npy")
    assert values.shape == (SIZE, SIZE)
    assert -1024 <= values.min() <= values.max() <= 1500
    report = json.loads((folder / "report.json").read_text())
    validate_report(report)
    assert report["denoiser"]["name"] == "tiny_ct"
    assert report["denoiser"]["kind"] == "reconstruction network"
    assert report["denoiser"]["sha256"] == sha256_of(card.with_suffix(".safetensors"))
    assert not report["certificate"]["proven"]
    assert report["status"]["name"] == "fixed_depth"
    assert report["status"]["iterations"] == len(report["history"]["residuals"]) == 2
    assert report["solver"]["name"] == "learned-proximal-gradient"
    assert report["solver"]["parameters"]["equivariance_error"] < 1e-5
    assert report["options"]["model"] == str(card)
    assert report["metrics"]["after"]["psnr"] > 0
    page = (folder / "report.html").read_text()
    for words in ("No guarantee", "The network tiny_ct then made the picture in 2 learned steps"):
        assert words in page
    assert "Denoiser</dt>" not in page
    rows = (folder / "residuals.csv").read_text().splitlines()
    assert len(rows) == 1 + 2


def test_the_numbers_are_those_of_the_network(tmp_path: Path) -> None:
    """By hand: the same scan without noise, in the window, through the network."""
    from operators import RayTransform
    from pnp_recon import load_unrolled
    from pnp_recon.scans import hounsfield_window, read_slice

    card = export_ct(tmp_path)
    args = simulate(tmp_path, "--model", card, "--unit", "mu", "-q")
    args[args.index("--photons") : args.index("--photons") + 2] = ["--noise", "0"]
    assert ct.main(args) == 0
    truth = attenuation(read_slice(tmp_path / "slices.npz", 0).values)
    A = RayTransform(parallel_beam(VIEWS_TRAINED, SIZE, pixel_mm=1.5), (1, SIZE, SIZE))
    window = hounsfield_window()
    with torch.no_grad():
        found = load_unrolled(str(card)).network(window.measurements(A, A.A(truth)), A)
    expected = window.from_unit(found.clamp(0, 1))[0, 0].numpy()
    np.testing.assert_allclose(np.load(tmp_path / "slices_reconstructed.npy"), expected, atol=1e-6)


def test_a_stack_of_measured_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = parallel_beam(VIEWS, SIZE, detector_mm=1.0).to_dict() | {"detector_count": SIZE}
    card = export_ct(tmp_path, geometry=scan, other_geometry="warn")
    source = save_lines(tmp_path / "a.npz", 3)
    with_model = (str(source), "--model", str(card))
    code, found = run_json(capsys, *with_model, "--detector-mm", "1")
    assert code == 0
    assert found["prior_kind"] == "reconstruction network"
    assert found["notes"] == []
    assert np.load(tmp_path / "a_reconstructed.npy").shape == (3, SIZE, SIZE)
    assert ct.main([*with_model, "--overwrite"]) == 2
    assert "needs lengths in mm; give --detector-mm" in only_line("pnp-ct", capsys.readouterr().err)


def test_counts_are_not_weighted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = export_ct(tmp_path, geometry=None)
    source = save_counts(tmp_path / "a.h5")
    assert ct.main([str(source), "--model", str(card), "--detector-mm", "1"]) == 0
    assert "each ray weighs" not in capsys.readouterr().out


# ---- what it refuses ----------------------------------------------------------------------------


def test_another_geometry_as_the_card_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = export_ct(tmp_path)
    assert ct.main(simulate(tmp_path, "--model", card, "--views", 30)) == 2
    message = only_line("pnp-ct", capsys.readouterr().err)
    assert "refuses this one: 30 views instead of 20; measure as it was trained" in message
    assert not (tmp_path / "slices_reconstructed.npy").exists()
    card = export_ct(tmp_path, other_geometry="warn")
    args = simulate(tmp_path, "--model", card, "--views", 30, "--window", "-200,300")
    code, found = run_json(capsys, *args, "--report", str(tmp_path / "r"))
    assert code == 0
    for words in ("30 views instead of 20", "a window of -200 to 300 HU instead of -1024 to 1500"):
        assert any(words in note for note in found["notes"])
    assert "30 views instead of 20" in found["certificate"]["verdict"]
    assert "30 views instead of 20" in (tmp_path / "r" / "report.html").read_text()


def test_another_dose_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = simulate(tmp_path, "--model", export_ct(tmp_path))
    args[args.index("10000.0")] = "100"
    code, found = run_json(capsys, *args)
    assert code == 0
    assert any("100 photons for each ray" in note for note in found["notes"])


@pytest.mark.parametrize(
    "args",
    [
        ["--method", "fbp"],
        ["--method", "tv"],
        ["--denoiser", "euler_grey"],
        ["--solver", "pdhg"],
        ["--acceleration", "none"],
        ["--strength", "2"],
        ["--weight", "2"],
        ["--step", "0.1"],
        ["--max-iter", "5"],
        ["--tol", "0.1"],
        ["--time-limit", "3"],
        ["--weighted"],
    ],
)
def test_settings_of_an_iteration_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    assert ct.main([*simulate(tmp_path, "--model", "any"), *args]) == 2
    message = only_line("pnp-ct", capsys.readouterr().err)
    assert f"{' '.join(args[:2]) if args[0] == '--method' else args[0]} does not go" in message


def test_a_certificate_cannot_be_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = simulate(tmp_path, "--model", export_ct(tmp_path), "--require-certificate")
    assert ct.main(args) == 4
    message = only_line("pnp-ct", capsys.readouterr().err)
    assert "tiny_ct has none: no guarantee: 2 learned iterations" in message
    assert not (tmp_path / "slices_reconstructed.npy").exists()


def test_the_two_kinds_of_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ct.main(simulate(tmp_path, "--model", "euler_grey")) == 2
    assert "euler_grey is a denoiser" in only_line("pnp-ct", capsys.readouterr().err)
    assert ct.main(simulate(tmp_path, "--denoiser", export_ct(tmp_path))) == 2
    message = only_line("pnp-ct", capsys.readouterr().err)
    assert "tiny_ct is a reconstruction network" in message
    assert "pnp-ct --model" in message
    assert ct.main(simulate(tmp_path, "--model", "nobody")) == 2
    assert "no model 'nobody'" in only_line("pnp-ct", capsys.readouterr().err)


# ---- the other commands -------------------------------------------------------------------------


def save_picture(path: Path) -> Path:
    wave = 128 + 100 * np.sin(np.arange(32)[:, None] / 3) * np.cos(np.arange(24) / 4)
    Image.fromarray(wave.astype(np.uint8)).save(path)
    return path


def test_deblurring_and_inpainting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_picture(tmp_path / "a.png")
    shape = [1, 32, 24]
    blur = export(tmp_path, "blur", {"depth": 2}, operator="Convolution", image_shape=shape)
    hole = export(tmp_path, "hole", {"depth": 2}, operator="Inpainting", image_shape=shape)
    first = [str(source), "--simulate", "--kernel", "gaussian", "--model", str(blur)]
    assert deblur.main(first) == 0
    assert "no guarantee: 2 learned iterations" in capsys.readouterr().out
    second = [str(source), "--simulate", "--model"]
    assert inpaint.main([*second, str(hole)]) == 0
    assert "no guarantee: 2 learned iterations" in capsys.readouterr().out
    assert inpaint.main([*second, str(blur), "--overwrite"]) == 2
    message = only_line("pnp-inpaint", capsys.readouterr().err)
    assert "network for Convolution and pictures of 1 channels, found Inpainting" in message


# ---- the list and the check ---------------------------------------------------------------------


def test_the_list_shows_what_a_model_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.models import store

    export_ct(tmp_path)
    monkeypatch.setattr(store, "shipped", lambda _: tmp_path)
    assert listing.main(["list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["models"]
    assert entry["name"] == "tiny_ct"
    for words in ("UnrolledNetwork", "group C4", "2 iterations", "20 views", "-1024 to 1500 HU"):
        assert words in entry["what"]
    assert entry["guarantee"].startswith("no guarantee: 2 learned iterations")


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = export_ct(tmp_path)
    assert train.main(["check", str(card)]) == 0
    out = capsys.readouterr().out
    for words in ("sha256", "no certificate: no guarantee", "equivariance error"):
        assert words in out
    fields = json.loads(card.read_text())
    fields["parameters"] += 1
    card.write_text(json.dumps(fields))
    assert train.main(["check", str(card), "--quiet"]) == 4
    assert "the card of tiny_ct does not hold: parameters" in capsys.readouterr().err
    card.with_suffix(".safetensors").write_bytes(b"\0" * 100)
    assert train.main(["check", str(card)]) == 2
    assert "SHA-256" in capsys.readouterr().err
