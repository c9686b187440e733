"""The rotation axis by what the slice looks like: a check of the one that opposite views give.

Off its axis a slice has arcs and doubled edges. How much of that there is, is measured in small
filtered back-projections: by their total variation, or by the entropy of their histogram where
the object is wider than the detector (criteria as compared by Donath, Beckmann & Schreyer 2006).
Both are heuristics; where they agree with the mirrored views, the axis is sure.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from operators.filtered_back_projection import filtered_back_projection
from operators.scan_geometry import ScanGeometry
from pnp_recon.errors import InputError
from pnp_recon.scans.axis import RotationAxis, find_scan_axis
from pnp_recon.scans.truncation import object_radius
from pnp_recon.scans.zingers import find_zingers

# Side of the slices that are looked at.
_SIDE = 128
# Pixels to either side of an axis where the best slice is looked for, and in which steps.
_NEAR, _STEP = 3.0, 0.5
# Fewest views and detector pixels.
_FEWEST = 16
# Pixels that the two ways may differ by, and the mismatch of opposite views, of a sure axis; and
# the mismatch of one that needs no other way.
AGREED, POOR_FIT, GOOD_FIT = 0.75, 0.3, 0.003


def locate_axis(
    lines: Float[Tensor, "slices angles detectors"], angles: Float[Tensor, " angles"]
) -> RotationAxis:
    """The axis from opposite views, or from the centres of mass, checked by the middle slice.

    Parallel beam. Without opposite views the centre of mass of each view is used, which runs along
    a cosine about the axis; the object has to be on the detector as a whole.

    Returns:
        the axis; its `spread` is what the quality of the slice differs by, in pixels, or None
        where that is no better anywhere near, `mismatch` is nan without opposite views, and `sure`
        says whether both ways agree, or opposite views fit each other to 0.3 %.

    Raises:
        InputError: nothing to find the axis from, see `find_axis`.
    """
    slice_ = find_zingers(lines[len(lines) // 2 :][:1])[1]
    try:
        found = find_scan_axis(lines, angles)
    except InputError:
        pixel = _by_mass(slice_, angles)
        if pixel is None:
            raise
        found = RotationAxis(pixel, pixel - (lines.shape[-1] - 1) / 2, math.nan)
    other = best_slice(slice_, angles, found.pixel)
    if other is None:
        return replace(found, sure=found.mismatch <= GOOD_FIT)
    spread = abs(other - found.pixel)
    fits = not found.mismatch > POOR_FIT  # nan: there is nothing to fit
    sure = (spread <= AGREED and fits) or found.mismatch <= GOOD_FIT
    return replace(found, spread=spread, sure=sure)


def _by_mass(lines: Tensor, angles: Tensor) -> float | None:
    """Least squares of the centres of mass; None where the object is not seen as a whole."""
    count = lines.shape[-1]
    if len(angles) < _FEWEST or count < _FEWEST or not bool(torch.isfinite(lines).all()):
        return None
    scan = ScanGeometry("parallel", tuple(angles.tolist()), count)
    mass = lines[0].double().sum(-1)
    if object_radius(lines, scan) is not None or not float(mass.min()) > 0:
        return None
    turned = angles.double()
    if float(turned.max() - turned.min()) < math.pi / 2:
        return None  # a cosine is not told from its mean
    centres = (lines[0].double() * torch.arange(count, dtype=torch.float64)).sum(-1) / mass
    waves = torch.stack([torch.ones_like(turned), turned.cos(), turned.sin()], 1)
    return float(torch.linalg.lstsq(waves, centres[:, None]).solution[0, 0])


def best_slice(
    lines: Float[Tensor, "1 angles detectors"], angles: Float[Tensor, " angles"], near: float
) -> float | None:
    """The axis within three pixels of `near` whose slice is best; a parabola between the steps.

    None where the best is at the end: it is no better slice, but a trend.
    """
    places = near + np.arange(-_NEAR, _NEAR + _STEP / 2, _STEP)
    cost = _costs(lines, angles, places)
    best = int(np.argmin(cost))
    if not 0 < best < len(cost) - 1:
        return None
    before, here, after = cost[best - 1 : best + 2]
    return float(places[best] + _STEP / 2 * (before - after) / (before - 2 * here + after))


def _costs(lines: Tensor, angles: Tensor, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is wrong with the slices about the axes `places`, the smallest is the best."""
    count = lines.shape[-1]
    side = min(count, _SIDE)
    pixel = count / side
    t = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    inside = (t[:, None] ** 2 + t**2) < (side / 2 - 2) ** 2
    middle = (count - 1) / 2
    scan = ScanGeometry("parallel", tuple(angles.tolist()), count, 1.0, pixel)
    wide = object_radius(lines, scan) is not None
    cost = []
    for place in places:
        here = replace(scan, axis_offset=float(place) - middle)
        x = filtered_back_projection(
            here, lines.float(), (side, side), "hann", min(1.0, 1.5 / pixel),
            object_radius(lines, here),
        )[0]  # fmt: skip
        cost.append(_entropy(x[inside]) if wide else _variation(x, inside))
    return np.asarray(cost)


def _variation(x: Tensor, inside: Tensor) -> float:
    down, across = x.diff(dim=0)[:, :-1], x.diff(dim=1)[:-1]
    return float((torch.hypot(down, across) * inside[:-1, :-1]).sum())


def _entropy(values: Tensor) -> float:
    share = torch.histc(values, 64) / values.numel()
    return -float(torch.special.xlogy(share, share).sum())
