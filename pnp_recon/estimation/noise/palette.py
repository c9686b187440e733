"""What a palette took from a photograph: GIF files, PNG files of 256 colours and fewer.

A blurred photograph has tens of thousands of colours. Where a picture has at most 256, each pixel
was moved to one of them, by up to about half the distance to its neighbour and by more where the
colours lie far apart or were dithered.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Files of fewer colours are drawings, not photographs.
FEWEST, MOST = 16, 256
# True errors over distances/√12, between those without and with dither; how far the estimate is off
# is counted in docs/results/heuristics.md.
FACTOR, SPREAD = 1.6, 0.35
# More is no photograph either.
LARGEST = 20 / 255


def palette_noise(y: Tensor) -> float | None:
    """Root mean square error of a palette, [0, 1] units; None where there is none.

    Args:
        y: (1, 3, H, W) in [0, 1], the pixels as stored; of others nothing is said.
    """
    if y.shape[1] != 3:
        return None
    pixels = y.detach().double().cpu()[0].flatten(1).T
    pixels = pixels[pixels.isfinite().all(1)]
    if len(pixels) < 16 * MOST:
        return None
    colours, counts = pixels.unique(dim=0, return_counts=True)
    grey = bool((colours == colours[:, :1]).all())  # rounding alone
    if grey or not FEWEST <= len(colours) <= MOST:
        return None
    apart = torch.cdist(colours, colours)
    apart.fill_diagonal_(math.inf)
    squares = apart.amin(1).square()
    level = FACTOR * math.sqrt(float((counts * squares).sum() / counts.sum()) / 12)
    return level if level <= LARGEST else None
