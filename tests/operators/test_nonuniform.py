"""MRI off the grid: the grid as a trajectory, the bound by a circulant matrix, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import MRI, NonuniformMRI, OperatorError
from operators.checks import check_norm, to_matrix
from operators.nonuniform import radial_trajectory

F64 = torch.float64


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def grid(height: int, width: int) -> Tensor:
    """The frequencies of the DFT, zero in the middle."""
    rows, columns = ((torch.arange(n, dtype=F64) - n // 2) / n for n in (height, width))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


@pytest.mark.parametrize("coils", [False, True])
def test_on_the_grid_it_is_the_orthonormal_transform(coils: bool) -> None:
    maps = laws.random_maps(F64) if coils else None
    whole = MRI(torch.ones(6, 5), maps)
    A = NonuniformMRI(grid(6, 5), (6, 5), maps)
    x = rand(2, 2, 6, 5)
    assert torch.allclose(A.A(x), whole.A(x).flatten(-2), atol=1e-13)
    assert A.norm_bound == pytest.approx(whole.norm_bound, rel=1e-9)
    assert A.norm_bound >= whole.norm_certificate.lower


@pytest.mark.parametrize("spokes", [1, 5, 40])
@pytest.mark.parametrize("size", [(8, 8), (9, 6)])
def test_the_bound_holds_and_is_not_far_off(spokes: int, size: tuple[int, int]) -> None:
    A = NonuniformMRI(radial_trajectory(spokes, 11), size)
    dense = float(torch.linalg.matrix_norm(to_matrix(A), 2))
    assert A.norm_certificate.lower <= dense * (1 + 1e-9)
    assert dense <= A.norm_bound <= 2 * dense
    assert torch.allclose(A.normal(x := rand(1, 2, *size)), A.A_adjoint(A.A(x)), atol=1e-11)


class Grid(NonuniformMRI):
    """A twin that takes the eigenvalues on the picture's own grid, without the embedding."""

    def _circulant(self) -> Tensor:
        return super()._circulant()[::2, ::2].mean((0, 1), keepdim=True)


def test_a_bound_without_the_embedding_is_caught() -> None:
    path = radial_trajectory(5, 11)
    check_norm(NonuniformMRI(path, (8, 8)))
    with pytest.raises(OperatorError):
        check_norm(Grid(path, (8, 8)))


def test_the_proximal_map_is_as_near_as_it_says() -> None:
    A = NonuniformMRI(radial_trajectory(9, 12), (6, 5), laws.random_maps(F64))
    z, x = rand(1, 2, 6, 5), rand(1, 2, 6, 5, seed=1)
    found, error = A.prox_l2_with_error(z, A.A(x), 2.0, tol=1e-10)
    matrix = to_matrix(A)
    right = (z + 2 * A.A_adjoint(A.A(x))).flatten()
    exact = torch.linalg.solve(torch.eye(60, dtype=F64) + 2 * matrix.mT @ matrix, right)
    assert float((found.flatten() - exact).norm()) <= float(error) < 1e-8


@pytest.mark.parametrize(
    ("trajectory", "message"),
    [
        (torch.zeros(4, 3), r"expected \(K, 2\)"),
        (torch.zeros(0, 2), r"expected \(K, 2\)"),
        (torch.full((4, 2), float("nan")), "not finite"),
        (torch.zeros(4, 2).cfloat(), "no real tensor"),
        ([[0.0, 0.0]], "no real tensor"),
    ],
)
def test_what_is_no_trajectory_is_refused(trajectory: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        NonuniformMRI(trajectory, (6, 5))
    with pytest.raises(OperatorError, match="0 spokes"):
        radial_trajectory(0, 4)
