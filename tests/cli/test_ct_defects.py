"""`pnp-ct` on scans with zingers, stuck pixels, stripes and drift: better for it, and said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from operators import RayTransform, ScanGeometry
from pnp_recon.cli.ct import main
from pnp_recon.cli.ct.volume import probe
from support.scans import half_turn

SIZE, VIEWS = 48, 60
TV = ["--method", "tv", "--no-picture", "--tol", "1e-3"]


def phantom() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    picture = 0.02 * (((x - 2) / 19) ** 2 + ((y + 3) / 15) ** 2 < 1)
    picture[12:18, 16:26] += 0.015
    return (picture + 0.02 * ((x - 6) ** 2 + (y - 4) ** 2 < 5)).astype(np.float32)


def clean() -> np.ndarray:
    scan = ScanGeometry("parallel", tuple(half_turn(VIEWS).tolist()), SIZE)
    A = RayTransform(scan, (1, SIZE, SIZE))
    lines = A.A(torch.from_numpy(phantom())[None, None])[0, 0].numpy()
    return lines + 0.01 * lines.max() * np.random.default_rng(0).normal(size=lines.shape)


def with_defect(kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    lines = clean()
    if kind == "zingers":
        lines.flat[rng.permutation(lines.size)[:25]] -= 1
    elif kind == "dead pixels":
        lines[:, [15, 30]] = 0.3
    elif kind == "rings":
        lines += 0.04 * rng.normal(size=SIZE) * (rng.random(SIZE) < 0.3)
    elif kind == "drift":
        lines += 0.02 * rng.normal(size=VIEWS).cumsum()[:, None]
    return lines


def save(folder: Path, lines: np.ndarray) -> str:
    np.savez(folder / "a.npz", s=lines, angles=half_turn(VIEWS).numpy())
    return str(folder / "a.npz")


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], lines: np.ndarray, *args: str
) -> tuple[float, dict, str]:
    source = save(folder, lines.astype(np.float32))
    code = main([source, *TV, "--overwrite", "--json", *args])
    out = capsys.readouterr()
    assert code == 0, out.err
    values = np.load(folder / "a_reconstructed.npy")
    error = float(np.linalg.norm(values - phantom()) / np.linalg.norm(phantom()))
    return error, json.loads(out.out), out.err


@pytest.mark.parametrize(
    ("kind", "on", "off", "number"),
    [
        ("zingers", [], ["--no-zingers"], "zingers"),
        ("dead pixels", [], ["--no-dead-pixels"], "stuck_pixels"),
        ("rings", ["--rings"], [], "stripe_level"),
        ("drift", ["--drift"], [], "drift"),
    ],
)
def test_a_defect_is_mended(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    on: list[str],
    off: list[str],
    number: str,
) -> None:
    lines = with_defect(kind)
    mended, found, _ = run(tmp_path, capsys, lines, *on)
    assert found["certificate"]["holds"]  # weights and filters keep the theorem
    assert found["physics"]["parameters"][number] > 0
    left, plain, _ = run(tmp_path, capsys, lines, *off)
    assert number not in plain["physics"]["parameters"]
    best, _, _ = run(tmp_path, capsys, clean())
    assert mended < 1.3 * best
    assert left > 1.8 * best


def test_rings_leave_a_round_object_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    tube = 0.02 * ((x**2 + y**2 < 18**2) & (x**2 + y**2 > 10**2)).astype(np.float32)
    monkeypatch.setattr(f"{__name__}.phantom", lambda: tube)
    lines = clean()
    plain, _, _ = run(tmp_path, capsys, lines)
    mended, found, said = run(tmp_path, capsys, lines, "--rings")
    assert mended < 1.5 * plain
    assert "round about the rotation axis" in said or "mirrored at the rotation axis" in said
    assert found["certificate"]["holds"]
    # The twin: fitted along, the stripes take the tube away.
    monkeypatch.setattr("pnp_recon.cli.ct.data.concentric", lambda *_: None)
    fitted, _, said = run(tmp_path, capsys, lines, "--rings")
    assert fitted > 3 * plain
    assert said == ""


@pytest.mark.parametrize(
    ("kind", "more", "hinted"),
    [("rings", [], True), ("rings", ["--rings"], False), ("none", [], False)],
)
def test_stripes_that_nobody_asked_for_are_hinted_at(
    kind: str,
    more: list[str],
    hinted: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = save(tmp_path, with_defect(kind))
    assert main([source, "--method", "fbp", "--no-picture", *more]) == 0
    assert ("--rings fits them along with it" in capsys.readouterr().err) == hinted


@pytest.mark.parametrize(
    ("kind", "more", "prior"),
    [
        ("rings", [], "euler_ct"),
        ("rings", ["--rings"], "euler_ct"),
        ("rings", ["--solver", "descent"], "energy_grey"),
        ("none", [], "energy_grey"),
    ],
)
def test_an_energy_is_the_default_where_no_stripes_are_seen(
    kind: str,
    more: list[str],
    prior: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = save(tmp_path, with_defect(kind))
    few = ["--max-iter", "1", "--strength", "1", "--no-picture", "--tol", "1"]
    assert main([source, *few, *more]) in (0, 3)
    said = capsys.readouterr().out
    assert ("denoiser euler_ct" in said) == ("strands along" in said) == (prior == "euler_ct")
    assert ("of the energy" in said) == (prior == "energy_grey")


def test_a_volume_has_the_prior_that_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside slices of much noise the stripes of one are none that stand out."""

    def told(noise: float) -> tuple[bool, str]:
        draw = np.random.default_rng(5).normal
        beside = [with_defect("none") + noise * draw(size=(VIEWS, SIZE)) for _ in range(2)]
        source = save(tmp_path, np.stack([beside[0], with_defect("rings"), beside[1]]))
        few = ["--max-iter", "1", "--strength", "1", "--tol", "1", "--overwrite", "--order", "sad"]
        out = tmp_path / "v.npy"
        assert main([source, "--slices", "all", *few, "-o", str(out)]) in (0, 3)
        shared = json.loads(out.with_suffix(".npy.summary.json").read_text())["shared"]
        return "averaged denoiser is the default" in capsys.readouterr().out, shared["denoiser"]

    assert told(0.0) == (True, "euler_ct")
    assert told(0.3) == (False, "energy_grey")
    # The twin: as the middle slice alone would have it, of which nobody hears.
    real = probe._cases
    monkeypatch.setattr(probe, "_cases", lambda a, b, c, d, _: real(a, b, c, d, True))
    assert told(0.3) == (False, "euler_ct")


def test_no_energy_is_offered_where_none_can_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path, with_defect("rings"))
    few = ["--max-iter", "1", "--strength", "1", "--no-picture", "--tol", "1"]
    few += ["--acceleration", "anderson"]
    assert main([source, *few]) in (0, 3)
    said = capsys.readouterr().out
    assert "denoiser euler_ct" in said
    assert "--denoiser energy_grey" not in said
    # What would have been offered.
    assert main([source, *few, "--overwrite", "--denoiser", "energy_grey"]) == 2


def test_nothing_changes_where_nothing_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, _ = run(tmp_path, capsys, clean(), "--no-zingers", "--no-dead-pixels")
    before = np.load(tmp_path / "a_reconstructed.npy")
    _, same, _ = run(tmp_path, capsys, clean(), "--drift")
    np.testing.assert_array_equal(before, np.load(tmp_path / "a_reconstructed.npy"))
    assert found["physics"]["parameters"] == same["physics"]["parameters"]
    code = main([str(tmp_path / "a.npz"), *TV, "--overwrite", "--drift"])
    assert code == 0
    assert "stays at zero, nothing is changed" in capsys.readouterr().out
