"""One noise level of a photograph, from all that is known of it (for `--sigma auto`).

A fidelity with one level needs the root mean square of all that y lies off A x: noise of the
sensor, whatever colour a camera gave it, rounding, compression, and what the kernel has wrong. Each
source sees a part of that and none too much of it, so that the largest is taken; too high a level
makes a smooth picture, too low a level one that is worse than the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnp_recon.estimation.noise.brightness import brightness_noise
from pnp_recon.estimation.noise.palette import SPREAD as PALETTE_SPREAD
from pnp_recon.estimation.noise.palette import palette_noise
from pnp_recon.estimation.noise.quantised import Component, quantisation_noise
from pnp_recon.estimation.noise.unseen import unseen_noise
from pnp_recon.estimation.noise.white import estimate_noise_level

WHITE = "the highest frequencies of the picture"
BRIGHTNESS = "the highest frequencies, noise that grows with the brightness"
UNSEEN = "the frequencies where the kernel lets nothing through"
JPEG = "the quantisation tables of the JPEG file"
PALETTE = "the few colours of the file"
# Where opaque frequencies cover so much of the plane, they see white noise as well, and without the
# texture that the highest frequencies take for noise.
COVERED = 0.6
# Relative spreads by measurement (scripts/tables/real_files.py); of unseen noise at least this.
WHITE_SPREAD, JPEG_SPREAD, LEAST_SPREAD = 0.5, 0.25, 0.1
# What a JPEG of a blurred picture rounds lies where the picture is, and none of it beyond: white
# noise that does as much harm is so many times as strong. (On train pictures 1.3 to 2.2 times.)
JPEG_DENSITY = 1.6


@dataclass(frozen=True)
class NoiseCandidate:
    """A level in [0, 1] units by one source, and its relative standard deviation."""

    level: float
    source: str
    spread: float


@dataclass(frozen=True)
class NoiseEstimate:
    """The noise level of a picture.

    Attributes:
        level: standard deviation, [0, 1] units (of linear light where the picture is); of a
            blurred JPEG file that of white noise which does as much harm.
        source: what it was seen by.
        spread: its relative standard deviation, as far as it is known.
        candidates: what every source says that applies, the taken one first.
    """

    level: float
    source: str
    spread: float
    candidates: tuple[NoiseCandidate, ...]

    @property
    def words(self) -> str:
        """Where it comes from, how sure it is, and what others say: half a sentence."""
        others = [
            f"{255 * other.level:.2g} from {other.source}"
            for other in self.candidates
            if other.source != self.source
        ]
        beside = f"; {', '.join(others)}" if others else ""
        return f"estimated from {self.source}, ± {self.spread:.0%}{beside}"


def estimate_noise(
    y: Tensor,
    kernel: Tensor | None = None,
    jpeg: Sequence[Component] = (),
    stored: Tensor | None = None,
    slope: float = 1.0,
    clipped: Tensor | None = None,
) -> NoiseEstimate:
    """The noise level of a picture by the largest of what applies.

    Args:
        y: (1, C, H, W) in [0, 1]; NaN where nothing is known.
        kernel: (h, w), what y was blurred with, where it is known.
        jpeg: the components of the JPEG file that y was read from.
        stored: the pixels as stored, where y is another function of them (linear light).
        slope: root mean square of the derivative of that function.
        clipped: (1, 1, H, W), boolean: pixels that are no blurred picture.
    """
    found = [NoiseCandidate(estimate_noise_level(y), WHITE, WHITE_SPREAD)]
    # In a sharp picture texture that differs between dark and bright parts would look like it.
    growing = None if kernel is None else brightness_noise(y)
    if growing is not None:
        found.append(NoiseCandidate(growing, BRIGHTNESS, WHITE_SPREAD))
    unseen = None if kernel is None else unseen_noise(y, kernel, clipped)
    if unseen is not None:
        spread = math.hypot(unseen.spread, LEAST_SPREAD)
        found.append(NoiseCandidate(unseen.level, UNSEEN, spread))
    if jpeg:
        level = quantisation_noise(y if stored is None else stored, jpeg, kernel)
        if level is not None:
            density = 1.0 if kernel is None else JPEG_DENSITY
            found.append(NoiseCandidate(slope * density * level, JPEG, JPEG_SPREAD))
    level = None if jpeg else palette_noise(y if stored is None else stored)
    if level is not None:
        found.append(NoiseCandidate(slope * level, PALETTE, PALETTE_SPREAD))
    eligible = found
    if unseen is not None and unseen.covered >= COVERED:
        eligible = [one for one in found if one.source in (UNSEEN, JPEG, PALETTE)]
    taken = max(eligible, key=lambda one: one.level)
    others = sorted((one for one in found if one is not taken), key=lambda one: -one.level)
    return NoiseEstimate(taken.level, taken.source, taken.spread, (taken, *others))
