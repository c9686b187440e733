"""The error that a JPEG file made when it rounded its coefficients, from its tables.

A coefficient is rounded to a multiple of its step q. Where its values reach over many steps the
error is uniform, of variance q²/12; where they all fall into the cell of zero it is the coefficient
itself, and the step says nothing. In between it depends on how far the values reach: they are taken
as Laplacian (Lam & Goodman 2000), their reach as a power of the frequency, and its level and
exponent as most likely by how many values left the cell of zero. A blurred picture reaches less
far where its kernel lets little through: a kernel that is known is asked. Knows no files: it is
told steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 8
# The reach of the Laplace distribution at the lowest frequency, σ·255, and its fall.
LOG_REACH = (-4.0, 7.0, 56)
FALL = (0.5, 5.0, 19)
# No kernel leaves less of a coefficient's power: what is beside it leaks in, and the sensor adds.
LEAST_PASSED = 1e-3
# Length of the transforms, above the largest kernel's.
LENGTH = 256
# Squares of the columns of YCbCr -> RGB (ITU-T T.871), mean over R, G, B: what the variance of a
# component amounts to.
SHARES = (1.0, (0.344136**2 + 1.772**2) / 3, (1.402**2 + 0.714136**2) / 3)


class Component(Protocol):
    """How a file stores one component: see `pictures.samples.JpegComponent`."""

    @property
    def steps(self) -> tuple[int, ...]: ...
    @property
    def sampling(self) -> tuple[int, int]: ...


def quantisation_noise(
    pixels: Tensor, components: Sequence[Component], kernel: Tensor | None = None
) -> float | None:
    """Root mean square of the error over pixels and channels, [0, 1] units.

    Args:
        pixels: (1, C, H, W) in [0, 1], as decoded.
        components: Y, or Y, Cb and Cr.
        kernel: (h, w), or (..., h, w) for several, what the pixels were blurred with, where it is
            known.

    Returns:
        None where the components are others (CMYK), or less than a block is there. What coarser
        sampling of the colours costs is not in it.
    """
    channels = pixels.shape[1]
    if len(components) not in (1, 3) or len(components) > channels:
        return None
    values = 255 * pixels[0].detach().double().cpu()
    planes = values[:1] if len(components) == 1 else _ycc(values)
    most = [max(part.sampling[axis] for part in components) for axis in (0, 1)]
    total = 0.0
    for plane, part, share in zip(planes, components, SHARES, strict=False):
        coarse = [most[axis] // max(1, part.sampling[axis]) for axis in (0, 1)]
        plane = functional.avg_pool2d(plane[None, None], coarse)[0, 0]
        if min(plane.shape) < SIDE:
            return None
        steps = torch.tensor(part.steps, dtype=torch.float64).reshape(SIDE, SIDE)
        passed = _passed(kernel, coarse)
        total += share * float(_errors(_coefficients(plane), steps, passed).mean())
    return math.sqrt(total) / 255


def _ycc(rgb: Tensor) -> Tensor:
    matrix = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
        dtype=torch.float64,
    )
    return torch.einsum("ij,jhw->ihw", matrix, rgb)


def _coefficients(plane: Tensor) -> Tensor:
    """Orthonormal DCT of the blocks: (blocks, 8, 8)."""
    basis = _basis()
    rows, columns = (side // SIDE for side in plane.shape)
    blocks = plane[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return (basis @ blocks.permute(0, 2, 1, 3) @ basis.T).reshape(-1, SIDE, SIDE)


def _basis() -> Tensor:
    """Its rows are the orthonormal cosines."""
    n = torch.arange(SIDE, dtype=torch.float64)
    basis = torch.cos(math.pi * (2 * n + 1) * n[:, None] / (2 * SIDE)) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _passed(kernel: Tensor | None, coarse: Sequence[int]) -> Tensor:
    """Share of the power that a kernel leaves of each coefficient, (8, 8).

    The basis of a component of coarser samples is as many times wider.
    """
    if kernel is None or max(kernel.shape[-2:]) > LENGTH:
        return torch.ones(SIDE, SIDE, dtype=torch.float64)
    kernels = kernel.detach().double().cpu().reshape(-1, *kernel.shape[-2:])
    let_through = torch.fft.fft2(kernels, s=(LENGTH, LENGTH)).abs().square().mean(0)
    down, across = (
        torch.fft.fft(_basis().repeat_interleave(by, -1), LENGTH).abs().square() for by in coarse
    )
    shares = (basis / basis.sum(-1, keepdim=True) for basis in (down, across))
    rows, columns = shares
    return (rows @ let_through @ columns.T).clamp(min=LEAST_PASSED)


def _errors(coefficients: Tensor, steps: Tensor, passed: Tensor) -> Tensor:
    """Variance of the error of each coefficient, (8, 8)."""
    blocks = len(coefficients)
    left = (coefficients.abs() > steps / 2).double().sum(0)
    n = torch.arange(SIDE, dtype=torch.float64)
    radius = torch.hypot(n[:, None], n[None]).clamp(min=1)
    level = torch.linspace(*LOG_REACH, dtype=torch.float64)[:, None, None, None]
    fall = torch.linspace(*FALL, dtype=torch.float64)[:, None, None]
    reaches = (level - fall * radius.log()).exp() * passed.sqrt()
    ratio = (steps / 2 / reaches).clamp(max=600)
    likely = -ratio * left + torch.log(-torch.expm1(-ratio)) * (blocks - left)
    likely = likely.flatten(2)[..., 1:].sum(-1)  # the mean of a block is not Laplacian
    best = int(likely.argmax())
    reach = reaches[best // len(fall), best % len(fall)]
    half = steps / 2
    share = torch.exp(-half / reach)
    inside = 2 * reach**2 - share * (half**2 + 2 * half * reach + 2 * reach**2)
    errors = inside + share * steps**2 / 12
    errors[0, 0] = steps[0, 0] ** 2 / 12
    return errors
