"""Measurements of an operator: its mismatch, its matrix, its norm, its prox by iteration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.errors import OperatorError

ADJOINT_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
LARGEST_MATRIX = 25_000_000  # entries: 200 MB in float64


def adjoint_mismatch(
    A: LinearOperator,
    generator: torch.Generator,
    trials: int = 3,
    *,
    dtype: torch.dtype | None = None,
) -> float:
    """Largest relative mismatch |<A x, y> − <x, Aᵀ y>| / (‖A x‖ ‖y‖ + ‖x‖ ‖Aᵀ y‖) over trials.

    Each trial takes a pair of normal and a pair of positive (uniform) tensors. Normal pairs see
    every kind of error, but for large images faintly, as the inner product of independent tensors
    is small; positive pairs add up, and see what is lost or counted twice at full size.

    Args:
        A: the operator.
        generator: source of the tensors.
        trials: number of pairs of each kind.
        dtype: default `A.certificate_dtype`.
    """
    dtype = dtype or A.certificate_dtype
    device = A.certificate_start().device
    worst = 0.0
    with torch.no_grad():
        for trial in range(2 * trials):
            x, y = (
                torch.empty(1, *shape, dtype=dtype, device=generator.device)
                for shape in (A.image_shape, A.measurement_shape)
            )
            for t in (x, y):
                _ = t.normal_(generator=generator) if trial % 2 else t.uniform_(generator=generator)
            x, y = x.to(device), y.to(device)
            forward, backward = A.A(x), A.A_adjoint(y)
            scale = _norm(forward) * _norm(y) + _norm(x) * _norm(backward)
            gap = abs(_dot(forward, y) - _dot(x, backward))
            ratio = gap / scale if scale > 0 else gap
            worst = max(worst, ratio if math.isfinite(ratio) else math.inf)
    return worst


def check_adjoint(
    A: LinearOperator,
    tol: float | None = None,
    *,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> float:
    """The measured mismatch; raises OperatorError if it exceeds `tol`.

    `tol` defaults to 1e-5 in float32 and 1e-10 in float64, `generator` to one seeded with 0.
    """
    dtype = dtype or A.certificate_dtype
    limit = ADJOINT_TOLERANCE[dtype] if tol is None else tol
    seeded = torch.Generator().manual_seed(0) if generator is None else generator
    measured = adjoint_mismatch(A, seeded, dtype=dtype)
    if measured > limit:
        raise OperatorError(
            f"A_adjoint of '{A.name}' is not the transpose of A: relative mismatch {measured:.2e}, "
            f"allowed {limit:.0e}"
        )
    return measured


def to_matrix(A: LinearOperator, *, dtype: torch.dtype | None = None) -> Tensor:
    """The matrix of A, (measurement entries, image entries), for tiny images only."""
    rows, columns = math.prod(A.measurement_shape), math.prod(A.image_shape)
    if rows * columns > LARGEST_MATRIX:
        raise OperatorError(
            f"the matrix of '{A.name}' is {rows} x {columns}; write it out for a smaller image"
        )
    device = A.certificate_start().device
    eye = torch.eye(columns, dtype=dtype or A.certificate_dtype, device=device)
    with torch.no_grad():
        return A.A(eye.reshape(columns, *A.image_shape)).reshape(columns, rows).T.contiguous()


def check_norm(A: LinearOperator, tol: float | None = None) -> float:
    """The largest singular value of the written-out matrix, for tiny images.

    Raises OperatorError unless lower <= attained <= norm_bound, up to `tol` relative (default
    1e-10 in float64, 1e-5 in float32: the rounding of the singular value itself).
    """
    matrix = to_matrix(A)
    slack = ADJOINT_TOLERANCE[matrix.dtype] if tol is None else tol
    attained = float(torch.linalg.matrix_norm(matrix, ord=2))
    certificate = A.norm_certificate
    if attained > certificate.value * (1 + slack):
        raise OperatorError(
            f"norm_bound of '{A.name}' is {certificate.value:.12g}, but {attained:.12g} is attained"
        )
    if certificate.lower > attained * (1 + slack):
        raise OperatorError(
            f"the lower end {certificate.lower:.12g} of the norm of '{A.name}' is above its norm "
            f"{attained:.12g}"
        )
    return attained


def check_gram(A: LinearOperator) -> float:
    """The square of the smallest singular value of the written-out matrix, for tiny images.

    Raises OperatorError unless 0 <= gram_lower_bound <= it, up to the rounding of singular values.
    """
    matrix, stated = to_matrix(A), A.gram_lower_bound
    singular = torch.linalg.svdvals(matrix)
    lowest = float(singular[-1]) ** 2 if matrix.shape[0] >= matrix.shape[1] else 0.0
    slack = ADJOINT_TOLERANCE[matrix.dtype] * float(singular[0]) ** 2
    if not 0 <= stated <= lowest + slack:
        raise OperatorError(
            f"gram_lower_bound of '{A.name}' is {stated:.12g}, but the smallest ‖A x‖² / ‖x‖² is "
            f"{lowest:.12g}"
        )
    return lowest


def iterated_prox(
    A: LinearOperator, z: Tensor, y: Tensor, gamma: float | Tensor, **options: float
) -> Tensor:
    """The prox by conjugate gradients, also where the operator has a formula to compare with."""
    closed, A.prox_closed_form = A.prox_closed_form, False
    try:
        return LinearOperator.prox_l2_with_error(A, z, y, gamma, **options)[0]  # type: ignore[arg-type]
    finally:
        A.prox_closed_form = closed


def _norm(t: Tensor) -> float:
    return float(torch.linalg.vector_norm(t.to(torch.float64)))


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a.to(torch.float64) * b.to(torch.float64)).sum())
