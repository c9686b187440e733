"""The gradient of a picture, or of a volume, by forward differences, and its exact norm.

It is the inner loop of total variation, so both maps write every number once into one new tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.norms import NormBound, round_down, round_up


class Gradient(LinearOperator):
    """Forward differences: y[0] = (x[i+1, j] − x[i, j]) / h, y[1] = (x[i, j+1] − x[i, j]) / w.

    The picture is continued by its outermost pixels (Neumann), so that the last row of y[0] and the
    last column of y[1] are zero. The measurement has shape (2, C, H, W): vertical differences, then
    horizontal ones. The transpose is minus the divergence (Chambolle 2004, J. Math. Imaging Vis.
    20, §2).

    The norm is exact. Along one axis of n pixels DᵀD is the Laplacian of a path with n nodes, whose
    eigenvalues are 4 sin²(πj / 2n), j = 0 … n−1, on the cosines cos(πj (i + ½) / n) (Strang 1999,
    SIAM Review 41, "The discrete cosine transform"). AᵀA = D_HᵀD_H ⊗ I / h² + I ⊗ D_WᵀD_W / w² is
    a Kronecker sum, so its eigenvalues are the sums of one of each, and

        ‖A‖² = 4 sin²(π(H−1) / 2H) / h² + 4 sin²(π(W−1) / 2W) / w²  <  4 / h² + 4 / w².

    With `slice_spacing` s the channels are the slices of a volume, a third kind of differences is
    y[2] = (x[c+1] − x[c]) / s, zero in the last slice, the measurement has shape (3, C, H, W), and
    4 sin²(π(C−1) / 2C) / s² is added: ‖A‖² < 12 for spacings of one.

    Args:
        image_shape: (C, H, W).
        spacing: distance of two pixels; one number, or (h, w) for rows and columns.
        slice_spacing: distance of two channels; None: they do not see each other.

    Raises:
        OperatorError: for a spacing that is not one or two finite numbers > 0.

    Differentiable any number of times in reverse mode.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        spacing: float | tuple[float, float] = 1.0,
        slice_spacing: float | None = None,
    ) -> None:
        try:
            one = isinstance(spacing, int | float)
            down, across = (spacing, spacing) if one else spacing  # type: ignore[misc]
            self_spacing: tuple[float, ...] = (float(down), float(across))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            self_spacing = (math.nan, math.nan)
        if not all(math.isfinite(h) and h > 0 for h in self_spacing):
            raise OperatorError(f"spacing is {spacing}; give one or two finite numbers > 0")
        if slice_spacing is not None:
            if not (isinstance(slice_spacing, int | float) and 0 < slice_spacing < math.inf):
                raise OperatorError(f"slice_spacing is {slice_spacing}; give a finite number > 0")
            self_spacing = (*self_spacing, float(slice_spacing))
        super().__init__("gradient", image_shape, (len(self_spacing), *image_shape))
        self._spacing = self_spacing

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of two pixels, down and across, and of two slices where they are seen."""
        return self._spacing

    def _forward_map(self, x: Tensor) -> Tensor:
        y: Tensor = _Differences.apply(x, self.spacing)
        return y

    def _transpose_map(self, y: Tensor) -> Tensor:
        x: Tensor = _MinusDivergence.apply(y, self.spacing)
        return x

    def _own_content(self) -> tuple[object, ...]:
        return self._spacing

    @property
    def _axes(self) -> tuple[int, ...]:
        """Pixels along each axis that is differentiated."""
        channels, *sides = self.image_shape
        return (*sides, channels)[: len(self.spacing)]

    def _sign(self) -> bool:
        return False

    @property
    def has_norm_bound(self) -> bool:
        """Always: the norm is known."""
        return True

    def _prove_norm(self) -> NormBound:
        square = math.fsum(
            (2 * math.sin(math.pi * (n - 1) / (2 * n)) / h) ** 2
            for n, h in zip(self._axes, self.spacing, strict=True)
        )
        # A dozen roundings at most; the root halves the first allowance.
        return NormBound(
            round_up(math.sqrt(round_up(square))),
            round_down(math.sqrt(round_down(square))),
            "eigenvalues of the path Laplacian along each axis",
            "Strang 1999, The discrete cosine transform; Kronecker sum",
        )


class _Differences(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spacing: tuple[float, ...]) -> Tensor:
        ctx.spacing = spacing
        y = x.new_empty(x.shape[0], len(spacing), *x.shape[1:])
        down, across = y[:, 0], y[:, 1]
        torch.sub(x[..., 1:, :], x[..., :-1, :], out=down[..., :-1, :])
        torch.sub(x[..., 1:], x[..., :-1], out=across[..., :-1])
        down[..., -1, :] = 0
        across[..., -1] = 0
        if len(spacing) == 3:
            torch.sub(x[:, 1:], x[:, :-1], out=y[:, 2, :-1])
            y[:, 2, -1] = 0
        return _divided(y, spacing)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor, None]:
        return _MinusDivergence.apply(y, ctx.spacing), None


class _MinusDivergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, spacing: tuple[float, ...]) -> Tensor:
        ctx.spacing = spacing
        if any(h != 1 for h in spacing):
            y = _divided(y.clone(), spacing)
        down, across = y[:, 0], y[:, 1]
        x = torch.empty_like(down, memory_format=torch.contiguous_format)
        if x.shape[-2] == 1:
            x.zero_()
        else:
            torch.sub(down[..., :-2, :], down[..., 1:-1, :], out=x[..., 1:-1, :])
            torch.neg(down[..., 0, :], out=x[..., 0, :])
            x[..., -1, :] = down[..., -2, :]
        x[..., :-1] -= across[..., :-1]
        x[..., 1:] += across[..., :-1]
        if len(spacing) == 3:
            x[:, :-1] -= y[:, 2, :-1]
            x[:, 1:] += y[:, 2, :-1]
        return x

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor, None]:
        return _Differences.apply(x, ctx.spacing), None


def _divided(y: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Each kind of difference over its spacing, in place."""
    for part, h in enumerate(spacing):
        if h != 1:
            y[:, part] /= h
    return y
