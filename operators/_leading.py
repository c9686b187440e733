"""A start for a Collatz–Wielandt bracket that creeps: about the leading eigenvector of AᵀA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def leading_vector(normal: Callable[[Tensor], Tensor], ones: Tensor) -> Tensor:
    """The leading eigenvector, roughly, by Lanczos iterations, lifted above zero.

    Only an estimate: a bracket is valid from any start above zero.

    Args:
        normal: maps v to AᵀA v, for v like `ones`; no entry of the matrix is negative.
        ones: all ones, on a CPU.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    def product(v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        image = torch.from_numpy(np.ascontiguousarray(v)).to(ones).reshape(ones.shape)
        found: npt.NDArray[Any] = normal(image).numpy().ravel()
        return found

    matrix = LinearOperator((ones.numel(),) * 2, matvec=product, dtype=ones.numpy().dtype)
    _, vectors = eigsh(matrix, k=1, v0=ones.numpy().ravel(), tol=1e-6)
    leading = torch.from_numpy(np.abs(vectors[:, 0])).to(ones).reshape(ones.shape)
    return leading / leading.max() + 1e-4
