"""A ray without light does not decide where landweber ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from operators import attenuation, parallel_beam
from pnp_recon.cli.ct import main
from pnp_recon.problems.noise import command_counts
from pnp_recon.problems.simulate import photon_tomography

SIZE, VIEWS, PIXEL, PHOTONS = 32, 24, 6.0, 1e4
WORDS = ["--incident", str(PHOTONS), "--detector-mm", str(PIXEL), "--size", str(SIZE), "--axis"]
WORDS += ["center", "--unit", "hu", "--solver", "landweber", "--overwrite", "--json"]


def body(metal: float) -> np.ndarray:
    """A disc of water with bone, or metal, in it, in HU."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = rows**2 + columns**2 < (0.4 * SIZE) ** 2
    part = (rows - 4) ** 2 + columns**2 < (4 if metal else 9)
    return np.where(part, metal or 900.0, np.where(inside, 0.0, -1000.0)).astype(np.float32)


def error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dark: int, metal: float = 0
) -> tuple[float, str]:
    """Root mean square error in HU where the middle rays of so many views have no light, and the
    operator's name."""
    truth = body(metal)
    scan = parallel_beam(VIEWS, (SIZE, SIZE), pixel_mm=PIXEL)
    image = attenuation(torch.from_numpy(truth))[None, None]
    _, counted = photon_tomography(image, scan, PHOTONS, command_counts(PHOTONS, 0))
    counts = counted[0, 0].numpy().copy()
    counts[7 : 7 + dark, 15] = 0
    source, out = tmp_path / "counts.npz", tmp_path / "out.npy"
    np.savez(source, sinogram=counts, theta=np.rad2deg(scan.angles))
    assert main([str(source), *WORDS, "-o", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "least_error"
    return float(np.sqrt(np.square(np.squeeze(np.load(out)) - truth).mean())), found["operator"]


def test_a_ray_without_light_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, plain = error(tmp_path, capsys, 0)
    without, named = error(tmp_path, capsys, 1)
    assert without < 1.1 * whole
    assert "inpainting" in named
    assert "inpainting" not in plain  # the twin: all rays see something


def test_so_many_that_they_are_the_object_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, named = error(tmp_path, capsys, 0, metal=20000)
    assert "inpainting" not in named
