"""Whether a scan can be what it is taken for: kind of values, order of axes, saturation, frames.

Every rule here is a heuristic with a remedy: what cannot be right is refused, with the option that
says otherwise; what only may be wrong is a sentence for the report. Knows numbers, no files.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pnp_recon.errors import InputError

# exp(−20) of the beam is two photons in a billion: no detector tells that from nothing.
LARGEST_LINE_INTEGRAL = 20.0
# More of the detector at the end of its scale than this is said.
SATURATED = 1e-3
# Ends of scales: detectors of 8 to 16 bit, also where their numbers lie in a wider type.
FULL_SCALES = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 16))
# The sum over the detector may vary by this much; another order has to be so much steadier.
UNSTEADY, STEADIER = 0.15, 4.0
# In the other order, the detector's ends see less than this part of the largest value.
EMPTY_ENDS = 0.1
# More of a slice's rays than this without light, and nothing is seen.
MOST_DARK = 0.5
# A view with less, or more, of the usual sum is no view of the object.
BLANK_VIEW, DARK_VIEW, PLAIN_VIEW = 0.3, 3.0, 0.6
FEWEST = 8
# Nothing lets through more than all: this part of the line integrals may not lie below zero by so
# many times their noise and that part of the largest.
LOWEST, BELOW_NOISE, BELOW_AIR = 0.02, 4.0, 0.03


def refuse_no_line_integrals(values: Tensor, source: object) -> None:
    """Refuse values that are no line integrals, where nobody said that they are.

    Whole numbers are counts, numbers above 20 are counts or grey values, and numbers that are
    about 1 at the ends of the detector and smaller in its middle are transmitted parts.

    Raises:
        InputError: which of these, and what to say.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise InputError(f"{source}: all {values.numel()} values are {low:g}; there is no object")
    remedy = "or --kind line-integrals if that is what they are"
    counts = f"say --incident N (photons that enter a ray) or give flat fields, {remedy}"
    if bool((values == values.round()).all()):
        raise InputError(
            f"{source} holds whole numbers from {low:g} to {high:g}, like counts, not line "
            f"integrals; {counts}"
        )
    if high > LARGEST_LINE_INTEGRAL:
        raise InputError(
            f"{source} holds values up to {high:.4g}; a line integral above "
            f"{LARGEST_LINE_INTEGRAL:g} lets no photon through: {counts}"
        )
    if low > 0 and _brightest_at_the_ends(values):
        raise InputError(
            f"{source} holds values from {low:.3g} to {high:.3g}, about 1 at the ends of the "
            f"detector, like the part that is let through; say --kind intensities, {remedy}"
        )


