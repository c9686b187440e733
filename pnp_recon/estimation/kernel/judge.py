"""How good is a kernel, when nobody knows the picture? What it makes of the photograph tells.

With the right kernel, total variation restores a picture of few strong edges; a wrong one rings or
stays blurred. Two numbers of its gradients say so: the ratio of mean and root mean square, small
for few strong edges (normalised sparsity: Krishnan, Tay & Fergus 2011), and the mean itself, large
where the picture rings.

Whether there is a blur at all shows before any kernel: across the direction in which a camera moved
no edge is steep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.estimation.kernel.periodic import (
    blurred,
    continued,
    filled_in,
    gradient,
    gradient_adjoint,
    gradient_spectrum,
    transfer,
)

# The weight of total variation at noise of 2.55/255; tuned on train pictures, with true kernels.
WEIGHT, AT_NOISE = 7e-4, 0.01
FAINTEST_NOISE = 0.005  # a kernel that is not exact counts as noise
FIRST, LAST = 0.5, 300.0  # couplings of the splitting
# Taps across which an edge is looked at, the least range of values there, and the share of steeper
# places: the steepest may be a speck. Fewer places in a direction than this tell nothing.
ACROSS, LEAST_RANGE, STEEPER, FEWEST = 9, 0.1, 0.1, 100
RINGING = 0.5  # weight of the logarithm of the mean gradient against that of the ratio


@dataclass(frozen=True)
class Verdict:
    """What a kernel makes of a picture: mean and root mean square of the gradients."""

    mean: float
    root: float

    @property
    def sparsity(self) -> float:
        """The logarithm of mean by root mean square: the lower, the fewer and stronger edges."""
        return math.log(max(self.mean, 1e-12) / max(self.root, 1e-12))

    @property
    def cost(self) -> float:
        """By which kernels of one picture are compared; not comparable between pictures."""
        return self.sparsity + RINGING * math.log(max(self.mean, 1e-12))


def deconvolved(y: Tensor, kernel: Tensor, noise: float) -> Tensor:
    """Total variation in a few dozen FFTs: half-quadratic splitting (Wang, Yang, Yin & Zhang 2008).

    y (H, W) in [0, 1]; the result has its size. Beyond the border nothing is taken for known.
    Quick rather than exact: for judging kernels, not for showing.
    """
    weight = WEIGHT * (max(noise, FAINTEST_NOISE) / AT_NOISE) ** 1.5
    whole = continued(y, kernel.shape[0] + 8)
    kernel_spectrum, laplacian = transfer(kernel, whole.shape), gradient_spectrum(whole.shape)
    power, x, coupling = kernel_spectrum.abs().square() / weight, whole, FIRST
    while coupling < LAST:
        for _ in range(2):
            across, down = gradient(x)
            height = (across.square() + down.square()).sqrt().clamp(min=1e-8)
            share = (1 - 1 / (coupling * height)).clamp(min=0)
            edges = torch.fft.rfft2(gradient_adjoint(across * share, down * share))
            seen = kernel_spectrum.conj() * torch.fft.rfft2(whole) / weight
            spectrum = (seen + coupling * edges) / (power + coupling * laplacian)
            x = torch.fft.irfft2(spectrum, s=whole.shape)
            whole = filled_in(y, blurred(x, kernel_spectrum))
        coupling *= 2
    return x[: y.shape[0], : y.shape[1]]


def verdict(y: Tensor, kernel: Tensor, noise: float) -> Verdict:
    """Restores y (H, W) with the kernel and looks at the gradients, borders left out."""
    across, down = gradient(deconvolved(y, kernel, noise))
    edge = min(20, min(y.shape) // 8)
    inner = (slice(edge, y.shape[0] - edge - 1), slice(edge, y.shape[1] - edge - 1))
    height = (across.square() + down.square())[inner]
    return Verdict(float(height.sqrt().mean()), float(height.mean().sqrt()))


def steepness(y: Tensor, noise: float) -> float:
    """How steep the edges of y (H, W) are in the direction in which they are least so, in [0, 1].

    Of 9 pixels in a row with an edge among them: the largest step by the whole range, the tenth
    part of the steepest such rows decides, in each of four directions. About 0.6 and more in sharp
    pictures; a blur of ℓ pixels leaves about 1/ℓ of a step, and more at an edge along it. 1 where
    there are no edges.
    """
    reach = ACROSS // 2
    inner = (slice(reach, y.shape[0] - reach), slice(reach, y.shape[1] - reach))
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        moves = [(down * step, right * step) for step in range(-reach, reach + 1)]
        row = torch.stack([torch.roll(y, move, (0, 1))[inner] for move in moves])
        whole = row.amax(0) - row.amin(0)
        step = (row.diff(dim=0).abs().amax(0) - 2 * noise).clamp(min=0)
        edge = whole > max(LEAST_RANGE, 8 * noise)
        if int(edge.sum()) >= FEWEST:
            shares = step[edge] / whole[edge]
            found.append(float(shares.kthvalue(math.ceil((1 - STEEPER) * len(shares))).values))
    return min(found, default=1.0)
