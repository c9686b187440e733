"""Operators of one's own: two functions, or what SciPy and pylops call a LinearOperator.

SciPy itself is not imported; its operators are known by what they have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.declared import admit, check_declaration
from operators.errors import OperatorError
from operators.functions import F32, F64, FunctionOperator, Map, require_linear
from operators.matrix import from_matrix, is_matrix


def from_callable(
    A: Map,
    At: Map,
    image_shape: Sequence[int],
    measurement_shape: Sequence[int],
    *,
    norm_bound: float | None = None,
    nonnegative: bool = False,
    arrays: bool = False,
    dtype: torch.dtype = F64,
    allow_unmatched: bool = False,
    noise_model: Callable[[Tensor], Tensor] | None = None,
    name: str | None = None,
) -> LinearOperator:
    """Two functions as an operator, with what can honestly be said about it.

    Linearity and the transpose are put to tests that can refute them, and so is what is declared.
    About the norm nothing is known unless it is declared: then certificates read
    "certified if" where their theorem uses the norm.

    Args:
        A: tensors (B, C, H, W) -> (B, *measurement_shape), differentiable if gradients are wanted.
        At: its Euclidean transpose.
        image_shape: (C, H, W).
        measurement_shape: without the batch.
        norm_bound: an upper bound of ‖A‖ (not of ‖A‖²) that the caller can prove.
        nonnegative: the matrix has no negative entry, and both maps are evaluated as sums of
            products (not by FFT); the norm is then bounded by Collatz–Wielandt.
        arrays: A and At take and give NumPy arrays of one picture, (C, H, W) and
            measurement_shape. Derivatives are those of the linear map all the same.
        dtype: torch.float32 if they compute in no more.
        allow_unmatched: take an At that is not the transpose all the same, without guarantees.
        noise_model: applied by `forward`.
        name: for reports.

    Raises:
        OperatorError: not linear, an unmatched transpose, wrong shapes or a refuted declaration.
    """
    for which, one in (("A", A), ("At", At)):
        if not callable(one):
            raise OperatorError(
                f"{which} is a {type(one).__name__}; expected a function of "
                f"{'NumPy arrays' if arrays else 'tensors'}"
            )
    if dtype not in (F32, F64):
        raise OperatorError(f"dtype is {dtype}; expected torch.float32 or torch.float64")
    check_declaration(norm_bound)
    _check_shapes(image_shape=image_shape, measurement_shape=measurement_shape)
    operator = FunctionOperator(
        A,
        At,
        image_shape,
        measurement_shape,
        arrays=arrays,
        dtype=dtype,
        nonnegative=nonnegative,
        noise_model=noise_model,
        name=name or str(getattr(A, "__name__", type(A).__name__)),
    )
    require_linear(operator)
    admit(operator, f"'{operator.name}'", norm_bound, allow_unmatched=allow_unmatched)
    return operator


def from_scipy(
    operator: Any,
    image_shape: Sequence[int] | None = None,
    measurement_shape: Sequence[int] | None = None,
    *,
    norm_bound: float | None = None,
    nonnegative: bool = False,
    allow_unmatched: bool = False,
    noise_model: Callable[[Tensor], Tensor] | None = None,
    name: str | None = None,
) -> LinearOperator:
    """A `scipy.sparse.linalg.LinearOperator`, or one of pylops, as an operator.

    One that was made of a matrix by `aslinearoperator` is taken as that matrix, whose norm is
    proven; see `from_matrix`. Of others `from_callable` tells what is known.

    Args:
        operator: real, of shape (m, n), with `matvec` and `rmatvec`.
        image_shape: (C, H, W) with C·H·W = n. Default: `dims` of a pylops operator of up to three
            axes.
        measurement_shape: with product m; default `dimsd` of a pylops operator, else (m,).
        norm_bound, nonnegative, allow_unmatched, noise_model, name: see `from_callable`.

    Raises:
        OperatorError: something else, complex, without `rmatvec`, or as `from_callable`.
    """
    if is_matrix(operator):
        raise OperatorError("this is a matrix and no operator; take operators.from_matrix")
    missing = [what for what in ("matvec", "rmatvec", "shape") if not hasattr(operator, what)]
    if missing:
        raise OperatorError(
            f"the operator is a {type(operator).__name__} without {missing[0]}; expected one of "
            "scipy.sparse.linalg or pylops; from_callable takes two functions"
        )
    image, measured = _shapes(operator, image_shape, measurement_shape)
    kept = getattr(operator, "A", None)
    if _is_matrix_in_scipy(operator) and is_matrix(kept):
        return from_matrix(kept, image, measured, noise_model=noise_model, name=name)
    kind = np.dtype(getattr(operator, "dtype", None) or np.float64)
    if kind.kind == "c":
        raise OperatorError(
            f"the operator is {kind}; give real and imaginary part a channel each, with "
            "from_callable"
        )

    def forward(x: Any) -> Any:
        return np.asarray(operator.matvec(x.ravel())).reshape(measured)

    def transpose(y: Any) -> Any:
        return np.asarray(operator.rmatvec(y.ravel())).reshape(image)

    try:
        transpose(np.zeros(measured, kind))
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise OperatorError(
            f"rmatvec of the operator fails ({' '.join(str(error).split())[:120] or 'no words'}); "
            "give it the transpose, rmatvec=..."
        ) from error
    return from_callable(
        forward,
        transpose,
        image,
        measured,
        norm_bound=norm_bound,
        nonnegative=nonnegative,
        arrays=True,
        dtype=F32 if kind == np.float32 else F64,
        allow_unmatched=allow_unmatched,
        noise_model=noise_model,
        name=name or f"{type(operator).__module__.partition('.')[0]} {type(operator).__name__}",
    )


def maker(thing: Any) -> str:
    """Which call makes an operator of a thing, for messages."""
    if is_matrix(thing):
        return "operators.from_matrix(A, image_shape)"
    if hasattr(thing, "matvec"):
        return "operators.from_scipy(A, image_shape)"
    if hasattr(thing, "A_adjoint") or thing is None:
        return "operators.from_deepinv(physics, image_shape)"
    return "operators.from_callable(A, At, image_shape, measurement_shape)"


def _is_matrix_in_scipy(operator: Any) -> bool:
    """SciPy's own class of that name with the maps it came with: another may do as it likes."""
    kind = type(operator)
    ours = kind.__module__.startswith("scipy.sparse.") and kind.__name__ == "MatrixLinearOperator"
    return ours and not any(callable(getattr(kind, name, None)) for name in vars(operator))


