"""Outliers of a scan: flashes that hit a detector pixel in one view (zingers).

A line integral varies smoothly from view to view and along the detector, but for noise; a value
far from the median of its neighbours, and farther than these are from each other, is none.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

# Times the noise, and times what the neighbours vary by themselves.
FAR, BEYOND = 7.0, 2.0
# Of a Gaussian, median absolute deviation over standard deviation.
_MAD = 0.6745


def find_zingers(
    lines: Float[Tensor, "slices angles detectors"],
) -> tuple[Bool[Tensor, "slices angles detectors"], Float[Tensor, "slices angles detectors"]]:
    """Where outliers are, and the line integrals with the median of their neighbours there.

    An outlier differs from the median of the 3×5 values around it (views × detector pixels) by
    more than 7 standard deviations of the noise (the median absolute deviation says how much that
    is) and by more than twice the range that the values around it cover, the outermost left out on
    either side. A scan without zingers has none: in noise of one level the chance is below 1e-10
    for each value, edges are spared by the second rule.

    Args:
        lines: views in the order of their angles.
    """
    from scipy.ndimage import median_filter, percentile_filter

    array = lines.detach().cpu().double().numpy()
    found = np.zeros(array.shape, bool)
    mended = array.copy()
    for index, one in enumerate(array):
        middle = median_filter(one, size=(3, 5), mode="mirror")
        off = np.abs(one - middle)
        noise = max(float(np.median(off)) / _MAD, 1e-9 * float(np.abs(one).max()))
        place = off > FAR * noise
        if place.any():
            high = percentile_filter(one, 80, size=(3, 5), mode="mirror")
            low = percentile_filter(one, 20, size=(3, 5), mode="mirror")
            found[index] = place & (off > BEYOND * (high - low))
            mended[index][found[index]] = middle[found[index]]
    return _like(found, lines), _like(mended, lines)


def _like(array: NDArray[np.generic], lines: Tensor) -> Tensor:
    import torch

    made = torch.from_numpy(array)
    return made.to(lines.device) if made.dtype == torch.bool else made.to(lines)
