"""The proximal map of a cyclic convolution that is seen in part, solved among its frequencies.

With borders that are not seen A = R C: C convolves cyclically on the grid of the picture, and R
leaves out the pixels that wrap around; pixels of the measurement may have weights W, none where
they are clipped. (I + γCᵀRᵀWR C) x = b then takes one transform there and one back for each step of
conjugate gradients, preconditioning by (I + γw̄CᵀC)⁻¹ with the mean weight w̄ included, where
spatial maps take six. It runs in float32 as far as that leads, and goes on in float64 from there.
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
    weights: Tensor | None = None,
    *,
    tol: float | Tensor,
    max_iter: int,
) -> Tensor:
    """x with (I + γCᵀRᵀWR C) x = b up to a residual of about `tol`.

    Args:
        b, start: pictures (B, C, H, W), float64.
        step: γ, (B, 1, 1, 1).
        transform: dtype -> rfft2 of the kernel on the grid (H, W), its centre at the origin.
        seen: rows and columns that R keeps.
        weights: diagonal of W, >= 0, (B, C, H', W') or with 1 for B, of what is seen; default ones.
        tol: absolute, Euclidean; a number or (B,).
        max_iter: steps of conjugate gradients in either precision.
    """
    right, found = rfft2(b), rfft2(start)
    goal = values_like(tol, b)
    for dtype in (torch.float32, torch.float64):
        # What is missing is solved for, in the end from a residual in float64.
        exact = _System(step, transform(torch.float64), b.shape, seen, weights)
        system = _System(step.to(dtype), transform(dtype), b.shape, seen, weights)
        missing = system.solve(exact.residual(right, found), goal, max_iter)
        found = found + missing
    return torch.fft.irfft2(found, s=b.shape[-2:])


class _System:
    """(I + γCᵀRᵀWR C) among the frequencies, in the precision of `step`.

    Conjugate gradients see the real and imaginary parts of a frequency times the root of how often
    it occurs in the whole transform, over the number of pixels: Euclidean products are then those
    of pictures.
    """

    def __init__(
        self,
        step: Tensor,
        kernel: Tensor,
        shape: torch.Size,
        seen: tuple[slice, slice],
        weights: Tensor | None,
    ) -> None:
        self.step, self.kernel, self.size, self.seen = step, kernel, shape[-2:], seen
        count = torch.full((kernel.shape[-1],), 2.0, dtype=step.dtype, device=step.device)
        count[0] = 1.0
        if self.size[1] % 2 == 0:
            count[-1] = 1.0
        self.scale = (count / math.prod(self.size)).sqrt()
        self.weights = None if weights is None else weights.to(step)
        mean = 1.0 if self.weights is None else self.weights.mean((1, 2, 3), keepdim=True)
        self.inverse = 1 / (1 + step * mean * kernel.abs() ** 2)[..., None]
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
            precondition=lambda r: r * self.inverse,
        )
        return (torch.view_as_complex(found) / self.scale).to(right.dtype)

    def residual(self, right: Tensor, x: Tensor) -> Tensor:
        """What is left of a right-hand side at x."""
        return right - x - self._pulled(x * self.scale) / self.scale

    def _pulled(self, v: Tensor) -> Tensor:
        """γCᵀRᵀWR C of a scaled v."""
        kept = torch.fft.irfft2(self.forth * v, s=self.size)[(..., *self.seen)]
        kept = kept if self.weights is None else self.weights * kept
        return self.back * rfft2(functional.pad(kept, self.margins))
