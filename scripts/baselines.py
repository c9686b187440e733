"""Classical deblurring for the tables: isotropic total variation and Wiener, circular blur.

Kept beside the scripts until the package has its own family of classical solvers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from operators import Convolution


def total_variation(A: Convolution, y: Tensor, weight: float, iterations: int = 300) -> Tensor:
    """argmin ½‖A x − y‖² + weight·TV(x) by ADMM with exact x-steps in Fourier space.

    TV is isotropic and vectorial: the gradients of all channels of a pixel share one norm
    (Blomgren & Chan 1998), the stronger choice for colour. `y` is (B, C, H, W).
    """
    height, width = y.shape[-2:]
    delta = torch.zeros(1, 1, height, width, dtype=y.dtype)
    delta[..., 0, 0] = 1
    one = Convolution(A.kernel, (1, height, width), "circular")
    blur = torch.fft.rfft2(one.A(delta))
    along = torch.stack([torch.roll(delta, -1, axis) - delta for axis in (-2, -1)])
    gradient = torch.fft.rfft2(along)
    penalty = 20 * weight
    system = blur.abs() ** 2 + penalty * (gradient.abs() ** 2).sum(0)
    data = blur.conj() * torch.fft.rfft2(y)
    x, dual = y, torch.zeros(2, *y.shape, dtype=y.dtype)
    for _ in range(iterations):
        slope = torch.fft.irfft2(gradient * torch.fft.rfft2(x), s=(height, width)) + dual
        size = slope.square().sum((0, 2), keepdim=True).sqrt().clamp_min(1e-12)
        split = slope * (1 - weight / penalty / size).clamp_min(0)
        dual = slope - split
        right = (gradient.conj() * torch.fft.rfft2(split - dual)).sum(0)
        x = torch.fft.irfft2((data + penalty * right) / system, s=(height, width))
    return x.clamp(0, 1)


def wiener(kernel: Tensor, y: Tensor, balance: float) -> Tensor:
    """Wiener–Hunt deconvolution (scikit-image), each channel by itself."""
    from skimage.restoration import wiener as wiener_hunt

    psf = kernel.double().numpy()
    planes = [wiener_hunt(plane.double().numpy(), psf, balance) for plane in y.flatten(0, 1)]
    return torch.from_numpy(np.stack(planes)).to(y).reshape(y.shape).clamp(0, 1)
