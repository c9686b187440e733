"""`pnp-ct` on scans that are not what they look like: refused in one line, or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
