"""Pictures of a folder as tensors: one, many, or those that a denoiser trains on.

Which they may be is decided in `splits`: BSDS500 gives the 232 pictures that may be trained on, any
other folder all its pictures. A part may be held out for the validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pnp_recon.datasets.splits import held_out, is_bsds500, training_pictures
from pnp_recon.errors import InputError
from pnp_recon.files import sha256_of
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture

# At most this many pictures are validated on: a check of the course, not a result.
VALIDATION_PICTURES = 12


def load_stack(paths: Sequence[Path], grey: bool) -> list[UInt8[Tensor, "C H W"]]:
    """All pictures in memory as uint8 (C, H, W), C = 1 if `grey` else 3, to cut crops from.

    Grey is 0.299 R + 0.587 G + 0.114 B rounded to 8 bit: half a step of error, far below any noise
    level that is trained. Test figures take `load_float`, which does not round. A grey picture
    asked for in colour has three equal channels; alpha is left out.

    Raises:
        InputError: a picture cannot be read.
    """
    return [(load_float(path, grey)[0] * 255).round_().to(torch.uint8) for path in paths]


def load_float(path: Path, grey: bool) -> Float[Tensor, "1 C H W"]:
    """One picture as float32 (1, C, H, W) in [0, 1], C = 1 if `grey` else 3, not rounded.

    Raises:
        InputError: the picture cannot be read.
    """
    pixels = read_picture(path).pixels.clamp(0, 1)
    return to_grey(pixels) if grey else pixels.expand(-1, 3, -1, -1).contiguous()


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


def load_training_data(
    folder: Path,
    channels: int,
    patch: int = 1,
    hold_out: int | None = None,
    tick: Callable[[int, int], None] | None = None,
    held: Collection[Path] | None = None,
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
        held: the very pictures to hold out, in place of a number.

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
    if held is not None:
        out = {index for index, path in enumerate(files) if path in held}
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
