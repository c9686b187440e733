"""The planes whose JPEG coefficients lie in given cells: a convex set with an exact projection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from operators.jpeg import JPEGCoefficients
from pnp_recon.errors import InputError
from pnp_recon.proximal.base import Regulariser, checked_step, indicator, no_error


@dataclass(frozen=True)
class Cells(Regulariser):
    """0 where low ≤ A x ≤ high in every coefficient, inf elsewhere.

    A Aᵀ = diag(1/area), so that the projection is a closed form, x + Aᵀ diag(area)(P A x − A x)
    with P the clamp (Bauschke & Combettes 2017, Prop. 24.14): exact for subsampled planes, too.

    Attributes:
        A: coefficients of planes (no colour matrix, which would not be orthogonal).
        low, high: (B or 1, N), low ≤ high.

    Raises:
        InputError: A holds a colour matrix, the cells have another shape, or one is empty.
    """

    A: JPEGCoefficients
    low: Tensor
    high: Tensor
    name: ClassVar[str] = "jpeg-cells"

    def __post_init__(self) -> None:
        if self.A.colour:
            raise InputError("cells are about planes; give JPEGCoefficients(..., colour=False)")
        count = self.A.measurement_shape
        if not self.low.shape[1:] == self.high.shape[1:] == count:
            raise InputError(
                f"the cells have shapes {tuple(self.low.shape)} and {tuple(self.high.shape)}; "
                f"expected (B or 1, {count[0]})"
            )
        finite = (self.low < math.inf) & (self.high > -math.inf)
        if not bool(((self.low <= self.high) & finite).all()):
            raise InputError("a cell is empty; expected low <= high for every coefficient")

    def value(self, x: Tensor) -> Tensor:
        """0 or inf; a point that rounding has put outside counts as inside."""
        v = self.A.A(x)
        slack = 256 * torch.finfo(x.dtype).eps * v.abs().amax(1, keepdim=True).clamp_min(1)
        return indicator(outside(v, self.low - slack, self.high + slack) == 0, x)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        checked_step(step)
        v = self.A.A(x)
        moved = torch.minimum(torch.maximum(v, self.low.to(v)), self.high.to(v)) - v
        return x + self.A.A_adjoint(self.A.areas(v) * moved), no_error(x)


def outside(v: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How many coefficients of every picture lie outside their cells, (B,); NaN lies outside."""
    return (~((v >= low) & (v <= high))).flatten(1).sum(1)
