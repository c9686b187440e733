"""Data of the CT study: training sets of a few scans, the `val` slices upright, turned, rotated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from skimage.transform import rotate
from torch import Tensor

from operators import RayTransform, parallel_beam
from pnp_recon.datasets.splits import held_out
from pnp_recon.problems.noise import seeded
from pnp_recon.training.unrolled.pairs import pooled, simulated_scans
from pnp_recon.training.unrolled.trainer import Pairs

VIEWS, INCIDENT, FIELD_MM = 50, 1e4, 256.0
# Slices of `train` that are kept for tuning the classical methods; never in a training set.
TUNED_ON = 12
TRAINING, TESTING = 0, 1  # seeds of the noise


@dataclass(frozen=True, eq=False)
class Archive:
    """Slices of a split in HU, float32 (n, 1, 256, 256), and their numbers in the archive."""

    slices: Tensor
    numbers: list[int]


def read(data: Path, split: str) -> Archive:
    with np.load(data) as archive:
        chosen = np.flatnonzero(archive["split"] == split)
        images = archive["img"][chosen].astype(np.float32) - 1024
    return Archive(torch.from_numpy(images)[:, None].clamp(-1024, 1500), chosen.tolist())


def scans(archive: Archive, chosen: list[int], size: int, noise: int) -> tuple[RayTransform, Pairs]:
    """Simulated scans of some slices, averaged to `size`² pixels; the field of view is kept."""
    geometry = parallel_beam(VIEWS, size, pixel_mm=FIELD_MM / size)
    slices = pooled(archive.slices[chosen], size)
    return simulated_scans(slices, geometry, INCIDENT, noise, [archive.numbers[i] for i in chosen])


def training_set(archive: Archive, count: int, seed: int) -> list[int]:
    """`count` slices; smaller sets of a seed are contained in larger ones."""
    order = torch.randperm(len(archive.numbers), generator=seeded(seed))
    return sorted(order[:count].tolist())


def tuning_set(archive: Archive) -> list[int]:
    return held_out(len(archive.numbers), TUNED_ON)


def turned(archive: Archive) -> Archive:
    """Each slice by 90°, 180° or 270°: unseen orientations without interpolation."""
    slices = [torch.rot90(s, 1 + i % 3, (1, 2)) for i, s in enumerate(archive.slices)]
    return Archive(torch.stack(slices), archive.numbers)


def rotated(archive: Archive) -> Archive:
    """Each slice by an angle of its own in [0°, 360°), cubic interpolation at full size."""
    angles = np.random.default_rng(0).uniform(0, 360, len(archive.numbers))
    slices = [
        rotate(s[0].numpy(), angle, order=3, mode="constant", cval=-1024.0, preserve_range=True)
        for s, angle in zip(archive.slices, angles, strict=True)
    ]
    stack = torch.from_numpy(np.stack(slices).astype(np.float32))[:, None]
    return Archive(stack.clamp(-1024, 1500), archive.numbers)


TEST_SETS = {"val": lambda archive: archive, "val turned": turned, "val rotated": rotated}
