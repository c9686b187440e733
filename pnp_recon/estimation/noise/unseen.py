"""The noise where a kernel lets nothing of the picture through.

y = k ∗ x + n: at a frequency with k̂ ≈ 0 all that y holds is noise, whatever the picture is, and of
whatever colour the noise is. What is left of the picture there, through |k̂| > 0 and through the
window, is foretold by a power law of its spectrum and taken off. Knows no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pnp_recon.estimation.spectrum import Spectrum, spectrum

# |k̂| below this lets nothing through; above the second, what is seen is the picture.
OPAQUE, CLEAR = 0.05, 0.3
# Cycles per pixel: below is the content of every picture, whatever the kernel.
LOWEST = 0.03
# Rings in which the noise counts as of one strength.
EDGES = (LOWEST, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, math.sqrt(0.5) + 1e-9)
# Frequencies that a ring needs, and a fit of the spectrum.
ENOUGH = 20
# Share of a ring's power that may be the picture's.
CONTENT = 0.5
# The window of von Hann correlates neighbours: independent frequencies per frequency.
INDEPENDENT = 1 / 2.25


@dataclass(frozen=True)
class Unseen:
    """Standard deviation of the noise over all frequencies, [0, 1] units.

    Attributes:
        level: what the rings add up to; rings without an opaque frequency count as their neighbour.
        spread: relative standard deviation of `level` by the number of frequencies.
        covered: share of the frequency plane that lies in rings with opaque frequencies.
    """

    level: float
    spread: float
    covered: float


def unseen_noise(y: Tensor, kernel: Tensor, clipped: Tensor | None = None) -> Unseen | None:
    """The noise of y, (1, C, H, W) in [0, 1], that was blurred with `kernel` (h, w), Σ = 1.

    Of a grid of kernels, (gh, gw, h, w), only frequencies count that every one of them blocks.

    Blocks with `clipped` pixels, (1, 1, H, W), are left out: there y is no blurred picture. None
    where the kernel is nowhere opaque, or the picture is too small or too rich to tell.
    """
    if not bool(torch.isfinite(y).all()):
        return None
    seen = spectrum(y, clipped)
    if seen is None:
        return None
    power, radius = seen.power, seen.radius
    passed = seen.passed(kernel)
    content = None if passed is None else _content(seen, passed)
    if passed is None or content is None:
        return None
    opaque = (passed < OPAQUE**2) & (radius >= LOWEST)
    rings, areas, count = [], [], 0
    for low, high in pairwise(EDGES):
        ring = (radius >= low) & (radius < high)
        areas.append(int(ring.sum()))
        chosen = opaque & ring
        if int(chosen.sum()) >= ENOUGH:
            chosen = chosen & (content < CONTENT * power[chosen].median())
        if int(chosen.sum()) < ENOUGH:
            rings.append(math.nan)
            continue
        count += int(chosen.sum())
        rings.append(max(float((power - content)[chosen].mean()), 0.0))
    if count == 0:
        return None
    whole = sum(areas)
    covered = sum(a for a, v in zip(areas, rings, strict=True) if not math.isnan(v)) / whole
    total = sum(a * v for a, v in zip(areas, _filled(rings), strict=True)) / whole
    # The relative spread of a square is twice that of its root; the transform of real numbers
    # holds each frequency twice.
    independent = seen.blocks * count * INDEPENDENT / 2
    return Unseen(math.sqrt(total), 0.5 / math.sqrt(independent), covered)


def _content(seen: Spectrum, passed: Tensor) -> Tensor | None:
    """Expected power of the picture at each frequency as the window shows it.

    Pictures have spectra that fall as a power of the frequency (Field 1987); its exponent and its
    level are fitted where the kernel is clear and the picture well above the noise.
    """
    power, radius, blocks = seen.power, seen.radius, seen.blocks
    middle = (radius >= LOWEST) & (radius < 0.45)
    floor = float(power[radius > 0.3].quantile(0.1))
    clear = middle & (passed > CLEAR**2)
    chosen = clear & (power > 4 * floor)
    chosen = chosen if int(chosen.sum()) >= ENOUGH else clear
    if int(chosen.sum()) < ENOUGH or not bool((power[chosen] > 0).all()):
        return None
    log = radius[chosen].log()
    columns = torch.stack([torch.ones_like(log), log], 1)
    target = (power[chosen] / passed[chosen]).log()[:, None]
    level, slope = torch.linalg.lstsq(columns, target).solution[:, 0]
    # The mean of the logarithm lies below the logarithm of the mean of a periodogram.
    level = level + 1 / (2 * blocks) + 1 / (12 * blocks**2)
    nearest = 0.5 / max(power.shape)
    sharp = (level + slope * radius.clamp(min=nearest).log()).exp()
    leak = torch.fft.fft2(seen.window).abs().square()
    leak = torch.fft.fft2(leak / leak.sum())
    return torch.fft.ifft2(torch.fft.fft2(passed * sharp) * leak).real.clamp(min=0)


def _filled(rings: list[float]) -> list[float]:
    """Rings without a value take that of the next one outwards, or else inwards."""
    filled = list(rings)
    for k in reversed(range(len(filled) - 1)):
        filled[k] = filled[k + 1] if math.isnan(filled[k]) else filled[k]
    for k in range(1, len(filled)):
        filled[k] = filled[k - 1] if math.isnan(filled[k]) else filled[k]
    return filled
