"""Noise that grows with the brightness, as photons make it: variance a·brightness + b."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pnp_recon.estimation.noise.white import ENOUGH, MEDIAN, detail_of, touched_by_clipping

GROUPS = 8
# Over groups of windows by brightness, the strongest noise to the weakest, before it is said to
# depend on the brightness.
RATIO = 1.5


def brightness_noise(y: Tensor) -> float | None:
    """Root mean square of the noise over groups of equal brightness, [0, 1] units.

    The median over all windows (`estimate_noise_level`) is below it where the noise of a camera
    differs between dark and bright parts (Foi et al. 2008 model it as a·brightness + b); what a
    fidelity with one level needs is the mean square. None where the noise does not grow steadily,
    as texture or clipping make it look.
    """
    if min(y.shape[-2:]) < 5:
        return None
    found = []
    for channel in y.detach().double().reshape(-1, 1, *y.shape[-2:]):
        detail = detail_of(channel[None])[0, 0]
        usable = detail.isfinite() & ~touched_by_clipping(channel[None])[0, 0]
        mean = functional.avg_pool2d(channel[None], 5, stride=1)[0, 0]
        values, light = detail[usable].abs(), mean[usable]
        if len(values) < GROUPS * ENOUGH:
            return None
        order = light.argsort()
        groups = values[order].tensor_split(GROUPS)
        found.append(torch.stack([(group.median() / MEDIAN).square() for group in groups]))
    variances = torch.stack(found).mean(0)
    centres = torch.arange(GROUPS, dtype=torch.float64, device=y.device) - (GROUPS - 1) / 2
    slope = float((centres * variances).sum() / centres.square().sum())
    ends = float(variances[-2:].mean()), float(variances[:2].mean())
    spread = float((variances - variances.mean() - slope * centres).square().mean().sqrt())
    steady = slope > 0 and ends[0] > RATIO**2 * ends[1] and spread < slope * GROUPS / 4
    return math.sqrt(float(variances.mean())) if steady else None
