"""(I + γAᵀA) x = b for any operator: by conjugate gradients, and how exact a solution is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from operators.conjugate_gradient import conjugate_gradient, image_norms

# Rounding of a residual γAᵀ(y − A x), in ε γ‖A‖(‖y‖ + ‖A x‖) with the larger of two measured gains
# for ‖A‖. Measured in float32 against float64: 0.01 to 0.65 over blurs, gradients, ray transforms.
RESIDUAL_ROUNDINGS = 1.0


class Shiftable(Protocol):
    """What is asked of an operator: AᵀA, an inverse of I + γAᵀA about right, and a precision."""

    certificate_dtype: torch.dtype

    def normal(self, x: Tensor) -> Tensor: ...

    def _preconditioner(self, step: Tensor) -> Callable[[Tensor], Tensor] | None: ...


def shifted_solve(
    operator: Shiftable,
    right: Tensor,
    start: Tensor,
    step: Tensor,
    tol: float | Tensor,
    max_iter: int,
) -> Tensor:
    """About (I + γAᵀA)⁻¹ right by conjugate gradients with the operator's preconditioner.

    Args:
        right, start: pictures (B, C, H, W), in the precision of the solve.
        step: γ, shaped to multiply them.
        tol: wanted residual, absolute, Euclidean; a number or (B,).
        max_iter: limit of the steps.
    """
    return conjugate_gradient(
        lambda v: v + step * operator.normal(v),
        right,
        start,
        tol=tol,
        max_iter=max_iter,
        precondition=operator._preconditioner(step),
        eps=torch.finfo(operator.certificate_dtype).eps,
    )


def residual_error(
    z: Tensor,
    x: Tensor,
    y: Tensor,
    seen: Tensor,
    misfit: Tensor,
    pull: Tensor,
    step: Tensor,
    eps: float,
) -> Tensor:
    """Bound of the distance from x to prox: the norm of z − x + γAᵀ(y − A x), for each image.

    It is widened by what was lost where γAᵀy and γAᵀA x cancel.

    Args:
        z: the point whose prox is wanted.
        x: what was found.
        y: the measurement.
        seen: A x.
        misfit: y − A x.
        pull: Aᵀ(y − A x).
        step: γ, shaped to multiply images.
        eps: rounding of the arithmetic of A.
    """
    z_size, x_size, y_size, back = map(image_norms, (z, x, y, pull))
    forth, tiny = image_norms(seen), 1e-30
    gain = torch.maximum(forth / x_size.clamp_min(tiny), back / image_norms(misfit).clamp_min(tiny))
    lost = z_size + x_size + step.flatten() * gain * (y_size + forth)
    return image_norms(z - x + step * pull) + RESIDUAL_ROUNDINGS * eps * lost
