"""Random crops of training pictures. Torch alone."""

from __future__ import annotations

import torch
from torch import Tensor

from pnp_recon.errors import InputError


def random_patches(
    pictures: list[Tensor], count: int, size: int, generator: torch.Generator
) -> Tensor:
    """`count` crops (B, C, size, size) in [0, 1] of uint8 pictures, each turned and flipped.

    Pictures smaller than `size` are refused. The eight dihedral symmetries are equally likely.
    """
    patches = []
    for _ in range(count):
        picture = pictures[_integer(len(pictures), generator)]
        check_size(picture, size)
        height, width = picture.shape[-2:]
        top = _integer(height - size + 1, generator)
        left = _integer(width - size + 1, generator)
        patch = picture[:, top : top + size, left : left + size]
        symmetry = _integer(8, generator)
        patch = torch.rot90(patch, symmetry % 4, (1, 2))
        patches.append(patch.flip(2) if symmetry >= 4 else patch)
    return torch.stack(patches).float() / 255


def _integer(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(high, (1,), generator=generator))


def check_size(picture: Tensor, size: int) -> None:
    """Refuses (InputError) a picture (C, H, W) with a side below `size` pixels."""
    height, width = picture.shape[-2:]
    if min(height, width) < size:
        raise InputError(
            f"a training picture of {height}×{width} is smaller than the patch of {size}×{size}; "
            "leave it out or take a smaller patch"
        )
