"""What keeps an estimated kernel a kernel: no specks, centred, resized between the scales."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def identity(side: int) -> Tensor:
    """The kernel (side, side), odd, that blurs nothing."""
    kernel = torch.zeros(side, side)
    kernel[side // 2, side // 2] = 1.0
    return kernel


def tidied(kernel: Tensor, threshold: float, least_mass: float) -> Tensor:
    """Without weights below `threshold` of the largest, and without parts that hang together by
    themselves and hold less than `least_mass` of the whole; centred, summing to one."""
    from scipy import ndimage  # heavy

    if not bool(torch.isfinite(kernel).all()) or float(kernel.max()) <= 0:
        return identity(kernel.shape[0])
    kept = torch.where(kernel >= threshold * kernel.max(), kernel, 0.0)
    kept = kept / kept.sum()
    labels, parts = ndimage.label(kept.numpy() > 0, structure=torch.ones(3, 3).numpy())
    if parts > 1:
        label = torch.from_numpy(labels).long()
        mass = torch.zeros(parts + 1).index_add_(0, label.flatten(), kept.flatten())
        kept = kept * (mass >= min(least_mass, float(mass.max())))[label]
    return centred(kept / kept.sum())


def centred(kernel: Tensor) -> Tensor:
    """Moved by whole pixels, so that the centre of mass lies in the middle; sums to one."""
    side = kernel.shape[0]
    place = torch.arange(side, dtype=kernel.dtype)
    down = round(float((kernel.sum(1) * place).sum() / kernel.sum())) - side // 2
    right = round(float((kernel.sum(0) * place).sum() / kernel.sum())) - side // 2
    reach = max(abs(down), abs(right))
    wide = functional.pad(kernel, (reach,) * 4)
    top, left = reach + down, reach + right
    moved = wide[top : top + side, left : left + side]
    return moved / moved.sum()


def framed(kernel: Tensor, side: int) -> Tensor:
    """Cut or padded to (side, side), odd, about its middle; sums to one."""
    radius = (side - kernel.shape[0]) // 2
    whole = functional.pad(kernel, (radius,) * 4)
    return whole / whole.sum()


def rescaled(kernel: Tensor, ratio: float, side: int) -> Tensor:
    """The kernel of a picture `ratio` times as large, in a frame of (side, side)."""
    size = round(kernel.shape[0] * ratio)
    size += 1 - size % 2
    grown = functional.interpolate(
        kernel[None, None], size=(size, size), mode="bicubic", align_corners=False
    )
    return framed(grown[0, 0].clamp(min=0), side)


def extent(kernel: Tensor) -> int:
    """The side of the smallest centred square that holds all weights."""
    places = (kernel > 0).nonzero() - kernel.shape[0] // 2
    return 2 * int(places.abs().max()) + 1


def likeness(one: Tensor, other: Tensor) -> float:
    """The largest correlation of two kernels over all shifts, a pixel of difference forgiven; 1:
    the same kernel."""
    side = 2 * max(one.shape[0], other.shape[0]) + 3
    smooth = [
        functional.avg_pool2d(framed(kernel, side)[None, None], 3, 1, 1)[0, 0]
        for kernel in (one, other)
    ]
    spectra = [torch.fft.rfft2(kernel) for kernel in smooth]
    correlation = torch.fft.irfft2(spectra[0] * spectra[1].conj(), s=smooth[0].shape)
    return float(correlation.max() / (smooth[0].norm() * smooth[1].norm()))
