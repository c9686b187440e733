"""A filter of sinograms against stripes: what all views share of a detector pixel counts less."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.norms import NormBound, round_down


class StripeFilter(LinearOperator):
    """P = I − c M on sinograms, M the mean over the views of each detector pixel.

    A detector pixel of wrong gain adds one number s to all of its line integrals, a stripe in the
    sinogram and a ring in the slice. Least squares with the stripes eliminated,

        min_s ½‖A x + 1⊗s − y‖² + ½ρ‖s‖² = ½‖P (A x − y)‖²,  c = 1 − √(ρ/(n + ρ)),

    for n views, is least squares with the operator P A and the data P y: every theorem stays, as
    ‖P‖ ≤ 1. `ridge` is ρ, the variance of the noise over that of the stripes. With ρ = 0 the part
    of the object that is symmetric about the axis is not seen at all; the ridge leaves it visible
    by √(ρ/(n + ρ)), so that large means are explained by the object and small ones by stripes.

    Args:
        shape: (C, angles, detectors).
        ridge: ρ, ≥ 0; math.inf makes it the identity.

    Raises:
        OperatorError: a ridge below zero, or a shape of other than three axes.
    """

    def __init__(self, shape: Sequence[int], ridge: float) -> None:
        if len(shape) != 3:
            raise OperatorError(f"shape is {tuple(shape)}; expected (C, angles, detectors)")
        if not ridge >= 0:
            raise OperatorError(f"ridge is {ridge}; expected a number >= 0")
        super().__init__(f"stripe filter with ridge {ridge:.3g}", shape, shape)
        self._remainder = math.sqrt(1 / (1 + shape[1] / ridge)) if ridge > 0 else 0.0

    @property
    def kept(self) -> float:
        """1 − c: what is left of a mean over the views."""
        return self._remainder

    def _own_content(self) -> tuple[object, ...]:
        return (self._remainder,)

    def _forward_map(self, x: Tensor) -> Tensor:
        return x - (1 - self._remainder) * x.mean(-2, keepdim=True)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return self._forward_map(y)

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """(z + γ P y) over 1 + γ, its means over 1 + γ (1 − c)²."""
        v = z + step * self._transpose_map(y)
        mean = v.mean(-2, keepdim=True)
        return (v - mean) / (1 + step) + mean / (1 + step * self._remainder**2)

    def _prove_norm(self) -> NormBound:
        # A single view is nothing but its mean.
        attained = 1.0 if self.image_shape[1] > 1 else self._remainder
        return NormBound(1.0, attained, "eigenvalues 1 and 1 − c of a projection's filter", "exact")

    def _prove_gram(self) -> float:
        return round_down(self._remainder**2)

    def _sign(self) -> bool:
        return self.image_shape[1] == 1

    def initial_guess(self, y: Tensor) -> Tensor:
        """y itself."""
        self._check(y, self.measurement_shape, "sinogram")
        return torch.clone(y)
