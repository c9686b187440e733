"""Whether the object is wider than the detector, and how wide it may be.

A heuristic: what was not seen is not known. It is used where a guess is better than air, in the
filter of filtered back-projection; nothing is certified by it.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor

from operators._ray_weights import sees_whole_turn
from operators.scan_geometry import ScanGeometry

# An end that sees this part of the largest mean line integral sees no air.
TRUNCATED = 0.08
# The object is looked for between the detector's end and twice as far out.
NEAREST, FARTHEST = 1.03, 2.0


def object_radius(
    y: Float[Tensor, "*slices angles detectors"], geometry: ScanGeometry
) -> float | None:
    """Radius in mm on the detector of a disc about the axis with line integrals like these.

    The squared chords of a disc are 4μ²(R² − s²): a parabola is fitted to the mean over the views
    of the squared line integrals. None where the ends of the detector see air; the short side of
    an offset detector need not, where a full turn sees the rest from the other side.
    """
    rows = y.detach().double().cpu().reshape(-1, *geometry.measured_shape[-1:]).numpy()
    mean = np.maximum(rows.mean(0), 0)  # air below zero, behind dim flat fields, is no object
    few = max(1, len(mean) // 32)
    middle = (len(mean) - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    place = (np.arange(len(mean)) - middle) * geometry.detector_mm
    ends = {-place[0]: mean[:few].mean(), place[-1]: mean[-few:].mean()}
    if sees_whole_turn(geometry) and abs(place[0] + place[-1]) > 1.5 * geometry.detector_mm:
        ends = {max(ends): ends[max(ends)]}
    cut = [end for end, value in ends.items() if value > TRUNCATED * mean.max() and end > 0]
    if not cut:
        return None
    squares = np.square(rows).mean(0)
    powers = np.stack([np.ones_like(place), -np.square(place)], 1)
    (high, slope), *_ = np.linalg.lstsq(powers, squares, rcond=None)
    reach = float(max(cut))
    found = math.sqrt(high / slope) if slope > 0 and high > 0 else math.inf
    return min(max(found, NEAREST * reach), FARTHEST * reach)
