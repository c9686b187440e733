"""Counts from a file with --incident are the problem that --simulate --photons makes of a slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from operators import attenuation, parallel_beam
from pnp_recon.cli.ct import main
from pnp_recon.problems.noise import command_counts
from pnp_recon.problems.simulate import photon_tomography

SIZE, VIEWS, PIXEL, PHOTONS = 24, 16, 8.0, "1e4"
RUN = ["--method", "tv", "--strength", "1", "--tol", "1e-3", "--unit", "hu", "-q"]


def body() -> np.ndarray:
    """A disc of water with bone in it, in HU."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = rows**2 + columns**2 < (0.4 * SIZE) ** 2
    bone = (rows - 3) ** 2 + columns**2 < 9
    return np.where(bone, 900.0, np.where(inside, 0.0, -1000.0)).astype(np.float32)


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """The file of counts that belongs to the slice beside it."""
    np.save(tmp_path / "slice.npy", body())
    scan = parallel_beam(VIEWS, (SIZE, SIZE), pixel_mm=PIXEL)
    truth = attenuation(torch.from_numpy(body()))[None, None]
    _, counted = photon_tomography(truth, scan, float(PHOTONS), command_counts(float(PHOTONS), 0))
    path = tmp_path / "counts.npz"
    np.savez(path, sinogram=counted[0, 0].numpy(), theta=np.rad2deg(scan.angles))
    return path


def from_file(path: Path, *more: str) -> np.ndarray:
    out = path.with_name("file.npy")
    words = ["--incident", PHOTONS, "--detector-mm", str(PIXEL), "--size", str(SIZE)]
    words += ["--axis", "center", "--no-zingers", "--no-dead-pixels", "-o", str(out), *more]
    assert main([str(path), *words, *RUN]) == 0
    return np.squeeze(np.load(out))


def simulated(path: Path) -> np.ndarray:
    out = path.with_name("simulated.npy")
    words = ["--simulate", "--views", str(VIEWS), "--photons", PHOTONS]
    words += ["--pixel-mm", str(PIXEL), "-o", str(out)]
    assert main([str(path.with_name("slice.npy")), *words, *RUN]) == 0
    return np.squeeze(np.load(out))


def test_counts_from_a_file_give_what_the_simulation_gives(counts: Path) -> None:
    np.testing.assert_allclose(from_file(counts), simulated(counts), atol=1.0)


def test_other_weights_would_not(counts: Path) -> None:
    # A noise level of one's own scales the weights, as an estimate once did.
    assert np.abs(from_file(counts, "--sigma", "0.3") - simulated(counts)).max() > 10
