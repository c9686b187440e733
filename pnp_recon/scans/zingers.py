"""Outliers of a scan: flashes that hit a detector pixel in one view (zingers).

A flash adds photons, so that the line integral is too small. What is in the object is seen in the
views beside too, moved by no more than its turn about the axis; a value that is far below all of
them within that reach, and below those beside it in its own view, is a flash.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.scans.ranks import least_beside, median, ranked

# Times the noise below the smallest around; times what the values around vary by.
FAR, BELOW = 6.0, 0.5
# Ranks among 15 values, without the outermost fifths.
FIFTHS = (3, 12)
# More of one view, and more than so many, are structure that this view alone looks along.
STRUCTURE = 0.05, 3
# Noise is told for so many levels of the line integrals: behind metal there is more of it.
LEVELS = 16
# The noise is at least that of the lowest level with so many values: of fewer it may seem small.
ENOUGH = 100
# Of a Gaussian, median absolute deviation over standard deviation.
_MAD = 0.6745


def find_zingers(
    lines: Float[Tensor, "slices angles detectors"],
    angles: Float[Tensor, " angles"] | None = None,
) -> tuple[Bool[Tensor, "slices angles detectors"], Float[Tensor, "slices angles detectors"]]:
    """Where outliers are, and the line integrals with the median of their neighbours there.

    A flash lies below all values of the views beside it that the object can have moved there, and
    below the median of the seven about it in its own view, by 6 standard deviations of the noise
    and by half the range of the 3×5 values around (views × pixels), outermost fifths left out. The
    noise is that of values as large (median absolute deviation from the median of the 3×5). So is
    a value below zero by 6 deviations that neither its neighbours in the view nor its pixel in the
    views around share: nothing absorbs less than nothing.

    In Gaussian noise of a known level the chance is below 3e-10 for each value; with the level as
    it is found here, and in objects, it is a heuristic, whose rates `docs/results/heuristics.md`
    counts: at edges, and where two lie side by side, flashes are not told from structure. What is
    smaller than 0.6 % of the largest value is let be.

    Args:
        lines: views in the order of their angles.
        angles: one a view, radians, in that order; None: the views are taken for a full turn.
    """
    array = lines.detach().cpu().double().numpy()
    views, pixels = array.shape[1:]
    step = 2 * math.pi / views
    if angles is not None and views > 1:
        step = float(angles.double().diff().abs().median())
    reach = min(max(1, math.ceil(pixels / 2 * step)), max(1, pixels // 8))
    found = np.zeros(array.shape, bool)
    mended = array.copy()
    for index, one in enumerate(array):
        middle = median(one, (3, 5))
        noise = FAR * _noise(one, middle)
        around = [median(one, size) for size in ((1, 7), (7, 1))]
        impossible = (one < -noise) & (np.minimum(*around) - one > noise)
        one = np.where(impossible, middle, one)
        least = least_beside(one, reach)
        own = median(one, (1, 7))
        below = np.minimum(least, own) - one
        place = below > noise
        if place.any():
            low, high = ranked(one, (3, 5), FIFTHS)
            place &= below > BELOW * (high - low)
            place[place.sum(1) > max(STRUCTURE[0] * pixels, STRUCTURE[1])] = False
        found[index] = place | impossible
        mended[index][found[index]] = middle[found[index]]
    return _like(found, lines), _like(mended, lines)


def _noise(one: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations of the noise (views, pixels): of line integrals it never falls with
    their size, and less than 0.1 % of the largest is not looked at."""
    off, low, high = np.abs(middle - one), middle.min(), middle.max()
    level = (LEVELS * (middle - low) / max(high - low, 1e-300)).astype(int).clip(0, LEVELS - 1)
    count = np.bincount(level.ravel(), minlength=LEVELS)
    known = np.array([np.median(off[level == k]) if n else 0 for k, n in enumerate(count)]) / _MAD
    full = known[count >= ENOUGH]
    least = full[0] if len(full) else np.median(off) / _MAD
    known = np.maximum.accumulate(known.clip(least))
    return np.maximum(known[level], 1e-3 * np.abs(one).max())


def _like(array: NDArray[np.generic], lines: Tensor) -> Tensor:
    import torch

    made = torch.from_numpy(array)
    return made.to(lines.device) if made.dtype == torch.bool else made.to(lines)
