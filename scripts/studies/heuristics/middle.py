"""Pictures that lie in the corners of their field of view, told from those with bright corners.

The centres of the k-space of grey photographs of BSDS500 outside BSD68 and `test`, and of CT
slices, each as it is and moved by half its size. Corners alone would accuse what is brighter there
than in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators.mri import centred_fft
from pnp_recon.datasets.splits import training_pictures
from pnp_recon.kspace import corners_over_middle, low_resolution, moved_by_half
from pnp_recon.kspace.calibration import SURELY
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture

WINDOW = 2524.0  # HU from −1024 to 1500


def photographs(folder: Path, quick: bool) -> Iterator[Tensor]:
    for path in training_pictures(folder)[: 2 if quick else None]:
        yield to_grey(read_picture(path).pixels)[0]


def slices(archive: Path, quick: bool) -> Iterator[Tensor]:
    """Every fourth slice of the archive."""
    with np.load(archive) as file:
        images = file["img"][:: 64 if quick else 4]
    for image in images:
        yield torch.from_numpy(image.astype(np.float32) / WINDOW).clamp(0, 1)[None]


def centre(picture: Tensor, moved: bool) -> Tensor:
    """The coil image of the centre of k-space of a picture (1, H, W)."""
    placed = torch.fft.ifftshift(picture, (-2, -1)) if moved else picture
    whole = torch.ones(picture.shape[-2:], dtype=torch.bool)
    return low_resolution(centred_fft(placed.to(torch.complex64)), whole)


def share(images: list[Tensor], accuses: Callable[[Tensor], bool]) -> str:
    return f"{sum(accuses(image) for image in images)} of {len(images)}"


def measure(photos: Path, archive: Path, quick: bool) -> Iterator[tuple[str, str]]:
    """What was counted, and how often."""
    kinds = {
        "photographs": list(photographs(photos, quick)),
        "CT slices": list(slices(archive, quick)),
    }
    for name, pictures in kinds.items():
        still = [centre(picture, False) for picture in pictures]
        moved = [centre(picture, True) for picture in pictures]
        yield (
            f"{name} with corners {SURELY:g} times as bright as the middle",
            share(still, lambda image: corners_over_middle(image) > SURELY),
        )
        yield f"{name} that are accused of lying in the corners", share(still, moved_by_half)
        yield f"{name} that were moved there, and are told", share(moved, moved_by_half)
