"""Few pictures: six photographs of BSDS500's `train`, or six slices of six patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pnp_recon.datasets.splits import held_out, training_pictures
from scripts.protocol import crop

FEW = 6
# The window [-1024, 1500] HU on [0, 1], as in scripts/tables/ct.py.
LOW, HIGH = -1024, 1500


def photographs(folder: Path, count: int = FEW) -> list[Tensor]:
    """Grey pictures (1, H, W) in [0, 1], spread over those that may be trained on."""
    paths = training_pictures(folder, hold_back=True)
    return [
        crop(path, None, grey=True)[0].float() for path in paths[:: len(paths) // count][:count]
    ]


def slices(archive: Path, count: int = FEW) -> list[Tensor]:
    """Slices (1, H, W) in [0, 1] of as many patients; none of those that tables tune on."""
    with np.load(archive) as data:
        train = np.flatnonzero(data["split"] == "train")
        tuned = set(train[held_out(len(train), 12)].tolist())
        patients = {data["patient"][i] for i in tuned}
        chosen: dict[str, int] = {}
        for i in train:
            if data["patient"][i] not in patients:
                chosen.setdefault(str(data["patient"][i]), int(i))
        every = list(chosen.values())
        found = [data["img"][i] for i in every[:: max(1, len(every) // count)][:count]]
    return [as_unit(hounsfield) for hounsfield in found]


def as_unit(stored: np.ndarray) -> Tensor:
    """A stored slice (H, W), HU + 1024, as (1, H, W) in [0, 1]."""
    values = torch.from_numpy(stored.astype(np.float32)) - 1024
    return ((values.clamp(LOW, HIGH) - LOW) / (HIGH - LOW))[None]
