"""The noise of a picture that was made smaller, which is as sharp as its pixels allow.

The highest frequencies of such a picture hold texture, which `estimate_noise_level` takes for
noise of 2/255 in the mean, 7/255 at worst. So they are looked at in the smoothest parts alone, what
texture leaves there in most pictures is taken off, and the file says what rounding, compression
and a palette are worth. This errs to the low side on purpose: too high a level smooths, too low a
one is what a strength that is found from the data makes up for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from pnp_recon.estimation.noise.estimate import (
    JPEG,
    JPEG_SPREAD,
    PALETTE,
    NoiseCandidate,
    NoiseEstimate,
)
from pnp_recon.estimation.noise.palette import SPREAD as PALETTE_SPREAD
from pnp_recon.estimation.noise.palette import palette_noise
from pnp_recon.estimation.noise.quantised import Component, quantisation_noise
from pnp_recon.estimation.noise.white import detail_of, touched_by_clipping

SMOOTH = "the smoothest parts of the picture"
ROUNDING = "rounding to the depth of the file"
# Windows of so many pixels, every half of that, and which quantile of their variance is taken; it
# is so many times the variance where there is noise alone (0.5 % over 600² pixels).
WINDOW, QUANTILE, SHARE = 16, 0.05, 0.673
FEWEST = 9
# About what is seen in the smoothest parts of one in ten pictures without noise, σ·255: on 25 of
# BSDS500 train, shrunk 2 to 4 times, it is 1.2 to 1.6 in the mean, 2.2 to 3.6 in one of ten.
TEXTURE = 2.5
SMOOTH_SPREAD, ROUNDING_SPREAD = 0.5, 0.1


def estimate_sharp_noise(
    y: Tensor, bit_depth: int, jpeg: Sequence[Component] = ()
) -> NoiseEstimate:
    """The noise level of a picture that was made smaller, by the largest of what applies.

    Measured on the same pictures, rounded to 8 bits, σ·255 in the median (lowest, highest):

        true | shrunk 2 times      | 3 times             | 4 times
        0    | 0.29 (0.29, 5.58)   | 0.29 (0.29, 4.95)   | 0.29 (0.29, 6.11)
        1    | 0.29 (0.29, 5.72)   | 0.29 (0.29, 5.08)   | 0.29 (0.29, 5.99)
        2.55 | 2.12 (1.76, 6.36)   | 2.26 (1.80, 6.39)   | 2.45 (1.90, 7.77)
        7.65 | 7.83 (7.55, 10.21)  | 7.90 (7.54, 11.00)  | 8.06 (7.68, 12.96)

    Args:
        y: (1, C, H, W) in [0, 1].
        bit_depth: how many bits the file has; 32 stands for numbers that are not rounded.
        jpeg: the components of the JPEG file that y was read from.
    """
    rounding = 0.0 if bit_depth >= 32 else 1 / (2**bit_depth - 1) / math.sqrt(12)
    found = [NoiseCandidate(rounding, ROUNDING, ROUNDING_SPREAD)]
    smooth = _smooth(y)
    if smooth is not None:
        found.append(NoiseCandidate(smooth, SMOOTH, SMOOTH_SPREAD))
    level = quantisation_noise(y, jpeg) if jpeg else None
    if level is not None:
        found.append(NoiseCandidate(level, JPEG, JPEG_SPREAD))
    level = None if jpeg else palette_noise(y)
    if level is not None:
        found.append(NoiseCandidate(level, PALETTE, PALETTE_SPREAD))
    ordered = sorted(found, key=lambda one: -one.level)
    taken = ordered[0]
    return NoiseEstimate(taken.level, taken.source, taken.spread, tuple(ordered))


def _smooth(y: Tensor) -> float | None:
    """The level in the smoothest parts without the usual texture; None for too small a picture."""
    found = []
    for channel in y.detach().double().reshape(-1, 1, 1, *y.shape[-2:]):
        if min(channel.shape[-2:]) < WINDOW + 4:
            return None
        power = functional.avg_pool2d(detail_of(channel).square(), WINDOW, WINDOW // 2)
        hit = touched_by_clipping(channel).double()
        clean = functional.avg_pool2d(hit, WINDOW, WINDOW // 2) == 0
        values = power[clean] if int(clean.sum()) >= FEWEST else power.flatten()
        if len(values) < FEWEST:
            return None
        found.append(float(values.quantile(QUANTILE)) / SHARE)
    left = sum(found) / len(found) - (TEXTURE / 255) ** 2
    return math.sqrt(max(left, 0.0))
