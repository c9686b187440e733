"""Pictures as periodic functions, which is what the fast Fourier transform takes them for.

A photograph is not periodic. It is continued by a band that leads from each border smoothly to the
opposite one, and what lies in the band is never taken for measured: `filled_in` puts there what the
current kernel and picture predict.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def fast_length(least: int) -> int:
    """The smallest even number from `least` on whose prime factors are 2, 3, 5 and 7."""
    length = least + least % 2
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def continued(picture: Tensor, margin: int) -> Tensor:
    """(H, W) -> (H', W'), at least `margin` larger: mirrored borders that fade into each other."""
    height, width = picture.shape
    wide = _along(picture, fast_length(width + margin))
    return _along(wide.T, fast_length(height + margin)).T.contiguous()


def _along(picture: Tensor, length: int) -> Tensor:
    width = picture.shape[-1]
    step = torch.arange(length - width)
    after = picture[..., (width - 2 - step).clamp(min=0)]
    before = picture[..., (length - width - step).clamp(max=width - 1)]
    share = 0.5 - 0.5 * torch.cos(math.pi * (step + 1) / (length - width + 1))
    share = share.to(picture.dtype)
    return torch.cat([picture, torch.lerp(after, before, share)], dim=-1)


def filled_in(measured: Tensor, predicted: Tensor) -> Tensor:
    """`predicted` (H', W'), but `measured` (H, W) where there is a measurement.

    Doing so before a least squares step minorises the misfit of the measured pixels alone: the
    step is one of majorisation and minimisation (Hunter & Lange 2004).
    """
    whole = predicted.clone()
    whole[: measured.shape[0], : measured.shape[1]] = measured
    return whole


def transfer(kernel: Tensor, shape: torch.Size) -> Tensor:
    """The half spectrum of a kernel (kh, kw) whose middle is the origin, on a grid of `shape`."""
    whole = torch.zeros(shape, dtype=kernel.dtype)
    height, width = kernel.shape
    whole[:height, :width] = kernel
    return torch.fft.rfft2(torch.roll(whole, (-(height // 2), -(width // 2)), (0, 1)))


def blurred(picture: Tensor, kernel_spectrum: Tensor) -> Tensor:
    """The circular convolution."""
    return torch.fft.irfft2(kernel_spectrum * torch.fft.rfft2(picture), s=picture.shape)


def gradient(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences along x and along y, circular."""
    return torch.roll(picture, -1, 1) - picture, torch.roll(picture, -1, 0) - picture


def gradient_adjoint(across: Tensor, down: Tensor) -> Tensor:
    """The transpose of `gradient`."""
    return torch.roll(across, 1, 1) - across + torch.roll(down, 1, 0) - down


def gradient_spectrum(shape: torch.Size) -> Tensor:
    """The half spectrum of `gradient_adjoint` after `gradient`: real, 0 at frequency 0."""
    height, width = shape
    down = 2 - 2 * torch.cos(2 * math.pi * torch.fft.fftfreq(height))
    across = 2 - 2 * torch.cos(2 * math.pi * torch.fft.rfftfreq(width))
    return down[:, None] + across[None, :]
