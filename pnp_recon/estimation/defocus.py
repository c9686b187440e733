"""Estimate the radius of a defocus from one blurred picture.

A disc of radius R multiplies the spectrum of the sharp picture by 2 J₁(2πRf)/(2πRf), whose zeros
are rings (Cannon 1976 looked for them in the cepstrum). As for a motion, the power spectrum is
fitted under every radius of a grid (`power`), and the best fit wins. It is held against no blur,
and against Gaussians and squares, which leave no rings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from operators.kernels import disk, gaussian, uniform
from pnp_recon.errors import InputError
from pnp_recon.estimation.power import Periodogram, periodogram, score

__all__ = ["DefocusEstimate", "estimate_defocus"]

METHOD = "parametric fit of the power spectrum (after Cannon 1976)"
BLOCK, FINE_BLOCK = 128, 256  # pixels
RADII = (*(1 + 0.25 * k for k in range(12)), *(4 + 0.5 * k for k in range(33)))
# Below this no ring lies within the spectrum, and a soft picture looks the same.
LEAST = 1.5
# What counts as another radius: so many pixels or this share.
RIVAL, RIVAL_SHARE = 1.0, 0.15
LEAST_SIDE = 16  # half of the picture's
STEPS = 16  # between two radii of the grid
# Other blurs: standard deviations of Gaussians, sides of squares.
STDS, SIDES = tuple(0.5 * 1.2**k for k in range(14)), tuple(range(3, 42, 2))
# The confidence is a half where gain times lead is the first, or the lead in all is the second: as
# for a motion, and checked on train pictures.
HALF_PRODUCT, HALF_EVIDENCE = 5e-5, 4.0


@dataclass(frozen=True)
class DefocusEstimate:
    """A disc of `radius` pixels (0: none), and how sure it is, in [0, 1]."""

    radius: float
    confidence: float
    method: str = METHOD


def estimate_defocus(image: Tensor, sigma: float | None = None) -> DefocusEstimate:
    """The radius of the disc that blurred `image`, from 1.5 to 20 pixels: a heuristic.

    Args:
        image: (1, C, H, W) in [0, 1]; discs of at most half its shorter side are tried.
        sigma: standard deviation of its noise, same units: the floor of the spectrum is taken where
            that is larger, or where none is given.

    Returns:
        The estimate; its confidence is below 0.5 where nothing is to be seen, as in sharp pictures
        or other
        blurs. Of 24 pictures of BSDS500 val without BSD68, radii 2 to 12, noise of 1 or 2.55/255,
        23 had more, all within 0.12 pixels; of 96 that were sharp or blurred by a motion, a
        Gaussian or a shake, none. In crops of 140 pixels a side 18 of 24, within 0.3 pixels, and 2
        of 96.

    Raises:
        InputError: another shape.
    """
    if image.ndim != 4 or image.shape[0] != 1 or image.numel() == 0:
        raise InputError(
            f"picture of shape {tuple(image.shape)} found; expected (1, C, H, W): one picture"
        )
    grey = image.detach()[0].to("cpu", torch.float64).mean(dim=0)
    most = min(grey.shape) / 2
    radii = [radius for radius in RADII if 2 * radius < most]
    if most < LEAST_SIDE or not bool(torch.isfinite(grey).all()) or float(grey.std()) < 1e-6:
        return DefocusEstimate(0.0, 0.0)
    noise = None if sigma is None else (sigma**2 + 1 / (12 * 255**2)) / image.shape[1]
    coarse = periodogram(grey, BLOCK, noise, thin=1)
    scores = _scores(coarse, [disk(radius, dtype=torch.float64) for radius in radii])
    best = int(scores.argmax())
    low, high = radii[max(0, best - 1)], radii[min(best + 1, len(radii) - 1)]
    near = [low + (high - low) * k / STEPS for k in range(STEPS + 1)]
    fine = periodogram(grey, FINE_BLOCK, math.exp(coarse.log_noise), thin=2)
    refined = _scores(fine, [disk(radius, dtype=torch.float64) for radius in near])
    radius = near[int(refined.argmax())]
    # What it explains better than no blur, and than any clearly different one, in units of the loss
    # per frequency.
    others = [gaussian(std, dtype=torch.float64) for std in STDS if 8 * std < most]
    others += [uniform(side, dtype=torch.float64) for side in SIDES if side < most]
    sharp, top = float(_sharp(coarse)), float(scores.max())
    apart = (torch.tensor(radii) - radius).abs() > max(RIVAL, RIVAL_SHARE * radius)
    rival = max(sharp, *scores[apart].tolist(), *_scores(coarse, others).tolist())
    gain_fine = (float(refined.max()) - float(_sharp(fine))) / fine.count
    gain, evidence = min(gain_fine, (top - sharp) / coarse.count), top - rival
    if gain <= 0 or evidence <= 0 or radius < LEAST:
        return DefocusEstimate(radius, 0.0)
    product = gain * evidence / coarse.count
    confidence = product / (product + HALF_PRODUCT) * evidence / (evidence + HALF_EVIDENCE)
    return DefocusEstimate(radius, confidence)


def _sharp(spectrum: Periodogram) -> Tensor:
    return score(spectrum, torch.zeros(1, spectrum.count))


def _scores(spectrum: Periodogram, kernels: Sequence[Tensor]) -> Tensor:
    """(kernels,)."""
    passed = torch.stack([_smeared(kernel, spectrum) for kernel in kernels])
    return score(spectrum, passed.clamp(min=1e-5).log().float())


def _smeared(kernel: Tensor, spectrum: Periodogram) -> Tensor:
    """|k̂|² as a periodogram under the Hann window shows it, (n,): the transform of the product of
    the autocorrelations of kernel and window."""
    block, side = spectrum.block, kernel.shape[0]
    own = torch.fft.irfft2(
        torch.fft.rfft2(kernel, s=(2 * side, 2 * side)).abs().square(), s=(2 * side, 2 * side)
    )
    window = torch.hann_window(block, periodic=True, dtype=torch.float64)
    damping = torch.fft.irfft(torch.fft.rfft(window, 2 * block).abs().square(), n=2 * block)
    lags = torch.arange(1 - side, side)
    one = (damping / damping[0])[lags % (2 * block)]
    product = own[lags % (2 * side)][:, lags % (2 * side)] * one[:, None] * one
    whole = torch.zeros(block, block, dtype=torch.float64)
    rows = (lags % block)[:, None].expand_as(product)
    whole.index_put_((rows, rows.T), product, accumulate=True)
    power = torch.fft.rfft2(whole).real
    row, column = -spectrum.y * block, spectrum.x * block
    return power[row.round().long() % block, column.round().long()]
