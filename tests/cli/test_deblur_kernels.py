"""`pnp-deblur`: kernels by name, from files, for every place, and those found in the picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from operators.kernel_fields import rotation
from pnp_recon.cli.deblur import main
from pnp_recon.pictures.files import read_picture
from pnp_recon.report import validate_report
from support.blurred import DONE, SIZE, save
from support.cli import only_line

pytestmark = pytest.mark.usefixtures("tiny_denoiser")


@pytest.mark.parametrize("key", ["[1]", "[:]"])
def test_kernels_of_a_set(tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 3)
    stack = np.random.default_rng(0).random((3, 4, 5))  # an even side as well
    np.savez(tmp_path / "set.npz", psf=stack, other=np.zeros(3))
    args = [str(source), "--sigma", "2.55/255", "--max-iter", "5", *DONE, "--strength", "1"]
    place = f"{tmp_path / 'set.npz'}:psf{key}"
    report = tmp_path / "r"
    assert main([*args, "--kernel", place, "--report", str(report), "--quiet"]) == 0
    assert "padded by zeros to 5×5" in capsys.readouterr().err
    found = json.loads((report / "report.json").read_text(encoding="utf-8"))
    validate_report(found)
    assert found["kernel"]["shape"] == ([5, 5] if key == "[1]" else [3, 5, 5])
    assert found["kernel"]["parameters"]["key"] == f"psf{key}"
    capsys.readouterr()
    args += ["--overwrite", "--kernel"]
    assert main([*args, str(tmp_path / "set.npz")]) == 2
    line = only_line("pnp-deblur", capsys.readouterr().err)
    assert "psf[0]" in line or "FILE:psf" in line
    assert main([*args, f"{tmp_path / 'set.npz'}:psf[3]"]) == 2
    assert "the index 3 is not below 3" in only_line("pnp-deblur", capsys.readouterr().err)
    if key == "[:]":
        grey = save(tmp_path / "g.png", 1)
        assert main([str(grey), *args[1:], place]) == 2
        assert "3 channels, the picture 1" in only_line("pnp-deblur", capsys.readouterr().err)


@pytest.mark.parametrize("boundary", ["valid", "circular"])
@pytest.mark.parametrize("kernel", ["FIELD", "rotation"])
def test_kernels_of_every_place(
    tmp_path: Path, kernel: str, boundary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, report = save(tmp_path / "a.png", 3), tmp_path / "r"
    out = tmp_path / "k.npy"
    args = [str(source), "--sigma", "2.55/255", "--max-iter", "5", *DONE, "--strength", "1"]
    args += ["--boundary", boundary, "--report", str(report), "--kernel-out", str(out)]
    if kernel == "FIELD":
        kernel = str(tmp_path / "field.npy")
        np.save(kernel, np.random.default_rng(0).random((2, 3, 5, 4)))  # an even side as well
        args += ["--kernel", kernel]
    else:
        args += ["--kernel", kernel, "--angle", "9", "--centre", "10.5,-3", "--simulate"]
    assert main(args) == 0
    found = json.loads((report / "report.json").read_text(encoding="utf-8"))
    validate_report(found)
    shape = tuple(found["kernel"]["shape"])
    assert found["kernel"]["parameters"]["kernels"] == f"{shape[1]}×{shape[0]}"
    written = np.load(out)
    assert written.shape == shape
    assert np.allclose(written.sum((-2, -1)), 1)
    assert "the blur kernels, " in (report / "report.html").read_text(encoding="utf-8")
    assert ("padded by zeros to 5×5" in capsys.readouterr().err) is (shape[:2] == (2, 3))
    rows, columns = read_picture(tmp_path / "a_deblurred.png").pixels.shape[-2:]
    lost = shape[2] - 1 if kernel == "rotation" and boundary == "valid" else 0
    assert (rows, columns) == (SIZE[0] - lost, SIZE[1] - lost)
    if kernel == "rotation":  # the kernels of a point that is given are those of that point
        middle = rotation(9.0, rows, columns, (10.5 - lost // 2, -3 - lost // 2), size=shape[2])
        assert np.allclose(written, middle, atol=1e-6)


@pytest.mark.parametrize("kernel", ["trajectory", "gaussian", "disk", "uniform", "FILE"])
def test_every_kernel(tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", 1)
    if kernel == "FILE":
        kernel = str(tmp_path / "k.npy")
        np.save(kernel, np.ones((3, 5)))
    args = [str(source), "--kernel", kernel, "--sigma", "2.55/255", "--max-iter", "5", *DONE]
    args += ["--boundary", "circular"]
    args += {"gaussian": ["--length", "2"], "disk": ["--length", "4"]}.get(kernel, [])
    args += ["--kernel-size", "9"] if kernel in ("trajectory", "uniform") else []
    assert main([*args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["kernel"]
    assert found["name"] in (kernel, "k.npy")
    assert found["origin"] == ("file" if kernel.endswith("npy") else "given")


def test_motion_is_estimated_and_doubt_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.estimation import motion as blind

    source = save(tmp_path / "a.png", 1)
    for confidence, doubted in ((0.9, False), (0.1, True)):
        estimate = blind.MotionEstimate(7.0, 20.0, confidence, "spectrum")
        monkeypatch.setattr(blind, "estimate_motion", lambda *_, e=estimate, **__: e)
        args = [str(source), "--sigma", "0.01", "--max-iter", "5", *DONE, "--overwrite"]
        args += ["--boundary", "circular", "--length", "7"]
        assert main(args) == 0
        out = capsys.readouterr()
        seen = f"length 7 px (given), angle 20° (estimated); confidence {confidence:.2f}"
        assert seen in out.out
        assert ("low confidence" in out.err) is doubted
        assert ("pass --length and --angle" in out.err) is doubted
        assert ("estimate of the motion (angle 20°)" in out.err) is doubted


@pytest.mark.parametrize("given", [[], ["length"], ["angle"]])
def test_what_was_given_of_an_estimate_is_named_in_the_record(
    tmp_path: Path, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.estimation import motion as blind

    source = save(tmp_path / "a.png", 1)
    estimate = blind.MotionEstimate(7.0, 20.0, 0.9, "spectrum")
    monkeypatch.setattr(blind, "estimate_motion", lambda *_, **__: estimate)
    args = [str(source), "--sigma", "0.01", "--max-iter", "5", *DONE, "--quiet"]
    args += ["--boundary", "circular", "--report", str(tmp_path / "report")]
    for name in given:
        args += [f"--{name}", "9"]
    assert main(args) == 0
    kernel = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))["kernel"]
    assert (kernel["origin"], kernel["given"]) == ("estimated", given)
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "estimated from the picture" in page
    assert ("as given)" in page) is bool(given)


def test_a_radius_is_estimated_or_nothing_is_deblurred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.estimation import defocus

    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--kernel", "disk", "--sigma", "0.01", "--max-iter", "5", *DONE]
    args += ["--boundary", "circular"]
    sure = defocus.DefocusEstimate(3.0, 0.9)
    monkeypatch.setattr(defocus, "estimate_defocus", lambda *_: sure)
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "blur: disk: radius 3 px (estimated, confidence 0.90)" in out
    doubtful = defocus.DefocusEstimate(3.0, 0.1)
    monkeypatch.setattr(defocus, "estimate_defocus", lambda *_: doubtful)
    assert main([*args, "--overwrite"]) == 2
    line = only_line("pnp-deblur", capsys.readouterr().err)
    for words in ("no defocus was found", "nothing was deblurred", "--kernel blind", "--length 3"):
        assert words in line
    # A radius that was given is not doubted, and a simulation has one.
    assert main([*args, "--overwrite", "--length", "2"]) == 0
    assert main([*args, "--overwrite", "--simulate"]) == 0


@pytest.mark.parametrize(
    ("kernel", "option"),
    [
        ("gaussian", "--length"),
        ("uniform", "--kernel-size"),
        ("trajectory", "--kernel-size"),
    ],
)
def test_no_size_is_taken_for_known(
    tmp_path: Path, kernel: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--kernel", kernel, "--sigma", "0.01", "--max-iter", "5", *DONE]
    assert main(args) == 2
    line = only_line("pnp-deblur", capsys.readouterr().err)
    assert f"--kernel {kernel} needs {option}" in line
    assert "--kernel blind" in line


@pytest.mark.parametrize("given", [["--length", "0"], ["--length", "-3"], ["--length", "nan"]])
@pytest.mark.parametrize("angle", [[], ["--angle", "30"]])
def test_a_length_that_is_none_is_refused_whatever_is_estimated(
    tmp_path: Path, given: list[str], angle: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png", 1)
    args = [str(source), "--kernel", "motion", "--sigma", "2.55/255", "--max-iter", "5", "--quiet"]
    assert main([*args, *given, *angle]) == 2
    assert "length" in only_line("pnp-deblur", capsys.readouterr().err)
    assert main([*args, "--length", "3", *angle, *DONE, "--strength", "1"]) == 0
