"""Coarse to fine, from several starts; the best kernel wins, and the others say how sure it is.

The outline is that of Cho & Lee (2009) and Pan, Hu, Su & Yang (2014): an image pyramid, in every
scale a few alternations of a sharp picture and a kernel. Such an alternation may end in a wrong
kernel, and which setting does so differs from picture to picture. So there are several, judged by
what their kernels make of the picture (`judge`). Where starts that know nothing of each other end
in the same kernel, or both halves of the picture do, it is believed, unless the edges are as steep
as those of a sharp picture. None of this is proven: it is a heuristic with a measured
success (docs/results/blind.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pnp_recon.errors import InputError
from pnp_recon.estimation.kernel.alternate import kernel_for, sharp_edges
from pnp_recon.estimation.kernel.judge import steepness, verdict
from pnp_recon.estimation.kernel.periodic import blurred, continued, filled_in, transfer
from pnp_recon.estimation.kernel.tidy import (
    extent,
    framed,
    identity,
    likeness,
    rescaled,
    tidied,
)
from pnp_recon.estimation.noise.white import estimate_noise_level

METHOD = (
    "coarse to fine, sharp edges (L0 gradients) and kernel (non-negative ridge regression) in "
    "turns, the best of four starts (after Cho & Lee 2009, Xu et al. 2013, Pan et al. 2014; "
    "choice by normalised sparsity, Krishnan et al. 2011): a heuristic"
)
LARGEST = 65  # pixels
CROP = 512  # side of the part of a large picture that is looked at
THRESHOLD, LEAST_MASS = 0.02, 0.1  # of the largest weight; of all weights
DECAY = 1.1  # of the weight of the edges, at each alternation
LEAST_SIDE = 32
# Where nothing can be found: clipped pixels; gradients above the noise.
MOST_CLIPPED, FEWEST_EDGES = 0.15, 0.01
# Confidence: a half at these values, and how fast it changes there. Placed on train pictures.
AGREEMENT, AGREEMENT_WIDTH = 0.85, 0.015
STEEPEST, STEEPEST_WIDTH = 0.56, 0.01


@dataclass(frozen=True)
class Start:
    """A setting: weight of the edges first and last, ridge, and the pyramid."""

    first: float
    last: float
    ridge: float
    coarsest: int = 5  # side of the kernel there
    ratio: float = math.sqrt(2)
    turns: int = 5


STARTS = (
    Start(8e-3, 1e-4, 5e-2),
    Start(16e-3, 1e-4, 5e-2),
    Start(8e-3, 1e-4, 1e-2, coarsest=9),
    Start(16e-3, 1e-3, 1e-2, ratio=1.6, turns=8),
)


@dataclass(frozen=True, eq=False)
class KernelEstimate:
    """A kernel (n, n), n odd, float64, summing to one, and how sure it is.

    Attributes:
        confidence: in [0, 1]; below 0.5 it is not to be used without looking.
        agreement: mean likeness to the kernels of the best two other starts, at most 1, or
            likeness of the kernels of both halves of the picture, whichever is larger.
        steepness: how steep the edges of the blurred picture are, see `judge`; a blur leaves few.
        reason: why the confidence is low, a clause; empty where it is not.
    """

    kernel: Tensor
    confidence: float
    agreement: float = 0.0
    steepness: float = 0.0
    reason: str = ""
    method: str = METHOD


def estimate_kernel(
    image: Tensor, sigma: float | None = None, largest: int | None = None
) -> KernelEstimate:
    """The kernel that blurred `image`, the same everywhere in it, of any shape.

    Args:
        image: (1, C, H, W) in [0, 1], at least 32 pixels a side. Of more than 512 pixels a side
            the part with the strongest edges is looked at.
        sigma: standard deviation of its noise in the same units; None: it is estimated.
        largest: the kernel's side is at most this, in pixels, an odd number from 3 to 65, and
            never more than half the picture's. Default: 65, or a quarter of the picture's side:
            what has more weights takes texture for blur.

    Returns:
        The estimate. The true centre of a kernel cannot be seen in a picture: the centre of mass
        lies in the middle, and the result may be shifted by some pixels. Where there is nothing to
        find (flat, clipped or sharp pictures) the confidence is low and the reason says so; how
        often it errs is measured (docs/results/blind.md).

    Raises:
        InputError: another shape, or a size out of range.
    """
    if image.ndim != 4 or image.shape[0] != 1 or image.numel() == 0:
        raise InputError(
            f"picture of shape {tuple(image.shape)} found; expected (1, C, H, W): one picture"
        )
    if largest is not None and not (3 <= largest <= LARGEST and largest % 2):
        raise InputError(
            f"largest kernel side {largest} found; expected an odd number from 3 to {LARGEST}"
        )
    picture = image.detach()[0].to("cpu", torch.float32)
    height, width = picture.shape[-2:]
    if min(height, width) < LEAST_SIDE:
        return _nothing(
            f"the picture is {width}×{height} pixels, and a kernel is looked for in pictures of "
            f"{LEAST_SIDE} pixels a side and more"
        )
    if not bool(torch.isfinite(picture).all()):
        return _nothing("the picture holds values that are not finite numbers")
    picture = _strongest_part(picture)
    noise = estimate_noise_level(picture[None]) if sigma is None else sigma
    y = picture.mean(dim=0)
    side = min(y.shape)
    largest = min(LARGEST, (side // 4 - 1) | 1) if largest is None else largest
    largest = min(largest, (side // 2 - 1) | 1)
    reason = _hopeless(picture, y, noise)
    if reason:
        return _nothing(reason)
    with _one_thread():
        kernels = [_from_coarse(y, largest, start) for start in STARTS]
        verdicts = [verdict(y, kernel, noise) for kernel in kernels]
        best = min(range(len(kernels)), key=lambda index: verdicts[index].cost)
        kernel = kernels[best]
        halves = [_from_coarse(half, _bound(kernel, half), STARTS[best]) for half in _halves(y)]
        steep = steepness(y, noise)
    others = sorted(likeness(kernel, other) for i, other in enumerate(kernels) if i != best)
    agreement = max((others[-1] + others[-2]) / 2, likeness(*halves))
    agreed = _logistic((agreement - AGREEMENT) / AGREEMENT_WIDTH)
    smeared = _logistic((STEEPEST - steep) / STEEPEST_WIDTH)
    reason = ""
    if smeared < 0.5:
        reason = "its edges are steep in every direction: it is sharp, or hardly blurred"
    elif agreed * smeared < 0.5:
        reason = "searches from different starts, and in both halves, ended in different kernels"
    side = extent(kernel)
    found = framed(kernel.double(), side)
    return KernelEstimate(found, agreed * smeared, agreement, steep, reason)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Thousands of small FFTs: threads that wait for each other cost more than they do, up to ten
    times as much where other programs run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _halves(y: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right, or top and bottom of a tall picture."""
    axis = int(y.shape[1] >= y.shape[0])
    length = (y.shape[axis] + 1) // 2
    first, second = (y.narrow(axis, at, length) for at in (0, y.shape[axis] - length))
    return first.contiguous(), second.contiguous()