def _brightest_at_the_ends(values: Tensor) -> bool:
    detectors = values.shape[-1]
    few = max(1, detectors // 32)
    ends = torch.cat([values[..., :few], values[..., -few:]], -1)
    middle = values[..., detectors // 3 : detectors - detectors // 3]
    end = float(ends.flatten().median())
    bright = 0.8 < end < 1.25 and float(values.max()) < 1.5
    return bright and float(middle.flatten().median()) < 0.9 * end


def saturation(values: Tensor, what: str) -> list[str]:
    """A sentence where many of `values` (counts) lie at the end of a detector's scale."""
    high = float(values.max())
    share = float((values == high).double().mean())
    if high not in FULL_SCALES or share <= SATURATED:
        return []
    return [
        f"{share:.1%} of {what} are {high:g}, the end of the detector's scale: it is saturated, "
        "and what lies behind is reconstructed too thin"
    ]


def starved(floored: Tensor) -> list[str]:
    """A sentence where most rays of a slice let no light through.

    Args:
        floored: (slices, angles, detectors) True where nothing arrived.
    """
    share = floored.double().mean((1, 2))
    dark = torch.nonzero(share > MOST_DARK).flatten().tolist()
    if not dark:
        return []
    return [
        f"in {len(dark)} of {len(share)} slices (the first is {dark[0]}) most rays let no light "
        "through: what they show is a guess; was the shutter open, or is the object opaque?"
    ]


def flat_values(values: Tensor, source: object) -> list[str]:
    """A sentence where all counts are equal.

    Raises:
        InputError: all are zero.
    """
    low, high = float(values.min()), float(values.max())
    if low < high:
        return []
    if high == 0:
        raise InputError(f"{source}: all {values.numel()} values are 0; the detector saw nothing")
    return [f"all values are {high:g}: there is no object, or the detector is at its limit"]


def refuse_other_order(lines: Float[Tensor, "slices angles detectors"], source: object) -> None:
    """Refuse line integrals of a parallel beam whose axes are taken for one another.

    The sum over the detector is the object's mass, the same in every view (Helgason and Ludwig's
    first condition). Where it varies, but is steady for another order of the axes in which the
    detector's ends see air, that order is meant.

    Raises:
        InputError: names the order that fits.
    """
    array = lines.detach().cpu().double().numpy()
    given = _unsteadiness(array, 1, 2)
    if array.shape[0] == 1:
        others = {"da": (2, 1)}
    else:
        others = {"sda": (2, 1), "asd": (0, 2), "ads": (0, 1), "dsa": (2, 0), "das": (1, 0)}
    fit = {name: _unsteadiness(array, *axes) for name, axes in others.items()}
    best = min(fit, key=lambda name: fit[name])
    if given > UNSTEADY and fit[best] < given / STEADIER and _ends_see_air(array, others[best][1]):
        raise InputError(
            f"{source}: the sum over the detector varies by {given:.0%} from view to view, in the "
            f"order {best} of the axes by {fit[best]:.1%} only, and a parallel beam sees the same "
            f"mass in every view; say --order {best}, or --order "
            f"{'ad' if array.shape[0] == 1 else 'sad'} if the axes are right"
        )


def _unsteadiness(array: NDArray[np.float64], views: int, detectors: int) -> float:
    """How much the sum over the axis `detectors` varies along `views`, as a part of its mean."""
    if min(array.shape[views], array.shape[detectors]) < FEWEST:
        return math.inf
    mass = array.sum(detectors, keepdims=True)
    mean = mass.mean(views, keepdims=True)
    typical = float(np.abs(mean).mean())
    return float(np.sqrt(np.square(mass - mean).mean())) / typical if typical > 0 else math.inf


def _ends_see_air(array: NDArray[np.float64], detectors: int) -> bool:
    ends = np.take(array, [0, -1], detectors)
    return bool(np.abs(ends).mean() < EMPTY_ENDS * np.abs(array).max())


def odd_views(lines: Float[Tensor, "slices angles detectors"]) -> list[str]:
    """Sentences about views that look like flat or dark fields among the projections.

    They differ from the views beside them at once; the mass that a truncated view sees changes
    little by little.
    """
    mass = lines.detach().cpu().double().mean((0, 2)).numpy()
    usual = float(np.median(mass))
    if len(mass) < FEWEST or not usual > 0:
        return []
    found = []
    for odd, kind in ((mass < BLANK_VIEW * usual, "flat"), (mass > DARK_VIEW * usual, "dark")):
        places = np.flatnonzero(odd)
        plain = np.flatnonzero((mass > PLAIN_VIEW * usual) & (mass < usual / PLAIN_VIEW))
        if not 0 < len(places) < 0.3 * len(mass) or not len(plain):
            continue
        beside = {place + step for place in places for step in (-1, 1)} - set(places.tolist())
        if all(place in plain for place in beside if 0 <= place < len(mass)):
            said = _ranges(places)
            found.append(
                f"views {said} look like {kind} fields among the projections; take them out, or "
                "say which they are in the file (NXtomo's image_key)"
            )
    return found


def below_air(lines: Float[Tensor, "slices angles detectors"], noise: float) -> list[str]:
    """A sentence where line integrals lie below zero by more than their noise does.

    Args:
        lines: line integrals without outliers.
        noise: standard deviation of the noise of one of them.
    """
    values = lines.detach().cpu().double().flatten().numpy()
    low = float(np.quantile(values, LOWEST))
    if low >= -max(BELOW_NOISE * noise, BELOW_AIR * float(values.max())):
        return []
    return [
        f"{LOWEST:.0%} of the line integrals lie below {low:.3g}: more light than without an "
        "object. The flat fields or --incident are too dim, or the beam drifted; --drift brings "
        "the air at the detector's ends to zero"
    ]


def _ranges(places: NDArray[np.intp]) -> str:
    groups = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    words = [f"{g[0]}" if len(g) == 1 else f"{g[0]}–{g[-1]}" for g in groups[:4]]
    return ", ".join(words) + (" and more" if len(groups) > 4 else "")


# ---- angles --------------------------------------------------------------------------------

# Turns that whole degrees make where radians are meant.
_MOST_RADIANS = 8 * math.pi


def degrees_that_are_radians(values: NDArray[np.float64]) -> bool:
    """All within a turn of radians, and more views than degrees: 180 views over 3.1°."""
    span = float(np.ptp(values))
    within = float(np.abs(values).max()) <= 2 * math.pi + 1e-3
    return within and len(values) > max(1, span + 1)


def radians_that_are_degrees(values: NDArray[np.float64]) -> bool:
    """More than four turns, or more than one in steps of round numbers."""
    largest = float(np.abs(values).max())
    if largest > _MOST_RADIANS:
        return True
    rounded = np.abs(20 * values - np.round(20 * values)).max() < 1e-6
    return bool(rounded) and largest > 2 * math.pi + 0.05
