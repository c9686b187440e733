"""From a folder of pictures to the tensors that a denoiser trains on, and what is said about them.

A BSDS500 folder gives the 232 pictures that may be trained on (`datasets.training_pictures`); any
other folder gives all its pictures. A part may be held out for the validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pnp_recon.datasets.folders import is_bsds500, load_stack, training_pictures
from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of

# At most this many pictures are validated on: a check of the course, not a result.
VALIDATION_PICTURES = 12


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Pictures, uint8 (C, H, W), and their description for the run folder and the model card.

    Attributes:
        training, validation: the pictures.
        description: folder, number of pictures, which are validated on, SHA-256.
    """

    training: list[Tensor]
    validation: list[Tensor]
    description: dict[str, Any]


def held_out(count: int, number: int) -> list[int]:
    """Indices of `number` of `count` pictures, evenly spaced in the sorted list."""
    return [(2 * i + 1) * count // (2 * number) for i in range(number)]


def load_training_data(
    folder: Path,
    channels: int,
    patch: int = 1,
    hold_out: int | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """Reads the pictures of a training folder into memory.

    Held out for the validation are `hold_out` pictures, evenly spaced in the list sorted by
    name. Default: none of BSDS500, whose 232 pictures are all meant to be trained on, and of
    another folder a tenth, at most 12 and at least one where there are two. Where none is held
    out, up to 12 evenly spaced training pictures are validated on, and the description says so.

    Args:
        folder: BSDS500, in any layout that `bsds500.find` knows, or any folder of pictures.
        channels: 1 (grey: 0.299 R + 0.587 G + 0.114 B) or 3.
        patch: smallest side in pixels that a picture must have.
        hold_out: see above.
        tick: called with the pictures read so far and their total.

    Raises:
        InputError: missing folder, no pictures, a damaged or too small picture, or fewer pictures
            than are to be held out.
    """
    files = training_pictures(folder)
    bsds500 = is_bsds500(folder)
    if hold_out is None:
        hold_out = 0 if bsds500 else min(VALIDATION_PICTURES, -(-len(files) // 10))
        hold_out = min(hold_out, len(files) - 1)
    if not 0 <= hold_out < len(files):
        raise InputError(
            f"{hold_out} pictures are to be held out of the {len(files)} in {folder}; expected "
            f"0 to {len(files) - 1}"
        )
    pictures, hashes = [], []
    for index, path in enumerate(files):
        picture, digest = _load(path, channels, patch)
        pictures.append(picture)
        hashes.append(digest)
        if tick is not None:
            tick(index + 1, len(files))
    out = set(held_out(len(files), hold_out))
    shown = sorted(out) or held_out(len(files), min(VALIDATION_PICTURES, len(files)))
    train = [index for index in range(len(files)) if index not in out]
    joined = "\n".join(sorted(hashes[index] for index in train))
    description = {
        "folder": folder.name or folder.resolve().name,
        "selection": (
            "BSDS500 train and val without BSD68" if bsds500 else "all pictures of the folder"
        ),
        "pictures": len(train),
        "sha256_of_sorted_file_hashes": hashlib.sha256(joined.encode()).hexdigest(),
        "validation_pictures": [files[index].relative_to(folder).as_posix() for index in shown],
        "validation_held_out": bool(out),
    }
    return TrainingData(
        [pictures[index] for index in train], [pictures[index] for index in shown], description
    )


def _load(path: Path, channels: int, patch: int) -> tuple[Tensor, str]:
    """One picture as uint8 (C, H, W), and the SHA-256 of its file."""
    samples: Tensor = load_stack([path], grey=channels == 1)[0]
    height, width = samples.shape[-2:]
    if min(height, width) < patch:
        raise InputError(
            f"{path} has {height}×{width} pixels, smaller than the patch of {patch}×{patch}; "
            "take it away or give a smaller --patch"
        )
    return samples, sha256_of(path)