def _bound(kernel: Tensor, part: Tensor) -> int:
    """The largest side that a kernel of a part of the picture may have: not much more than here."""
    return min(extent(kernel) + 8, kernel.shape[0], (min(part.shape) // 2 - 1) | 1)


def _nothing(reason: str) -> KernelEstimate:
    return KernelEstimate(identity(1).double(), 0.0, reason=reason)


def _hopeless(picture: Tensor, y: Tensor, noise: float) -> str:
    """Why no kernel can be seen, or nothing."""
    clipped = float(((picture <= 0) | (picture >= 1)).any(dim=0).float().mean())
    if clipped > MOST_CLIPPED:
        return f"{clipped:.0%} of the pixels are clipped, and a blur is not linear there"
    # Means over 4 x 4 pixels: a blur of a few pixels leaves their differences, noise does not.
    means = functional.avg_pool2d(y[None, None], 4)[0, 0]
    across, down = means.diff(dim=1)[1:], means.diff(dim=0)[:, 1:]
    strong = max(4 * noise / 4, 0.01)
    share = float(((across.square() + down.square()).sqrt() > strong).float().mean())
    if share < FEWEST_EDGES:
        return "there are no edges in it that stand out of the noise"
    return ""


def _strongest_part(picture: Tensor) -> Tensor:
    """(C, H, W), at most CROP a side: where the gradients are largest, clipped pixels avoided."""
    height, width = picture.shape[-2:]
    if max(height, width) <= CROP:
        return picture
    y = picture.mean(dim=0)
    slope = torch.zeros_like(y)
    slope[1:, 1:] = (y.diff(dim=0)[:, 1:].abs() + y.diff(dim=1)[1:].abs()).clamp(max=0.2)
    slope = slope - (picture >= 1).any(dim=0).float()
    window = (min(CROP, height), min(CROP, width))
    sums = functional.avg_pool2d(slope[None, None], window, stride=32)[0, 0]
    top, left = (32 * int(i) for i in divmod(int(sums.argmax()), sums.shape[1]))
    return picture[:, top : top + window[0], left : left + window[1]]


def _from_coarse(y: Tensor, largest: int, start: Start) -> Tensor:
    """One search: (n, n), n odd and at most `largest`."""
    scales = [1.0]
    while largest * scales[-1] / start.ratio >= start.coarsest:
        scales.append(scales[-1] / start.ratio)
    weight, reach, kernel = start.first, float(largest), None
    for index in reversed(range(len(scales))):
        scale = scales[index]
        side = max(3, math.ceil(reach * scale) | 1)
        if kernel is None:
            kernel = identity(side)
            kernel[side // 2, side // 2 - 1] = 1.0  # two pixels: none would be a fixed point
            kernel = kernel / 2
        else:
            kernel = rescaled(kernel, scale / scales[index + 1], side)
        seen = y if index == 0 else _smaller(y, scale)
        kernel, weight = _alternated(seen, kernel, weight, start)
        # The kernel seen so far, and two pixels of this scale around it, bound the finer ones.
        reach = min(reach, (extent(kernel) + 4) / scale)
    assert kernel is not None
    return kernel


def _alternated(y: Tensor, kernel: Tensor, weight: float, start: Start) -> tuple[Tensor, float]:
    """The turns of one scale; the kernel, and the weight of the edges that comes next."""
    side = kernel.shape[0]
    whole = continued(y, side + 7)
    for _ in range(start.turns):
        spectrum = transfer(kernel, whole.shape)
        x = sharp_edges(whole, spectrum, weight)
        whole = filled_in(y, blurred(x, spectrum))
        kernel = kernel_for(x, whole, side, start.ridge, kernel)
        kernel = tidied(kernel, THRESHOLD, LEAST_MASS)
        whole = filled_in(y, blurred(x, transfer(kernel, whole.shape)))
        weight = max(weight / DECAY, start.last)
    return kernel, weight


def _smaller(y: Tensor, scale: float) -> Tensor:
    size = [round(side * scale) for side in y.shape]
    small = functional.interpolate(y[None, None], size=size, mode="bicubic", antialias=True)
    return small[0, 0]
