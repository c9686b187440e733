"""Outliers of a scan: flashes that hit a detector pixel in one view (zingers).

A flash adds photons, so that the line integral is too small. Line integrals vary smoothly from
view to view and along the detector but for noise and edges; one that is far below what is around
it, and farther than that varies by itself or below all of it, is a flash.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

# Times the noise; times what the values around vary by; part of it below the smallest of them.
FAR, BEYOND, BELOW = 7.0, 2.0, 0.5
# Of a Gaussian, median absolute deviation over standard deviation.
_MAD = 0.6745
_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def find_zingers(
    lines: Float[Tensor, "slices angles detectors"],
) -> tuple[Bool[Tensor, "slices angles detectors"], Float[Tensor, "slices angles detectors"]]:
    """Where outliers are, and the line integrals with the median of their neighbours there.

    A flash lies below the median of the 3×5 values around it (views × pixels) by more than 7
    standard deviations of the noise (by the median absolute deviation), and either by more than
    twice the range of these values, outermost fifths left out, or so that more than half of that
    is below all eight neighbours. In Gaussian noise of one level the chance is below 1e-10 for
    each value; noisy edges lose one in some thousands, and a void of one pixel that passes fast
    may look like a flash. What is smaller than 0.7 % of the largest value is let be.

    Args:
        lines: views in the order of their angles.
    """
    from scipy.ndimage import median_filter, minimum_filter, percentile_filter

    array = lines.detach().cpu().double().numpy()
    found = np.zeros(array.shape, bool)
    mended = array.copy()
    for index, one in enumerate(array):
        middle = median_filter(one, size=(3, 5), mode="mirror")
        off = middle - one
        noise = max(float(np.median(np.abs(off))) / _MAD, 1e-3 * float(np.abs(one).max()))
        place = off > FAR * noise
        if place.any():
            high = percentile_filter(one, 80, size=(3, 5), mode="mirror")
            low = percentile_filter(one, 20, size=(3, 5), mode="mirror")
            least = minimum_filter(one, footprint=_AROUND, mode="mirror") - one
            alone = (least > BELOW * off) & (least > FAR * noise)
            found[index] = place & ((off > BEYOND * (high - low)) | alone)
            mended[index][found[index]] = middle[found[index]]
    return _like(found, lines), _like(mended, lines)


def _like(array: NDArray[np.generic], lines: Tensor) -> Tensor:
    import torch

    made = torch.from_numpy(array)
    return made.to(lines.device) if made.dtype == torch.bool else made.to(lines)
