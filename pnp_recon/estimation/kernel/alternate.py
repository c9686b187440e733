"""The two steps that alternate: a picture of sharp edges for a kernel, a kernel for the edges.

The picture, of nothing but edges, minimises ‖k * x − y‖² + λ‖∇x‖₀ approximately, by
half-quadratic splitting with a growing coupling (Xu, Lu, Xu & Jia 2011; as a prior for unknown
kernels Xu, Zheng & Jia 2013 and Pan, Hu, Su & Yang 2014). It is no good picture, and that is its
use: what a blur smears is flat or steep in it, never in between.

The kernel: ridge regression of the gradients of y on those of x (Cho & Lee 2009), over kernels
without negative weights. The normal equations need the autocorrelation of the edges alone, at lags
up to the kernel's side, so that they are solved on a small grid, whatever the size of the picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pnp_recon.estimation.kernel.periodic import (
    fast_length,
    gradient,
    gradient_adjoint,
    gradient_spectrum,
    transfer,
)

STEEPEST = 1e5  # the last coupling: gradients are then flat or steep to 1/300 of √λ
KERNEL_STEPS = 60


def sharp_edges(y: Tensor, kernel_spectrum: Tensor, weight: float) -> Tensor:
    """The picture (H, W) of few gradients that, blurred, resembles y (H, W), which is periodic.

    `weight` is λ: about the squared height of the smallest edge that is kept.
    """
    laplacian = gradient_spectrum(y.shape)
    seen = torch.fft.rfft2(y)
    back, power = kernel_spectrum.conj() * seen, kernel_spectrum.abs().square()
    x, coupling = y, 2 * weight
    while coupling < STEEPEST:
        across, down = gradient(x)
        kept = across.square() + down.square() >= weight / coupling
        edges = torch.fft.rfft2(gradient_adjoint(across * kept, down * kept))
        spectrum = (back + coupling * edges) / (power + coupling * laplacian)
        x = torch.fft.irfft2(spectrum, s=y.shape)
        coupling *= 2
    return x


def kernel_for(x: Tensor, y: Tensor, side: int, ridge: float, start: Tensor) -> Tensor:
    """The kernel (side, side) ≥ 0 that minimises ‖k * ∇x − ∇y‖² + ridge·‖∇x‖²·‖k‖².

    x and y (H, W) are periodic; `start` is a kernel of that side. The problem is strongly convex:
    the minimiser is unique, and accelerated projected gradients (Beck & Teboulle 2009) come close.
    The sum of the weights is free: an x without its faint edges is too flat, and the kernel pays.
    """
    radius = side // 2
    spectrum = torch.fft.rfft2(x)
    laplacian = gradient_spectrum(x.shape)
    auto = torch.fft.irfft2(spectrum.abs().square() * laplacian, s=x.shape)
    cross = torch.fft.irfft2(spectrum.conj() * torch.fft.rfft2(y) * laplacian, s=x.shape)
    pull = ridge * float(auto[0, 0])
    target = _lags(cross, radius)
    grid = torch.Size((fast_length(6 * radius + 2),) * 2)
    normal = transfer(_lags(auto, 2 * radius), grid)
    bound = float(normal.abs().max()) + pull
    if bound <= 0:
        return start
    kernel, ahead, momentum = start, start, 1.0
    for _ in range(KERNEL_STEPS):
        image = torch.fft.irfft2(normal * transfer(ahead, grid), s=grid)
        slope = _lags(image, radius) + pull * ahead - target
        new = (ahead - slope / bound).clamp(min=0)
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - kernel)
        kernel, momentum = new, following
    return kernel


def _lags(correlation: Tensor, radius: int) -> Tensor:
    """Lags −radius … radius of a circular correlation whose lag 0 is the first element."""
    around = torch.roll(correlation, (radius, radius), (0, 1))
    return around[: 2 * radius + 1, : 2 * radius + 1]
