"""What the tests of `pnp-deblur` share: small pictures, and options with which a run is quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)
# Enough to run every stage; a tolerance that the first look already meets, or never.
# A strength, as most tests are not about its choice, which takes as long as three runs.
FIXED = ["--strength", "1"]
DEFAULT = ["--sigma", "0.01", "--length", "7", "--angle", "20", "--max-iter", "6", *FIXED]
FAST = [*DEFAULT, "--boundary", "circular"]  # the closed form of the proximal map is the quick one
DONE, ENDLESS = ["--tol", "0.9"], ["--tol", "1e-12"]


def pixels(channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture (H, W, channels) in [0, 1] with a few edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    base = 0.5 + 0.2 * np.sin(x / 7) + 0.2 * ((x // 16 + y // 12) % 2)
    return np.clip(base[..., None] + 0.02 * rng.standard_normal((*SIZE, channels)), 0, 1)


def save(path: Path, channels: int = 3, seed: int = 0) -> Path:
    values = np.rint(255 * pixels(channels, seed)).astype(np.uint8)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path)
    return path
