"""The power of a picture per frequency, and what a kernel lets through of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 256


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
        """|k̂|² at the frequencies; None where the kernel (h, w) is larger than a block."""
        height, width = self.power.shape
        if kernel.shape[0] > height or kernel.shape[1] > width:
            return None
        padded = torch.zeros(height, width, dtype=torch.float64)
        padded[: kernel.shape[0], : kernel.shape[1]] = kernel.detach().double().cpu()
        return torch.fft.fft2(padded).abs().square()


def spectrum(picture: Tensor) -> Spectrum:
    """The power of a picture (1, C, H, W) of finite values, from blocks of at most 256 a side."""
    height, width = (min(BLOCK, side) for side in picture.shape[-2:])
    window = torch.outer(_hann(height), _hann(width))
    power, blocks = _periodogram(picture[0].detach().double().cpu(), window)
    down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    across = torch.fft.fftfreq(width, dtype=torch.float64)[None]
    return Spectrum(power, torch.hypot(down, across), window, blocks)


def _hann(length: int) -> Tensor:
    return torch.hann_window(length + 2, periodic=False, dtype=torch.float64)[1:-1]


def _periodogram(picture: Tensor, window: Tensor) -> tuple[Tensor, float]:
    """Power per frequency, white noise of variance 1 having 1; and how many blocks it averages."""
    height, width = window.shape
    window = window / window.square().sum().sqrt()
    places = [
        (top, left)
        for top in _starts(picture.shape[-2], height)
        for left in _starts(picture.shape[-1], width)
    ]
    total = torch.zeros(height, width, dtype=torch.float64)
    for top, left in places:
        block = picture[:, top : top + height, left : left + width]
        mean = (block * window.square()).sum(dim=(-2, -1), keepdim=True)
        total += torch.fft.fft2((block - mean) * window).abs().square().mean(0)
    # Blocks overlap by half along an axis where there are several.
    independent = 1.0
    for along, side in zip(picture.shape[-2:], window.shape, strict=True):
        independent *= max(1.0, along / side)
    return total / len(places), independent


def _starts(extent: int, block: int) -> list[int]:
    count = math.ceil((extent - block) / (block / 2)) + 1
    return [round(i * (extent - block) / max(1, count - 1)) for i in range(count)]
