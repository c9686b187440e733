"""The proximal map of a cyclic convolution that is seen in part, solved among its frequencies.

With borders that are not seen A = R C: C convolves cyclically on the grid of the picture, and R
leaves out the pixels that wrap around. (I + γCᵀRᵀR C) x = b then takes one transform there and one
back for each step of conjugate gradients, preconditioning by (I + γCᵀC)⁻¹ included, where spatial
maps take six. It runs in float32 as far as that leads, and goes on in float64 from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from operators.conjugate_gradient import conjugate_gradient
from operators.fourier import rfft2
from operators.values import values_like


def seen_prox(
    b: Tensor,
    start: Tensor,
    step: Tensor,
    transform: Callable[[torch.dtype], Tensor],
    seen: tuple[slice, slice],
    *,
    tol: float | Tensor,
    max_iter: int,
) -> Tensor:
    """x with (I + γCᵀRᵀR C) x = b up to a residual of about `tol`.

    Args:
        b, start: pictures (B, C, H, W), float64.
        step: γ, (B, 1, 1, 1).
        transform: dtype -> rfft2 of the kernel on the grid (H, W), its centre at the origin.
        seen: rows and columns that R keeps.
        tol: absolute, Euclidean; a number or (B,).
        max_iter: steps of conjugate gradients in either precision.
    """
    right, found = rfft2(b), rfft2(start)
    goal = values_like(tol, b)
    for dtype in (torch.float32, torch.float64):
        # What is missing is solved for, in the end from a residual in float64.
        left = _System(step, transform(torch.float64), b.shape, seen).residual(right, found)
        missing = _System(step.to(dtype), transform(dtype), b.shape, seen).solve(
            left, goal, max_iter
        )
        found = found + missing
    return torch.fft.irfft2(found, s=b.shape[-2:])


class _System:
    """(I + γCᵀRᵀR C) among the frequencies, in the precision of `step`.

    Conjugate gradients see the real and imaginary parts of a frequency times the root of how often
    it occurs in the whole transform, over the number of pixels: Euclidean products are then those
    of pictures.
    """

    def __init__(
        self, step: Tensor, kernel: Tensor, shape: torch.Size, seen: tuple[slice, slice]
    ) -> None:
        self.step, self.kernel, self.size, self.seen = step, kernel, shape[-2:], seen
        count = torch.full((kernel.shape[-1],), 2.0, dtype=step.dtype, device=step.device)
        count[0] = 1.0
        if self.size[1] % 2 == 0:
            count[-1] = 1.0
        self.scale = (count / math.prod(self.size)).sqrt()
        self.weight = 1 / (1 + step * kernel.abs() ** 2)[..., None]
        self.forth, self.back = kernel / self.scale, step * self.scale * kernel.conj()
        left, right, above = seen[1].start, shape[-1] - seen[1].stop, seen[0].start
        self.margins = (left, right, above, shape[-2] - seen[0].stop)

    def solve(self, right: Tensor, tol: Tensor, max_iter: int) -> Tensor:
        """The solution for a right-hand side, from zero."""
        scaled = right.to(self.kernel.dtype) * self.scale
        found = conjugate_gradient(
            lambda v: v + torch.view_as_real(self._pulled(torch.view_as_complex(v))),
            torch.view_as_real(scaled),
            torch.zeros_like(torch.view_as_real(scaled)),
            tol=tol.to(self.step.dtype),
            max_iter=max_iter,
            precondition=lambda r: r * self.weight,
        )
        return (torch.view_as_complex(found) / self.scale).to(right.dtype)

    def residual(self, right: Tensor, x: Tensor) -> Tensor:
        """What is left of a right-hand side at x."""
        return right - x - self._pulled(x * self.scale) / self.scale

    def _pulled(self, v: Tensor) -> Tensor:
        """γCᵀRᵀR C of a scaled v."""
        blurred = torch.fft.irfft2(self.forth * v, s=self.size)
        kept = functional.pad(blurred[(..., *self.seen)], self.margins)
        return self.back * rfft2(kept)
