"""`pnp-ct` on scans that are not what they look like: refused in one line, or said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from operators import RayTransform, parallel_beam
from pnp_recon.cli.ct import main
from support.cli import only_line
from support.ct_files import SIZE, VIEWS, lines
from support.scans import half_turn, sinogram, write_exchange

FBP = ["--method", "fbp", "-q", "--no-picture"]


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    code = main([*map(str, args), *FBP])
    return code, capsys.readouterr().err


def test_radians_by_their_name_degrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, sinogram=lines()[0], theta=half_turn(VIEWS).numpy())
    code, said = run(capsys, path)
    assert code == 2
    assert "--angle-unit rad" in only_line("pnp-ct", said)
    assert run(capsys, path, "--angle-unit", "rad") == (0, "")


def test_a_square_sinogram_on_its_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, sinogram(half_turn(SIZE), SIZE, 31.5)[0].T.float().numpy())
    code, said = run(capsys, path, "--views", SIZE)
    assert code == 2
    assert "say --order da" in only_line("pnp-ct", said)
    assert run(capsys, path, "--views", SIZE, "--order", "da")[0] == 0
    # In a fan, views do see other masses.
    fan = ["--beam", "fan-flat", "--source-radius", 200, "--detector-radius", 100]
    assert run(capsys, path, *fan, "--overwrite")[0] == 2  # needs its views
    assert run(capsys, path, *fan, "--views", SIZE, "--overwrite")[0] == 0


def test_counts_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, (1000 * np.exp(-lines()[0])).astype(np.uint16))
    code, said = run(capsys, path, "--views", VIEWS)
    assert code == 2
    assert "say --incident N" in only_line("pnp-ct", said)
    assert run(capsys, path, "--views", VIEWS, "--incident", 1000)[0] == 0


def test_a_saturated_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = np.clip(8e4 * np.exp(-lines()), 0, 65535).astype(np.uint16)
    path = write_exchange(
        tmp_path / "a.h5",
        data=counts.transpose(1, 0, 2),
        data_white=np.full((3, 1, SIZE), 65535, np.uint16),
        theta=np.rad2deg(half_turn(VIEWS).numpy()),
    )
    code, said = run(capsys, path)
    assert code == 0
    assert "saturated" in said


def test_frames_of_nxtomo_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import h5py

    key = np.r_[np.ones(2), np.zeros(VIEWS), 2].astype(int)
    counts = 1000 * np.exp(-lines())[0][:, None] + 10
    stack = np.full((len(key), 1, SIZE), 1010.0)
    stack[key == 0], stack[key == 2] = counts, 10
    path = tmp_path / "a.nxs"
    with h5py.File(path, "w") as file:
        file["entry/instrument/detector/data"] = stack
        file["entry/instrument/detector/image_key"] = key
        turn = np.zeros(len(key))
        turn[key == 0] = np.rad2deg(half_turn(VIEWS).numpy())
        file["entry/sample/rotation_angle"] = turn
    assert run(capsys, path, "-o", tmp_path / "b.npy") == (0, "")
    np.savez(tmp_path / "c.npz", sinogram=lines()[0], angles=half_turn(VIEWS).numpy())
    assert run(capsys, tmp_path / "c.npz", "-o", tmp_path / "c.npy")[0] == 0
    same = np.load(tmp_path / "b.npy"), np.load(tmp_path / "c.npy")
    np.testing.assert_allclose(*same, atol=2e-4)
    code, said = run(capsys, path, "--views", len(key), "--span", 180, "--overwrite")
    assert code == 2
    assert f"of the {len(key)} frames of" in only_line("pnp-ct", said)


def test_a_folder_is_a_scan_with_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tifffile

    folder = tmp_path / "scan"
    folder.mkdir()
    for number, view in enumerate(lines(2).transpose(1, 0, 2)):
        tifffile.imwrite(folder / f"p{number}.tif", view)
    code, _ = run(capsys, folder, "--stack", "--views", VIEWS, "--slice", "1:")
    assert code == 0
    assert np.load(tmp_path / "scan_reconstructed.npy").shape == (SIZE, SIZE)
    assert run(capsys, folder, "--views", VIEWS, "-o", tmp_path / "out")[0] == 2  # each by itself


# ---- geometry, window and report -----------------------------------------------------------------


def phantom_error(path: Path) -> float:
    """Against the slice of the plain scan, in the middle."""
    middle = (slice(16, 48),) * 2
    found, true = np.load(path)[middle], np.load(path.parent / "plain.npy")[middle]
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def test_turning_and_the_detectors_direction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = 2 * half_turn(120)
    asymmetric = sinogram(turns, SIZE, 33.0)[0].float().numpy()
    np.savez(tmp_path / "plain.npz", s=asymmetric, angles=turns.numpy())
    np.savez(tmp_path / "back.npz", s=asymmetric, angles=-turns.numpy())
    np.savez(tmp_path / "flipped.npz", s=asymmetric[:, ::-1], angles=turns.numpy())
    np.save(tmp_path / "even.npy", np.roll(asymmetric[::-1], 1, 0))
    axis = ["--axis", 33]
    for name, more in (
        ("plain.npz", axis),
        ("back.npz", [*axis, "--clockwise"]),
        ("flipped.npz", ["--axis", 30, "--flip-detector"]),
        ("even.npy", [*axis, "--views", 120, "--span", -360]),
    ):
        target = tmp_path / f"{Path(name).stem}.npy"
        target = target if target.name != "even.npy" else tmp_path / "turned.npy"
        assert run(capsys, tmp_path / name, *more, "-o", target) == (0, "")
        assert phantom_error(target) < 1e-4
    assert run(capsys, tmp_path / "back.npz", *axis, "-o", tmp_path / "wrong.npy")[0] == 0
    assert phantom_error(tmp_path / "wrong.npy") > 0.1
    code, said = run(capsys, tmp_path / "even.npy", "--views", 120, "--span", 0)
    assert code == 2
    assert "negative for clockwise" in said


def disc(detectors: int, axis: float, turns: np.ndarray) -> np.ndarray:
    """A disc of 0.02 and 28 pixels with a bar inside, about the middle of the slice."""
    from operators import RayTransform, ScanGeometry

    y, x = np.mgrid[:SIZE, :SIZE] - 31.5
    picture = 0.02 * (x**2 + y**2 < 28**2).astype(np.float32)
    picture[12:20, 20:34] += 0.02
    shift = axis - (detectors - 1) / 2
    scan = ScanGeometry("parallel", tuple(turns.tolist()), detectors, axis_offset=shift)
    return (
        RayTransform(scan, (1, SIZE, SIZE)).A(torch.from_numpy(picture)[None, None])[0, 0].numpy()
    )


def test_the_window_of_a_truncated_scan_holds_air(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", disc(40, 19.5, half_turn(90).numpy()))
    args = [str(tmp_path / "a.npy"), "--views", "90", "--method", "fbp", "--json"]
    assert main(args) == 0
    found = json.loads(capsys.readouterr().out)["physics"]["parameters"]
    assert found["window_low"] < 0 < 0.04 < found["window_high"]
    values = np.load(tmp_path / "a_reconstructed.npy")
    assert np.median(values[16:24, 16:24]) == pytest.approx(0.02, rel=0.12)
    assert main([*args[:-1], "--overwrite"]) == 0
    assert "goes on beyond the detector's ends" in capsys.readouterr().out


@pytest.mark.parametrize(("size", "said"), [(32, True), (None, False)])  # the twin: all of it
def test_a_slice_smaller_than_an_object_that_was_seen_is_said(
    size: int | None, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The detector sees air at its ends; in the slice there is no place for the object."""
    lines = disc(64, 31.5, half_turn(60).numpy())
    lines = lines + 0.01 * lines.max() * np.random.default_rng(0).normal(size=lines.shape)
    np.save(tmp_path / "a.npy", lines.astype(np.float32))
    args = [str(tmp_path / "a.npy"), "--views", "60", "--method", "tv", "-q", "--no-picture"]
    assert main([*args, *([] if size is None else ["--size", str(size)])]) == 0
    warned = capsys.readouterr().err
    assert ("give --size 5" in warned) == said
    assert ("goes on beyond the slice of 32 pixels" in warned) == said


