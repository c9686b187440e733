"""`pnp-ct`: zingers, stuck pixels, drift and stripes of a scan, each with its switch.

What is wrong gets no weight or is taken out, and it is said how much of it there was; where there
is none, nothing changes. Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.errors import InputError
from pnp_recon.scans import Corrected, Scan, sinogram_noise_level
from pnp_recon.scans.correction import interpolated
from pnp_recon.scans.defects import (
    Stripes,
    changing_share,
    find_drift,
    find_stripes,
    own_stripes,
    stuck_pixels,
)
from pnp_recon.scans.zingers import find_zingers

# More outliers than this are a property of the scan, no flashes.
MOST_ZINGERS = 0.02
# Of the energy of stripes, more than this in pairs about the axis are circles of the object: dense
# random stripes have a fifth. Of that of a sinogram, less than this that changes is an object that
# is round about the axis.
MOST_CIRCLES, LEAST_CHANGE = 0.3, 0.015
# Stripes that are so many times what the noise leaves of a mean over the views are worth a word: of
# simulated slices without stripes nothing is seen; those of a measured one are 7 times as large.
WORTH = 2.0
# More stuck pixels than this are no faults of a few.
MOST_STUCK = 0.1


@dataclass(frozen=True, eq=False)
class Mended:
    """A scan without its defects.

    Attributes:
        scan: line integrals, (slices, angles, detectors); outliers are replaced by what is beside
            them, for whoever cannot leave them out.
        weights: as in `Corrected`, zero for what is not to be believed; None without counts.
        mask: zero for what is not to be believed, else one; None: all is.
        noise: standard deviation of the noise, given or estimated.
        stripes: what detector pixels add to all views, or None; still in `scan`.
        lines, numbers: what was done, in words and for the report.
    """

    scan: Scan
    weights: Tensor | None
    mask: Tensor | None
    noise: float
    stripes: Stripes | None = None
    lines: tuple[str, ...] = ()
    numbers: Mapping[str, float | int] = field(default_factory=dict)


def mended(corrected: Corrected, options: CtOptions) -> Mended:
    """The scan without what the options let be found in it.

    Raises:
        InputError: --drift without air beside the object.
    """
    scan, weights = corrected.scan, corrected.weights
    data, good = scan.data, torch.ones_like(scan.data)
    said: list[str] = []
    numbers: dict[str, float | int] = {}
    if scan.missing is not None:
        good = good * ~scan.missing
        numbers["missing_values"] = int(scan.missing.sum())
    if options.dead_pixels is not False:
        data, good = _without_stuck(data, good, said, numbers)
    if options.zingers is not False:
        data, good = _without_zingers(data, good, scan.angles, said, numbers)
    given = options.noise_level
    noise = sinogram_noise_level(data) if given is None else given
    if options.drift:
        off = find_drift(data, noise)
        if off is None:
            said.append("drift: the air beside the object stays at zero, nothing is changed")
        else:
            data = data - off
            numbers["drift"] = float(off.square().mean().sqrt())
            said.append(
                f"drift: the beam changed by {numbers['drift']:.2%} (rms) from view to view; the "
                "air beside the object is brought to zero"
            )
    stripes = None
    if options.rings:
        stripes = find_stripes(data, noise)
        numbers["stripe_level"] = stripes.level
        if not stripes.level:
            stripes = None
            said.append("rings: no stripes stand out of the noise, nothing is changed")
        else:
            said.append(f"rings: stripes of {stripes.level:.3g} (rms) are seen in the sinogram")
    mask = None if bool((good == 1).all()) else good
    if mask is not None and weights is not None:
        weights = weights * mask
    return Mended(replace(scan, data=data), weights, mask, noise, stripes, tuple(said), numbers)


def concentric(
    data: Tensor, profile: Tensor, axis: float, noise: float
) -> tuple[Tensor, str] | None:
    """What to take out of `data` where the object looks like stripes itself, and a sentence; None
    where it does not, so that stripes can be fitted along with the slice.

    The fit sees hardly anything of what is the same in every view, and of a body of revolution
    about the axis it would leave nothing but the prior. Measured on phantoms of 64² with 90 views
    and 1 % of noise, total variation, relative error without a switch, fitted, and taken out: a
    disc about the axis 0.069, 0.080, 0.047; a tube 0.087, about 0.4, 0.052; an ellipse 0.105,
    0.031, 0.049.

    Args:
        data: line integrals (slices, angles, detectors).
        profile: stripes found in them (slices, detectors).
        axis: detector pixel in which the rotation axis is seen.
        noise: standard deviation of the noise.
    """
    own = own_stripes(profile, axis)
    circles = float((profile - own).square().sum() / profile.square().sum().clamp_min(1e-30))
    changes = changing_share(data, noise)
    if circles <= MOST_CIRCLES and changes >= LEAST_CHANGE:
        return None
    seen = (
        f"{circles:.0%} of the stripes are mirrored at the rotation axis, as circles of the object "
        "about it are"
        if circles > MOST_CIRCLES
        else f"only {changes:.1%} of the sinogram's energy changes from view to view, as in an "
        "object that is round about the rotation axis"
    )
    return own, (
        f"rings: {seen}; fitting stripes would take these parts of the object away, so that what "
        "is not mirrored is taken out of the data instead, and rings in pairs may stay; compare "
        "with a run without --rings"
    )


def unasked(data: Tensor, axis: float, noise: float) -> tuple[str, ...]:
    """A hint at --rings where the middle slice has stripes that are not circles of the object.

    Args:
        data, axis, noise: as in `concentric`.
    """
    middle = data[len(data) // 2][None]
    seen = find_stripes(middle, noise)
    if seen.level <= WORTH * noise * data.shape[1] ** -0.5:
        return ()
    if concentric(middle, seen.profile, axis, noise) is not None:
        return ()
    return (
        f"rings: stripes of {seen.level:.3g} (rms) are seen in the sinogram, which make rings in "
        "the slice; --rings fits them along with it",
    )


def _without_stuck(
    data: Tensor, good: Tensor, said: list[str], numbers: dict[str, float | int]
) -> tuple[Tensor, Tensor]:
    stuck = stuck_pixels(data)
    number = int(stuck.sum())
    if not number or number > MOST_STUCK * stuck.numel():
        return data, good
    numbers["stuck_pixels"] = number
    said.append(
        f"dead pixels: {number} of {stuck.numel()} detector pixels give the same in every view; "
        "they have no weight"
    )
    return interpolated(data, stuck), good * ~stuck[:, None]


def _without_zingers(
    data: Tensor,
    good: Tensor,
    angles: Tensor | None,
    said: list[str],
    numbers: dict[str, float | int],
) -> tuple[Tensor, Tensor]:
    turn = torch.arange(data.shape[1]) if angles is None else angles.argsort()
    back = turn.argsort()
    sorted_angles = None if angles is None else angles[turn]
    struck, mended_data = find_zingers(data[:, turn], sorted_angles)
    number = int(struck.sum())
    if not number:
        return data, good
    if number > MOST_ZINGERS * data.numel():
        said.append(
            f"zingers: {number / data.numel():.1%} of the values stand out, too many to be "
            "flashes; nothing is changed"
        )
        return data, good
    numbers["zingers"] = number
    said.append(
        f"zingers: {number} of {data.numel()} values stand out; they have no "
        "weight in the misfit, and filtered back-projection replaces them"
    )
    return mended_data[:, back], good * ~struck[:, back]


def refuse_for_a_volume(options: CtOptions) -> None:
    """Stripes of a cone beam would need a number for each pixel of its rows.

    Raises:
        InputError: --rings was given.
    """
    if options.rings:
        raise InputError("--rings does not go with a cone beam; leave it out")
