"""Whether the object is wider than the detector, or than the slice that is reconstructed.

Heuristics: what the detector did not see is not known. They are used where a guess is better than
air, in the filter of filtered back-projection, and in warnings; nothing is certified by them.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor

from operators._ray_weights import positions, radius_of, sees_whole_turn
from operators.scan_geometry import ScanGeometry

# An end that sees this part of the largest mean line integral sees no air.
TRUNCATED = 0.08
# The object is looked for between the detector's end and twice as far out.
NEAREST, FARTHEST = 1.03, 2.0
# Rays through air measure less than this: times the noise, and part of the largest line integral,
# which a flat field that is a little off leaves there.
AIR = 4.0, 0.02
# So much of what was measured may lie beside a slice, and beside a circle that holds the object.
BESIDE, LEFT = 0.005, 0.001


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


def beside_the_slice(
    y: Float[Tensor, "*slices angles detectors"],
    lengths: Float[Tensor, "*one angles detectors"],
    geometry: ScanGeometry,
    noise: float,
) -> float | None:
    """Radius in mm about the axis of the circle that holds an object larger than the slice.

    A ray that misses the slice must have measured air. None where those that measured more hold at
    most 0.5 % of what all measured.

    Args:
        y: line integrals; of a cone beam its middle row is looked at.
        lengths: how far each ray runs in the slice, zero where it misses it.
        noise: standard deviation of the noise in y.
    """
    if geometry.detector_rows is not None:
        y, lengths = (t[..., geometry.detector_rows // 2, :] for t in (y, lengths))
    rows = y.detach().double().clamp_min(0).flatten(0, -3)
    least = max(AIR[0] * noise, AIR[1] * float(rows.max()))
    rows = rows * (rows > least)
    total = float(rows.sum())
    if float(rows[..., lengths.flatten(0, -3)[0] <= 0].sum()) <= BESIDE * total:
        return None
    place, source = positions(geometry, rows).abs(), radius_of(geometry)
    if math.isfinite(source):  # from where on the detector a ray passes the axis
        slope = place if geometry.kind == "fan_curved" else (place / source).atan()
        place = source * slope.sin()
    order = place.argsort(descending=True)
    beyond = rows.sum((0, 1))[order].cumsum(0)
    first = int((beyond > LEFT * total).double().argmax())
    return float(place[order[first]])
