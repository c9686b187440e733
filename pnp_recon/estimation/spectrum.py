"""The power of a picture per frequency, and what a kernel lets through of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK, SMALLEST = 256, 48


@dataclass(frozen=True)
class Spectrum:
    """A periodogram of Welch (1967) under a window of von Hann: borders do not matter.

    Attributes:
        power: (h, w), mean over channels and blocks; white noise of variance 1 has 1.
        radius: (h, w), cycles per pixel.
        window: (h, w).
        blocks: how many independent periodograms it is the mean of.
    """

    power: Tensor
    radius: Tensor
    window: Tensor
    blocks: float

    def passed(self, kernel: Tensor) -> Tensor | None:
        """|k̂|² at the frequencies; None where the kernel is larger than a block.

        Args:
            kernel: (h, w), or (C, h, w) with one for each channel: then the mean over them, as the
                power is one, too; (gh, gw, h, w) for a grid: the largest, as a picture is blocked
                at a frequency where every one of its kernels blocks it.
        """
        height, width = self.power.shape
        rows, columns = kernel.shape[-2:]
        if rows > height or columns > width:
            return None
        kernels = kernel.detach().double().cpu().reshape(-1, rows, columns)
        power = torch.fft.fft2(kernels, s=(height, width)).abs().square()
        return power.amax(0) if kernel.ndim == 4 else power.mean(0)


def spectrum(picture: Tensor, unusable: Tensor | None = None) -> Spectrum | None:
    """The power of a picture (1, C, H, W), from blocks of at most 256 a side.

    Args:
        picture: finite.
        unusable: (1, 1, H, W), boolean: blocks that touch such pixels are left out; they are made
            smaller, down to 48 a side, until one is left. None is returned where none is.
    """
    bad = torch.zeros(picture.shape[-2:]) if unusable is None else unusable[0, 0].cpu()
    size = BLOCK
    while True:
        height, width = (min(size, side) for side in picture.shape[-2:])
        places = [
            (top, left)
            for top in _starts(picture.shape[-2], height)
            for left in _starts(picture.shape[-1], width)
            if not bool(bad[top : top + height, left : left + width].any())
        ]
        if places or size == SMALLEST:
            break
        size = max(SMALLEST, min(size, *picture.shape[-2:]) * 3 // 4)
    if not places:
        return None
    window = torch.outer(_hann(height), _hann(width))
    power = _periodogram(picture[0].detach().double().cpu(), window, places)
    # Blocks overlap by half along an axis where there are several.
    blocks = max(1.0, len(places) / 4)
    down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    across = torch.fft.fftfreq(width, dtype=torch.float64)[None]
    return Spectrum(power, torch.hypot(down, across), window, blocks)


def _hann(length: int) -> Tensor:
    return torch.hann_window(length + 2, periodic=False, dtype=torch.float64)[1:-1]


def _periodogram(picture: Tensor, window: Tensor, places: list[tuple[int, int]]) -> Tensor:
    """Mean power per frequency over blocks, white noise of variance 1 having 1."""
    height, width = window.shape
    window = window / window.square().sum().sqrt()
    total = torch.zeros(height, width, dtype=torch.float64)
    for top, left in places:
        block = picture[:, top : top + height, left : left + width]
        mean = (block * window.square()).sum(dim=(-2, -1), keepdim=True)
        total += torch.fft.fft2((block - mean) * window).abs().square().mean(0)
    return total / len(places)


def _starts(extent: int, block: int) -> list[int]:
    count = math.ceil((extent - block) / (block / 2)) + 1
    return [round(i * (extent - block) / max(1, count - 1)) for i in range(count)]
