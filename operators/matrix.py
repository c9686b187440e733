"""An operator whose matrix is there: everything about it is known by construction."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators import norms
from operators._projectors import apply_projector
from operators.base import LinearOperator
from operators.errors import OperatorError
from operators.matrix_norms import absolute, gram_bound, schur_bound
from operators.norms import NormBound
from operators.values import kept_precision


class MatrixOperator(LinearOperator):
    """y = M x for pictures and measurements that are read row by row; see `from_matrix`.

    The coefficients are kept in float64. The norm is the least of what Schur's test, powers of the
    Gram matrix of a small M, and Collatz–Wielandt prove, the latter for |M|, whose norm is no
    smaller.
    """

    matrix: Tensor

    def __init__(
        self,
        matrix: Tensor,
        image_shape: Sequence[int],
        measurement_shape: Sequence[int],
        *,
        noise_model: Callable[[Tensor], Tensor] | None = None,
        name: str | None = None,
    ) -> None:
        rows, columns = matrix.shape
        super().__init__(
            name or f"{rows}x{columns} matrix", image_shape, measurement_shape,
            noise_model=noise_model,
        )  # fmt: skip
        with torch.inference_mode(False):
            self.register_buffer("matrix", matrix)
        self._forms: dict[object, Tensor] = {}
        self.row_terms, self.column_terms = columns, rows

    def _forward_map(self, x: Tensor) -> Tensor:
        return apply_projector(self, x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return apply_projector(self, y, transposed=True)

    def run(self, t: Tensor, transposed: bool) -> Tensor:
        """M t or Mᵀ t for a batch; the derivative of each map is the other."""
        shape = self.image_shape if transposed else self.measurement_shape
        with kept_precision(t):  # as in `MatrixProjector.run`
            return (self._form(t, transposed) @ t.reshape(len(t), -1).T).T.reshape(len(t), *shape)

    def _form(self, like: Tensor, transposed: bool) -> Tensor:
        dense = self.matrix.layout == torch.strided
        key = (like.dtype, like.device, transposed and not dense, self.matrix._version)
        if key not in self._forms:
            with torch.inference_mode(False), torch.no_grad(), _quiet():
                kept = self.matrix.detach()
                if transposed and not dense:
                    kept = _compressed(kept.to_sparse_coo().t())
                self._forms[key] = kept.to(like.device, like.dtype)
        found = self._forms[key]
        return found.T if transposed and dense else found

    def _sign(self) -> bool:
        return bool(self._keep("sign", lambda: bool((_values(self.matrix) >= 0).all())))

    @property
    def has_norm_bound(self) -> bool:
        """Always."""
        return True

    def _prove_norm(self) -> NormBound:
        matrix = self.matrix.detach()
        if not bool(torch.isfinite(_values(matrix)).all()):
            raise OperatorError(f"'{self.name}' holds values that are not finite; repair it")
        values = _values(matrix)
        largest = float(values.abs().max()) if values.numel() else 0.0
        if largest > norms.LARGEST:
            raise OperatorError(
                f"an entry of '{self.name}' has the size {largest:.2g}; float64 can square norms "
                f"up to {norms.LARGEST:.0e}: scale the operator (and its measurements)"
            )
        with _quiet():
            bounds = [schur_bound(matrix)]
            if self.nonnegative:
                bounds.append(norms.collatz_wielandt(self))
            else:
                size = MatrixOperator(absolute(matrix), self.image_shape, self.measurement_shape)
                above = norms.collatz_wielandt(size)
                method = f"{above.method}, of the matrix of absolute values"
                bounds.append(NormBound(above.value, 0.0, method, above.source))
                found = gram_bound(matrix)
                bounds += [] if found is None else [found]
        return norms.tightest(*bounds)

    def certificate_start(self) -> Tensor:
        """The all-ones image (1, C, H, W) on the device of the matrix."""
        return torch.ones(1, *self.image_shape, dtype=torch.float64, device=self.matrix.device)

    def _forget(self) -> None:
        super()._forget()
        self._forms.clear()


def from_matrix(
    matrix: Any,
    image_shape: Sequence[int],
    measurement_shape: Sequence[int] | None = None,
    *,
    noise_model: Callable[[Tensor], Tensor] | None = None,
    name: str | None = None,
) -> MatrixOperator:
    """A matrix as an operator with a proven norm, an exact transpose and derivatives.

    Args:
        matrix: (m, n), real and finite: a NumPy array, a sparse matrix or array of SciPy, or a
            dense or sparse tensor. It is copied into float64.
        image_shape: (C, H, W) with C·H·W = n; pixels are read row by row, channel by channel.
        measurement_shape: with product m; default (m,).
        noise_model: applied by `forward`.
        name: for reports.

    Raises:
        OperatorError: another kind of thing, other shapes, or values that are not finite.
    """
    stored = _stored(matrix)
    rows, columns = (int(n) for n in stored.shape)
    measured = (rows,) if measurement_shape is None else tuple(int(n) for n in measurement_shape)
    for what, shape, wanted, side in (
        ("image_shape", tuple(image_shape), columns, "columns"),
        ("measurement_shape", measured, rows, "rows"),
    ):
        if math.prod(shape) != wanted:
            raise OperatorError(
                f"{what} is {shape}, {math.prod(shape)} numbers, but the matrix has {wanted} "
                f"{side}; give a shape of as many"
            )
    if not bool(torch.isfinite(_values(stored)).all()):
        raise OperatorError("the matrix holds values that are not finite; repair or replace it")
    return MatrixOperator(stored, image_shape, measured, noise_model=noise_model, name=name)


def is_matrix(thing: Any) -> bool:
    """Whether `from_matrix` takes a thing of this kind."""
    table = getattr(thing, "ndim", None) == 2
    return (isinstance(thing, Tensor | np.ndarray) and table) or _is_scipy_sparse(thing)


def _is_scipy_sparse(thing: Any) -> bool:
    home = type(thing).__module__
    return home.startswith("scipy.sparse") and hasattr(thing, "tocsr")


def _stored(matrix: Any) -> Tensor:
    """A copy in float64, dense or in compressed rows."""
    if not is_matrix(matrix):
        raise OperatorError(
            f"the matrix is a {type(matrix).__name__} with {getattr(matrix, 'ndim', 'no')} axes; "
            "expected a NumPy array, a SciPy sparse matrix or a tensor, with rows and columns"
        )
    if not math.prod(matrix.shape) > 0:
        raise OperatorError(f"the matrix is empty, {tuple(matrix.shape)}; give rows and columns")
    kind = str(matrix.dtype)
    if "complex" in kind or "object" in kind:
        raise OperatorError(f"the matrix is {kind}; expected real numbers")
    if isinstance(matrix, np.ma.MaskedArray) and bool(np.ma.getmaskarray(matrix).any()):
        raise OperatorError("the matrix has masked entries; fill them, as by matrix.filled(0)")
    if isinstance(matrix, Tensor) and matrix.device.type == "meta":
        raise OperatorError("the matrix is on the device 'meta', without values; give them")
    with torch.inference_mode(False), torch.no_grad(), _quiet():
        if isinstance(matrix, np.ndarray):
            return torch.tensor(matrix, dtype=torch.float64)
        if isinstance(matrix, Tensor):
            kept = matrix.detach().to(torch.float64)
            return kept.clone() if kept.layout == torch.strided else _compressed(kept)
        rows = matrix.tocsr(copy=True)
        rows.sum_duplicates()
        begins, places = (torch.tensor(p.astype(np.int64)) for p in (rows.indptr, rows.indices))
        values = torch.tensor(rows.data, dtype=torch.float64)
        return torch.sparse_csr_tensor(begins, places, values, tuple(rows.shape))


def _compressed(matrix: Tensor) -> Tensor:
    return matrix.to_sparse_coo().coalesce().to_sparse_csr()


def _values(matrix: Tensor) -> Tensor:
    return matrix if matrix.layout == torch.strided else matrix.values()


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Torch warns that compressed rows are in beta state."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.simplefilter("ignore", UserWarning)
        return found
