"""The deepinv side of the conversion. Imports deepinv, so nothing imports this at the top."""

from __future__ import annotations

from typing import Any

import torch
from deepinv.physics import GaussianNoise, LinearPhysics, NoiseModel, ZeroNoise
from torch import Tensor

from operators import base, noise
from operators.conjugate_gradient import image_norms


class OperatorPhysics(LinearPhysics):
    """A `LinearOperator` in deepinv's clothes; every map is the operator's own."""

    def __init__(self, operator: base.LinearOperator) -> None:
        super().__init__(img_size=operator.image_shape, noise_model=_noise(operator.noise_model))
        self.operator = operator

    def A(self, x: Tensor, **_: Any) -> Tensor:
        return self.operator.A(x)

    def A_adjoint(self, y: Tensor, **_: Any) -> Tensor:
        return self.operator.A_adjoint(y)

    def A_dagger(
        self, y: Tensor, *_: Any, max_iter: int | None = None, tol: float | None = None, **__: Any
    ) -> Tensor:
        options: dict[str, Any] = {} if tol is None else {"tol": tol}
        if max_iter is not None:
            options["max_iter"] = max_iter
        return self.operator.A_dagger(y, **options)

    def prox_l2(
        self,
        z: Tensor | float | None,
        y: Tensor,
        gamma: float | Tensor,
        *_: Any,
        max_iter: int | None = None,
        tol: float | None = None,
        **__: Any,
    ) -> Tensor:
        """Takes what deepinv's takes: z may be a number, and `tol` is relative to ‖z + γAᵀy‖."""
        if not isinstance(z, Tensor):
            z = torch.full_like(self.operator.A_adjoint(y), 0.0 if z is None else float(z))
        options: dict[str, Any] = {} if max_iter is None else {"max_iter": max_iter}
        if tol is not None:
            step = self.operator._checked_gamma(gamma, z)
            options["tol"] = tol * image_norms(z + step * self.operator.A_adjoint(y))
        return self.operator.prox_l2(z, y, gamma, **options)


def _noise(model: Any) -> NoiseModel:
    if model is None:
        return ZeroNoise()
    if isinstance(model, NoiseModel):
        return model
    if isinstance(model, noise.GaussianNoise):
        return GaussianNoise(sigma=model.sigma, rng=model.generator)
    return NoiseModel(noise_model=model)
