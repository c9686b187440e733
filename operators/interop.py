"""To and from deepinv. deepinv is imported inside the functions: it costs seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from operators.base import LinearOperator, extensions
from operators.declared import admit, check_declaration
from operators.deepinv_operator import DeepinvOperator
from operators.errors import OperatorError
from operators.knowledge import replaced

if TYPE_CHECKING:
    from deepinv.physics import LinearPhysics


def to_deepinv(A: LinearOperator) -> LinearPhysics:
    """A `deepinv.physics.LinearPhysics` whose maps, prox and noise are those of A.

    A `GaussianNoise` becomes deepinv's, with the same generator; other noise models are wrapped.
    """
    from operators._deepinv import OperatorPhysics

    if isinstance(A, DeepinvOperator):
        return A.physics
    return OperatorPhysics(A)


extensions.to_deepinv = to_deepinv


def from_deepinv(
    physics: LinearPhysics,
    image_shape: Sequence[int],
    *,
    norm_bound: float | None = None,
    nonnegative: bool = False,
    allow_unmatched: bool = False,
) -> LinearOperator:
    """Any linear deepinv physics as an operator, with what can honestly be said about it.

    The transpose is put to the dot-product test. Nothing is known about the norm unless the caller
    declares it, and a declaration that `checks.probe` contradicts is refused.

    Args:
        physics: a `LinearPhysics` with plain tensors (B, ...) as measurements.
        image_shape: (C, H, W).
        norm_bound: an upper bound of ‖A‖ (not of ‖A‖²) that the caller can prove.
        nonnegative: the matrix has no negative entry, and A and its transpose are evaluated as sums
            of products (not by FFT); the norm is then bounded by Collatz–Wielandt.
        allow_unmatched: take an A_adjoint that is not the transpose all the same. Then
            `adjoint_matched` is False, `adjoint_mismatch` the measured value, and no norm bound
            exists, so no solver can give a guarantee.

    Raises:
        OperatorError: not linear, unmatched transpose, wrong shapes, or a refuted declaration.
    """
    from deepinv.physics import LinearPhysics

    from operators._deepinv import OperatorPhysics

    if not isinstance(physics, LinearPhysics):
        raise OperatorError(
            f"{type(physics).__name__} is no deepinv LinearPhysics; only linear operators are taken"
        )
    if (
        type(physics) is OperatorPhysics
        and not replaced(physics)
        and physics.operator.image_shape == tuple(image_shape)
        and norm_bound is None
    ):
        return physics.operator  # it came from here, and knows more than can be measured
    check_declaration(norm_bound)
    dtype, device = _home(physics)
    kind = type(physics).__name__
    try:
        with torch.no_grad():
            seen = physics.A(torch.zeros(1, *image_shape, dtype=dtype, device=device))
    except Exception as error:  # whatever a physics of another size or type runs into
        raise OperatorError(
            f"{kind} cannot measure an image of shape {(1, *image_shape)}, {dtype}: "
            f"{' '.join(str(error).split())[:160]}; pass the image_shape (C, H, W) that it is for"
        ) from error
    if not isinstance(seen, Tensor) or not seen.is_floating_point():
        remedy = (
            "give real and imaginary part a channel each"
            if isinstance(seen, Tensor)
            else "convert its parts and combine them by operators.Stacked"
        )
        raise OperatorError(
            f"{kind} measures a {type(seen).__name__} {getattr(seen, 'dtype', '')}; only real "
            f"tensors (B, ...) are taken: {remedy}"
        )
    operator = DeepinvOperator(
        physics, image_shape, seen.shape[1:], nonnegative=nonnegative, dtype=dtype
    )
    admit(operator, type(physics).__name__, norm_bound, allow_unmatched=allow_unmatched)
    return operator


def _home(physics: torch.nn.Module) -> tuple[torch.dtype, torch.device]:
    """Precision and device of the coefficients; deepinv's default is float32."""
    for t in (*physics.buffers(), *physics.parameters()):
        if t.dtype == torch.float64:
            return torch.float64, t.device
    for t in (*physics.buffers(), *physics.parameters()):
        return torch.float32, t.device
    return torch.float32, torch.device("cpu")
