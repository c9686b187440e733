"""Defects of a measured sinogram: stripes of detector pixels, stuck pixels, a beam that drifts.

Each is measured here and taken out by the caller, who says so. All rules are heuristics about how
defects look; what they leave alone is never certified to be free of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.scans.ranks import median

# The median over so many detector pixels says what one should show: a stripe is narrower than half.
_NARROW = 7
# Times its own noise, a stripe or a drift is seen.
_SEEN = 3.0
# Of the largest mean line integral: what air may be off zero, and what it may vary along the
# detector's ends.
_AIR, _LEVEL = 0.3, 0.02
# A stuck pixel varies less than this part of its neighbours, which vary by that part of the scan.
_STUCK, _ALIVE = 0.02, 0.02
# One value of so many, at either end of a pixel's values, may be a flash.
_FLASHES = 50


@dataclass(frozen=True, eq=False)
class Stripes:
    """What detector pixels add to all of their line integrals.

    Attributes:
        profile: (slices, detectors), zero where nothing stands out of the noise.
        level: standard deviation of the profile over all pixels; 0: no stripe is seen.
    """

    profile: Float[Tensor, "slices detectors"]
    level: float


def find_stripes(lines: Float[Tensor, "slices angles detectors"], noise: float) -> Stripes:
    """Stripes of one to three pixels: the median over the views of what narrow features there are.

    A feature of the object passes over the detector from view to view and leaves no median, but
    near the rotation axis, and for an edge that is a circle about it: these look like stripes. On
    slopes stripes come out too small, down to half; they are never made up by a slope.

    Args:
        lines: line integrals.
        noise: standard deviation of the noise of one of them.
    """
    array = lines.detach().cpu().double().numpy()
    narrow = array - np.stack([median(one, (1, _NARROW), "edge") for one in array])
    profile = np.median(narrow, axis=1)
    # Of a median of n values.
    own = math.sqrt(math.pi / 2 / array.shape[1]) * noise
    profile[np.abs(profile) < _SEEN * own] = 0
    level = float(np.sqrt(np.square(profile).mean()))
    return Stripes(torch.from_numpy(profile).to(lines), level)


def own_stripes(
    profile: Float[Tensor, "slices detectors"], axis: float
) -> Float[Tensor, "slices detectors"]:
    """What of a profile of stripes is not mirrored at the rotation axis.

    A circle of the object about the axis is seen at the same distance on both sides of it, in every
    view: as a pair of stripes of one sign. Of each pair the smaller is taken off both.

    Args:
        profile: what `find_stripes` saw.
        axis: detector pixel in which the rotation axis is seen.
    """
    values = profile.detach().cpu().double().numpy()
    places = np.arange(values.shape[-1])
    mirrored = np.stack([np.interp(2 * axis - places, places, v, 0, 0) for v in values])
    both = np.minimum(np.abs(values), np.abs(mirrored))
    circles = np.where(values * mirrored > 0, np.sign(values) * both, 0)
    return profile - torch.from_numpy(circles).to(profile)


def changing_share(lines: Float[Tensor, "slices angles detectors"], noise: float) -> float:
    """Which part of the energy of line integrals changes from view to view, beyond the noise.

    Near 0 for an object that is a body of revolution about the axis: all that it shows is the same
    in every view, as stripes are.
    """
    values = lines.double()
    change = float((values - values.mean(1, keepdim=True)).square().mean())
    own = noise**2 * (1 - 1 / lines.shape[1])
    return max(change - own, 0.0) / max(float(values.square().mean()), 1e-30)


def stuck_pixels(
    lines: Float[Tensor, "slices angles detectors"],
) -> Bool[Tensor, "slices detectors"]:
    """Detector pixels, at most two beside each other, that give the same value in every view, where
    their neighbours do not."""
    # Without its extremes: a flash may hit a stuck pixel, too.
    few = max(lines.shape[1] // _FLASHES, 1) if lines.shape[1] > 20 else 0
    views = lines.double().sort(1).values[:, few : lines.shape[1] - few]
    spread = views.std(1)
    beside = torch.nn.functional.pad(spread[None], (2, 2), mode="replicate")[0].unfold(-1, 5, 1)
    # The second smallest: a stuck pixel may have another beside it.
    around = beside[..., [0, 1, 3, 4]].sort(-1).values[..., 1]
    still = spread < _STUCK * around
    # What stuck pixels show is no measure: one that sees no light has the largest of all values.
    usual = float(lines.double().abs().amax(1).masked_fill(still, 0).max())
    return still & (around > _ALIVE * usual)


def find_drift(
    lines: Float[Tensor, "slices angles detectors"], noise: float
) -> Float[Tensor, "slices angles detectors"] | None:
    """What the beam's changes add to each view, by the air at both ends of the detector.

    A brighter beam makes all line integrals of a view smaller by one number; a straight line
    between the two ends is taken. None where the air stays at zero within its noise.

    Raises:
        InputError: the ends of the detector do not see air in every view.
    """
    count = lines.shape[-1]
    few = max(count // 16, 2)
    ends = torch.stack([lines[..., :few].double(), lines[..., -few:].double()], -2)
    levels = ends.median(-1).values
    # The object's rim rises toward the middle; air is level, whatever the beam does.
    shape = (ends - levels[..., None]).median(1).values
    largest = float(lines.double().mean(1).abs().max())
    slack = _SEEN * math.sqrt(math.pi / 2 / lines.shape[1]) * noise
    if (
        float(shape.abs().max()) > _LEVEL * largest + slack
        or float(levels.flatten().median()) > _AIR * largest  # below zero is no object
    ):
        raise InputError(
            f"--drift needs air at both ends of the detector ({few} pixels) in every view; leave "
            "it out"
        )
    own = math.sqrt(math.pi / 2 / few) * noise
    if float(levels.square().mean().sqrt()) < _SEEN * max(own, 1e-12):
        return None
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    return (levels[..., :1] * (1 - share) + levels[..., 1:] * share).to(lines)
