"""A scanned object whose projections are known in closed form, and files that hold its scan."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# (attenuation per pixel, half axes, centre, turn in degrees), lengths in parts of the detector.
ELLIPSES = (
    (0.010, 0.32, 0.25, 0.02, -0.03, 20.0),
    (0.008, 0.07, 0.11, 0.14, 0.05, 60.0),
    (-0.006, 0.09, 0.05, -0.12, 0.07, -35.0),
    (0.020, 0.02, 0.03, -0.05, -0.15, 0.0),
)


def sinogram(angles: Tensor, detectors: int, axis: float, scale: float = 1.0) -> Tensor:
    """Line integrals (1, angles, detectors) float64 of the ellipses, averaged over each pixel.

    Parallel beam with the rotation axis at detector pixel `axis`; signs as in ScanGeometry.
    """
    fine = 8
    places = (torch.arange(detectors * fine, dtype=torch.float64) + 0.5) / fine - 0.5 - axis
    total = torch.zeros(len(angles), detectors * fine, dtype=torch.float64)
    for value, a, b, x, y, turn in ELLIPSES:
        a, b, x, y = (detectors * length for length in (a, b, x, y))
        relative = angles.double() - math.radians(turn)
        reach = (a * relative.cos()) ** 2 + (b * relative.sin()) ** 2
        middle = x * angles.double().cos() + y * angles.double().sin()
        distance = places[None] - middle[:, None]
        chord = (reach[:, None] - distance**2).clamp_min(0).sqrt() * 2 * a * b / reach[:, None]
        total += value * chord
    return scale * total.reshape(1, len(angles), detectors, fine).mean(-1)


def half_turn(views: int) -> Tensor:
    """`views` angles over 180°, the end excluded."""
    return math.pi * torch.arange(views, dtype=torch.float64) / views


def write_exchange(path: Path, **datasets: np.ndarray) -> Path:
    """A Data Exchange file; angles in degrees."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(f"exchange/{name}", data=values)
    return path
