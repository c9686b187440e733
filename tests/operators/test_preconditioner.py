"""Conjugate gradients: a preconditioner moves no solution; an indefinite one is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from operators.conjugate_gradient import conjugate_gradient
from operators.errors import OperatorError

WEIGHTS = torch.linspace(1, 50, 36, dtype=torch.float64).view(1, 1, 6, 6)


def _solve(precondition: Tensor | None) -> Tensor:
    b = torch.ones(1, 1, 6, 6, dtype=torch.float64)
    return conjugate_gradient(
        lambda x: WEIGHTS * x,
        b,
        torch.zeros_like(b),
        tol=1e-10,
        max_iter=100,
        precondition=None if precondition is None else lambda r: precondition * r,
    )


@pytest.mark.parametrize("precondition", [None, 1 / WEIGHTS, 1 / (WEIGHTS + 3)])
def test_the_solution_is_the_same(precondition: Tensor | None) -> None:
    torch.testing.assert_close(_solve(precondition), 1 / WEIGHTS)


def test_an_indefinite_preconditioner_is_refused() -> None:
    with pytest.raises(OperatorError, match="not positive definite"):
        _solve(1 / (WEIGHTS - 45))
