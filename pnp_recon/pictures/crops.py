"""Parts of a picture."""

from __future__ import annotations

from torch import Tensor


def centre_crop(picture: Tensor, size: int) -> Tensor:
    """The central crop of at most `size` pixels a side."""
    height, width = picture.shape[-2:]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return picture[..., top : top + size, left : left + size]
