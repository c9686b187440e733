"""Pixels at the end of what their file can hold: the light was more, or less, and nobody knows how.

y = A x is not true of them, nor is it of a picture in [0, 1] that is to explain their neighbours: a
lamp is brighter than white. They are to carry no weight.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Above this share white (or black) is what the picture shows, as paper and studio backgrounds are,
# and no clipping.
MOST = 0.05


def clipped_pixels(stored: Tensor, bit_depth: int) -> Tensor | None:
    """Pixels that are clipped, and their neighbours, which interpolation has mixed with them.

    Args:
        stored: (1, C, H, W) in [0, 1], as read.
        bit_depth: how deep the file is; float files (32) are not clipped.

    Returns:
        (1, 1, H, W), boolean: a pixel is clipped in all channels where it is in one. Only areas of
        3 × 3 pixels and more count, as noise alone reaches the ends here and there. None: there are
        none, or so many that they are no exception.
    """
    if bit_depth == 32:
        return None
    found = torch.zeros_like(stored[:, :1], dtype=torch.bool)
    for end in ((stored >= 1), (stored <= 0)):
        pixels = _areas(end).any(1, keepdim=True)
        if float(pixels.float().mean()) <= MOST:
            found = found | pixels
    if not bool(found.any()):
        return None
    return functional.max_pool2d(found.float(), 3, stride=1, padding=1) > 0


def _areas(pixels: Tensor) -> Tensor:
    """What is made of whole squares of 3 × 3 pixels."""
    rest = functional.pad((~pixels).float(), (1, 1, 1, 1))
    whole = functional.max_pool2d(rest, 3, stride=1) == 0
    return functional.max_pool2d(whole.float(), 3, stride=1, padding=1) > 0
