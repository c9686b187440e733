"""A model of the power spectrum of a blurred photograph, fitted under each of many kernels.

    E|Y(ω)|² = S(ω)·K(ω) + σ²(|ω|),      log S = a smooth function of few coefficients,

K being the power of a kernel smeared by the data window, S a power law with a slowly varying
dependence on the direction (sharp pictures have log-spectra like that: Field 1987), σ² the noise,
which may fall off with the frequency as it does in JPEG files. The coefficients are fitted by
Gauss–Newton steps to the logarithm of the averaged periodogram (Welch 1967, Hann window: no
wrap-around of the borders enters), under a Cauchy loss, which forgives the lines that edges and
textures draw into a spectrum. Knows no kind of kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.025, 0.45  # cycles per pixel: below is content, above mostly noise
STEPS = 5  # Gauss-Newton steps; further ones change no decision
# Standard deviations of the coefficients of log S (0: free). Natural pictures vary by about this
# much; without the limit the curvature would imitate a blur.
CONTENT_SPREAD = (0.0, 0.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3)
# The same for the logarithm of the noise: its level, and how it falls off with the frequency, as
# the noise of a JPEG file does.
FLOOR_SPREAD = (0.3, 1.0)


@dataclass(frozen=True)
class Periodogram:
    """The averaged periodogram at n frequencies, and what its model needs."""

    x: Tensor  # (n,) cycles per pixel, to the right
    y: Tensor  # (n,) upwards
    log_power: Tensor  # (n,)
    features: Tensor  # (n, p) of log S
    floor_features: Tensor  # (n, q) of the logarithm of the noise
    log_noise: float
    block: int

    @property
    def count(self) -> int:
        return len(self.x)


def periodogram(grey: Tensor, block: int, noise: float | None, thin: int) -> Periodogram:
    """Welch's average over blocks that overlap by half; every `thin`-th frequency is kept."""
    height, width = grey.shape
    block = min(block, height, width) // 2 * 2
    window = torch.hann_window(block, periodic=True, dtype=torch.float64)
    window = torch.outer(window, window)
    window = window / window.square().sum().sqrt()  # white noise keeps its variance
    blocks = torch.stack(
        [
            grey[top : top + block, left : left + block]
            for top in _starts(height, block)
            for left in _starts(width, block)
        ]
    )
    mean = (blocks * window.square()).sum(dim=(1, 2), keepdim=True)
    power = torch.fft.rfft2((blocks - mean) * window).abs().square()
    x = torch.fft.rfftfreq(block, dtype=torch.float64).expand(block, -1)
    y = -torch.fft.fftfreq(block, dtype=torch.float64)[:, None].expand_as(x)
    radius = torch.hypot(x, y)
    # The quietest tenth of the high frequencies, 0.75 being what averaging leaves of the mean. A
    # noise level that was given too low would make the fit read noise as signal.
    quietest = float(power.mean(dim=0)[radius > 0.35].quantile(0.1)) / 0.75
    noise = max(noise or 0.0, quietest, 1e-9)
    order = torch.arange(block)[:, None] + torch.arange(x.shape[1])
    kept = (radius > LOWEST) & (radius < HIGHEST) & (order % thin == 0)
    power, x, y = power[:, kept], x[kept], y[kept]
    # Blocks of high contrast would drown the others: each is weighed by its own level, which the
    # noise must not dominate.
    weights = 1 / (power.mean(dim=1) + 3 * noise)
    weights = weights / weights.sum()
    return Periodogram(
        x=x,
        y=y,
        log_power=(weights @ power).clamp(min=1e-12).log().float(),
        features=_features(x, y).float(),
        floor_features=_floor_features(x, y).float(),
        log_noise=math.log(noise),
        block=block,
    )


def _starts(extent: int, block: int) -> list[int]:
    count = math.ceil((extent - block) / (block / 2)) + 1
    return [round(i * (extent - block) / max(1, count - 1)) for i in range(count)]


def _features(x: Tensor, y: Tensor) -> Tensor:
    """The basis of log S: a power law, its curvature, and its dependence on the direction."""
    radius, direction = torch.hypot(x, y), torch.atan2(y, x)
    log = torch.log(radius / 0.1)
    cos2, sin2 = torch.cos(2 * direction), torch.sin(2 * direction)
    cos4, sin4 = torch.cos(4 * direction), torch.sin(4 * direction)
    one = torch.ones_like(log)
    columns = [one, log, log * log, cos2, sin2, cos4, sin4, log * cos2, log * sin2, log * cos4]
    return torch.stack(columns, dim=1)


def _floor_features(x: Tensor, y: Tensor) -> Tensor:
    """The basis of the logarithm of the noise, relative to its level: a power law."""
    radius = torch.hypot(x, y)
    return torch.stack([torch.ones_like(radius), (HIGHEST / radius).log()], dim=1)


def score(spectrum: Periodogram, log_kernel: Tensor) -> Tensor:
    """Fit log S and the noise under each kernel (c, n); return minus the Cauchy losses (c,)."""
    content, floor = spectrum.features, spectrum.floor_features
    target, p, q = spectrum.log_power, len(CONTENT_SPREAD), len(FLOOR_SPREAD)
    both = torch.cat([content, floor], dim=1)
    rows, columns = torch.triu_indices(p + q, p + q)
    products = both[:, rows] * both[:, columns]
    kinds = (rows >= p).long() + (columns >= p).long()  # 0 content, 1 mixed, 2 floor
    bounds = [int((kinds == kind).sum()) for kind in range(3)]
    order = kinds.argsort(stable=True)
    rows, columns, products = rows[order], columns[order], products[:, order]
    parts = products.split(bounds, dim=1)
    spread = torch.tensor(CONTENT_SPREAD + FLOOR_SPREAD)
    ridge = torch.where(spread > 0, 1 / spread.square().clamp(min=1e-12), torch.zeros(p + q))
    coefficients = torch.zeros(len(log_kernel), p + q)
    coefficients[:, 0] = target.quantile(0.7)
    coefficients[:, 1] = -2.0  # the power law of natural pictures
    for step in range(STEPS + 1):
        signal = coefficients[:, :p] @ content.T + log_kernel
        noise = coefficients[:, p:] @ floor.T + spectrum.log_noise
        model = torch.logaddexp(signal, noise)
        residual = target - model
        if step == STEPS:
            break
        share = (signal - model).exp()  # of the content: d model / d signal
        rest = 1 - share
        forgiven = 1 / (1 + residual.square())
        pull = forgiven * residual
        gradient = torch.cat([(pull * share) @ content, (pull * rest) @ floor], dim=1)
        weights = (forgiven * share.square(), forgiven * share * rest, forgiven * rest.square())
        upper = torch.cat([w @ part for w, part in zip(weights, parts, strict=True)], dim=1)
        hessian = torch.zeros(len(log_kernel), p + q, p + q)
        hessian[:, rows, columns] = upper
        hessian[:, columns, rows] = upper
        hessian = hessian + torch.diag(ridge + 0.01)
        update = torch.linalg.solve(hessian, (gradient - ridge * coefficients)[..., None])[..., 0]
        coefficients = coefficients + update.clamp(-2.0, 2.0)
    return -torch.log1p(residual.square()).sum(dim=1)
