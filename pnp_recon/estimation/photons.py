"""Photon noise of a picture: how strong it is at every pixel.

A pixel of mean value m collects g·m photons, give or take (g·m)^½: bright pixels are noisier than
dark ones. One level for all trusts the bright ones too much. A single count is a poor guess of its
own mean, and weights by it favour pixels that came out too dark; a mean of neighbours, which a blur
has made alike, does neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

# Pixels on either side that the local mean takes.
REACH = 2
# Counts below which a variance is not believed, and below which share of the mean of all: weights
# that differ more make a level of the prior that fits the darkest pixels alone.
LEAST_COUNTS, LEAST_SHARE = 0.5, 0.05


def photon_variance(
    y: Float[Tensor, "B C H W"],
    photons: float,
    readout: float = 0.0,
    known: Bool[Tensor, "#B #C H W"] | None = None,
) -> Float[Tensor, "B C H W"]:
    """The variance of the noise of every pixel, an estimate, in the units of y squared.

    Args:
        y: counts/photons, with what a background adds.
        photons: g > 0, expected counts where y would be 1.
        readout: variance of the noise of the readout, in counts².
        known: False where y is no count, as a clipped pixel is not; None: known everywhere.
    """
    seen = torch.ones_like(y) if known is None else known.to(y).expand_as(y)
    mean = _around(seen * y) / _around(seen).clamp_min(1e-6)
    counts = photons * mean.clamp_min(0)
    usual = counts.flatten(1).mean(1).view(-1, 1, 1, 1)
    least = (LEAST_SHARE * usual).clamp_min(LEAST_COUNTS)
    return (torch.maximum(counts, least) + readout) / photons**2


def _around(values: Tensor) -> Tensor:
    """The mean over neighbours, of those that there are."""
    size = 2 * REACH + 1
    return functional.avg_pool2d(values, size, 1, REACH, count_include_pad=False)