def test_a_slice_that_does_not_hold_the_object_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An iteration puts what is missing at the rim; with the size that it asks for, it does not."""
    np.save(tmp_path / "a.npy", disc(40, 19.5, half_turn(90).numpy()))
    args = [str(tmp_path / "a.npy"), "--views", "90", "--method", "tv", "-q", "--no-picture"]
    assert main(args) == 0
    said = capsys.readouterr().err
    assert "give --size 63" in said or "give --size 64" in said
    small = np.load(tmp_path / "a_reconstructed.npy")
    assert main([*args, "--overwrite", "--size", "64"]) == 0
    assert "give --size" not in capsys.readouterr().err
    large = np.load(tmp_path / "a_reconstructed.npy")[12:52, 12:52]
    middle = (slice(10, 30),) * 2
    off = [float(np.median(one[middle])) for one in (small, large)]
    assert abs(off[1] - 0.02) < 0.07 * 0.02 < abs(off[0] - 0.02)


def test_a_full_turn_with_an_offset_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = 2 * half_turn(180).numpy()
    np.savez(tmp_path / "a.npz", s=disc(40, 5.5, turns), angles=turns)
    args = ["--axis", 5.5, "--size", SIZE, "-o", tmp_path / "b.npy"]
    assert run(capsys, tmp_path / "a.npz", *args) == (0, "")
    assert np.median(np.load(tmp_path / "b.npy")[26:38, 26:38]) == pytest.approx(0.02, rel=0.02)


def test_a_result_at_the_end_of_a_found_window_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.cli.ct import view
    from pnp_recon.scans import Window

    np.save(tmp_path / "a.npy", disc(SIZE, 31.5, half_turn(60).numpy()))
    args = [str(tmp_path / "a.npy"), "--views", "60", "--method", "tv", "-q", "--max-iter", "30"]
    assert main(args) in (0, 3)
    assert "end of the window" not in capsys.readouterr().err
    monkeypatch.setattr(view, "_found_window", lambda *_: Window(-0.002, 0.015))
    assert main([*args, "--overwrite"]) in (0, 3)
    assert "at the upper end of the window that was found" in capsys.readouterr().err


@pytest.mark.parametrize("dense", ["beads", "metal"])
def test_a_found_window_holds_what_is_dense_and_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dense: str
) -> None:
    """A thousandth of the slice, which no quantile sees."""
    truth = np.zeros((SIZE, SIZE), np.float32)
    if dense == "metal":
        rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
        truth[rows**2 + columns**2 < 24**2] = 0.02
    truth[20:22, 30:32] = truth[44:46, 38:40] = 0.5
    A = RayTransform(parallel_beam(60, SIZE), (1, SIZE, SIZE))
    np.save(tmp_path / "a.npy", A.A(torch.from_numpy(truth)[None, None])[0, 0].numpy())
    args = [str(tmp_path / "a.npy"), "--views", "60", "--method", "tv", "-q", "--sigma", "0.01"]
    args += ["--axis", "center", "--size", str(SIZE)]
    assert main([*args, "--strength", "1", "--max-iter", "200"]) in (0, 3)
    assert "end of the window" not in capsys.readouterr().err
    found = np.load(tmp_path / "a_reconstructed.npy").squeeze()
    assert np.linalg.norm(found - truth) < 0.3 * np.linalg.norm(truth)


def test_few_views_need_the_noise_and_the_right_number_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, sinogram(half_turn(4), SIZE, 31.5).numpy())
    code, said = run(capsys, path, "--views", 9)
    assert code == 2
    assert "--views is 9, but" in only_line("pnp-ct", said)
    code, said = run(capsys, path, "--views", 4)
    assert code == 2
    assert "too small to estimate noise" in only_line("pnp-ct", said)
    assert run(capsys, path, "--views", 4, "--sigma", "0.01") == (0, "")


def test_the_report_of_a_formula_has_no_banner_of_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnp_recon.report import figure

    def never(*_: object) -> None:
        raise AssertionError("there is no residual to draw")

    monkeypatch.setattr(figure, "_residuals", never)
    np.savez(tmp_path / "a.npz", sinogram=lines()[0], angles=half_turn(VIEWS).numpy())
    args = [str(tmp_path / "a.npz"), *FBP, "--report", str(tmp_path / "r")]
    assert main(args) == 0
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert 'class="verdict plain"><strong>Computed by a formula' in page
    assert "No guarantee" not in page


# ---- the rotation axis ---------------------------------------------------------------------------


def test_line_integrals_about_another_axis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The axis is moved where it is sure, and said; in centred ones it stays where it is."""
    turns = half_turn(90)
    for name, axis in (("off", 35.2), ("plain", 31.5)):
        array = sinogram(turns, SIZE, axis)[0].float().numpy()
        np.savez(tmp_path / f"{name}.npz", s=array, angles=turns.numpy())
        args = [str(tmp_path / f"{name}.npz"), "--method", "fbp", "--no-picture"]
        assert main([*args, "-o", str(tmp_path / f"{name}.npy")]) == 0
        said = capsys.readouterr().out
        assert ("rotation axis: detector pixel 35.2" in said) == (name == "off")
        assert ("--axis center leaves it" in said) == (name == "off")
    assert phantom_error(tmp_path / "off.npy") < 0.1
    assert main([*args[:1], *FBP, "--axis", "auto", "-o", str(tmp_path / "c.npy")]) == 0
    off = [str(tmp_path / "off.npz"), *FBP, "--axis", "center", "-o", str(tmp_path / "c.npy")]
    assert main([*off, "--overwrite"]) == 0
    assert phantom_error(tmp_path / "c.npy") > 0.2
