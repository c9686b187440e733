"""Small scans, slices and geometries in the files that `pnp-ct` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml

from support.scans import half_turn, sinogram, write_exchange

SIZE, VIEWS = 64, 48


def lines(slices: int = 1, axis: float = (SIZE - 1) / 2) -> np.ndarray:
    """Line integrals (slices, VIEWS, SIZE) float32 of ellipses, a little more for each slice."""
    one = sinogram(half_turn(VIEWS), SIZE, axis)
    return torch.cat([one * (1 + 0.1 * k) for k in range(slices)]).float().numpy()


def save_lines(path: Path, slices: int = 1, **more: np.ndarray) -> Path:
    np.savez(path, sinogram=lines(slices), angles=half_turn(VIEWS).numpy(), **more)
    return path


def save_counts(path: Path, slices: int = 2, photons: float = 2e4) -> Path:
    """A Data Exchange file with flat and dark fields, the axis 3 pixels beside the middle."""
    passed = np.exp(-lines(slices, (SIZE - 1) / 2 + 3))
    noisy = np.random.default_rng(0).poisson(photons * passed)
    return write_exchange(
        path,
        data=(noisy + 100).transpose(1, 0, 2).astype(np.uint16),
        data_white=np.full((3, slices, SIZE), photons + 100, np.uint16),
        data_dark=np.full((2, slices, SIZE), 100, np.uint16),
        theta=np.rad2deg(half_turn(VIEWS).numpy()),
    )


def save_archive(path: Path) -> Path:
    """Two slices in HU + 1024: a disc of 40 HU in air with a bone."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    values = np.where(x**2 + y**2 < 26**2, 1064, 24) + 600 * ((x - 8) ** 2 + y**2 < 25)
    np.savez(path, img=np.stack([values, values[::-1]]).astype(np.uint16), px_mm=[1.5, 1.25])
    return path


def save_yaml(path: Path, **fields: object) -> Path:
    known = {"kind": "parallel", "n_angles": VIEWS, "detector_count": SIZE, "detector_mm": 0.5}
    path.write_text(yaml.safe_dump({**known, "pixel_mm": 0.5, **fields}))
    return path
