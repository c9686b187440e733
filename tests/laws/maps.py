"""What linear maps attain: Lipschitz constants and averagedness of dense float64 matrices.

T is α-averaged exactly if ‖T − (1−α)I‖ ≤ α: the smallest such α is found by bisection.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pnp_recon.guarantees import Guarantee


def norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))


def attained_averagedness(T: Tensor) -> float:
    """The smallest α for which T is α-averaged; infinite if T is not nonexpansive."""
    eye = torch.eye(len(T), dtype=T.dtype)
    if norm(T) > 1 + 1e-12:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(45):
        middle = (low + high) / 2
        # The allowance for rounding: where T has fixed points, norm and α are equal.
        if norm(T - (1 - middle) * eye) <= middle + 1e-13:
            high = middle
        else:
            low = middle
    return high


def assert_holds(T: Tensor, guarantee: Guarantee) -> None:
    """The checker of every law below."""
    assert guarantee.lipschitz is not None
    assert norm(T) <= guarantee.lipschitz * (1 + 1e-9), "the Lipschitz constant is too small"
    if guarantee.averagedness is not None:
        assert attained_averagedness(T) <= guarantee.averagedness * (1 + 1e-7) + 1e-9, (
            "the averagedness constant is too small"
        )


def assert_tight(T: Tensor, guarantee: Guarantee, tolerance: float = 1e-6) -> None:
    """T attains the constant; and the checker catches one that is 1 % smaller."""
    assert guarantee.averagedness is not None
    assert_holds(T, guarantee)
    assert attained_averagedness(T) == pytest.approx(guarantee.averagedness, rel=tolerance)
    with pytest.raises(AssertionError, match="averagedness constant is too small"):
        assert_holds(T, replace(guarantee, averagedness=0.99 * guarantee.averagedness))


def random_matrix(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def orthogonal(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(random_matrix(size, size, seed)).Q