def _shapes(
    operator: Any, image_shape: Sequence[int] | None, measurement_shape: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows, columns = (int(n) for n in operator.shape)
    dims = getattr(operator, "dims", None)
    if image_shape is None and dims is not None and 0 < len(tuple(dims)) <= 3:
        image_shape = (*(1,) * (3 - len(tuple(dims))), *dims)
    if image_shape is None:
        raise OperatorError(
            f"the operator takes {columns} numbers, and which picture they are is not said; pass "
            "image_shape=(C, H, W)"
        )
    if measurement_shape is None:
        measurement_shape = tuple(getattr(operator, "dimsd", None) or (rows,))
    image, measured = (tuple(int(n) for n in s) for s in (image_shape, measurement_shape))
    for what, shape, wanted in (
        ("image_shape", image, columns),
        ("measurement_shape", measured, rows),
    ):
        if math.prod(shape) != wanted:
            raise OperatorError(
                f"{what} is {shape}, {math.prod(shape)} numbers, but the operator has {wanted}; "
                "give a shape of as many"
            )
    return image, measured


def _check_shapes(**shapes: Any) -> None:
    """Refuses (OperatorError) what is no sequence of whole numbers above 0."""
    for what, shape in shapes.items():
        try:
            fine = not isinstance(shape, str) and all(int(n) == n > 0 for n in shape)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise OperatorError(f"{what} is {shape!r}; expected whole numbers such as (1, 64, 64)")
