"""Weighted least squares of blurs are solved as fast as plain ones, and say how exactly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import BOUNDARIES, Boundary, Channelwise, Convolution, LinearOperator, VaryingBlur
from operators import row_scaled as module
from operators.checks import to_matrix
from operators.row_scaled import RowScaled

F64 = torch.float64
SIZE = (12, 13)


def one_kernel(boundary: Boundary) -> LinearOperator:
    return Convolution(laws.random_kernel((3, 5)), (2, *SIZE), boundary, center=(0, 3))


def by_channel(boundary: Boundary) -> LinearOperator:
    kernels = (laws.random_kernel((3, 5), seed=seed) for seed in (1, 2))
    return Channelwise([Convolution(kernel, (1, *SIZE), boundary) for kernel in kernels])


def varying(boundary: Boundary) -> LinearOperator:
    kernels = torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(3), dtype=F64)
    return VaryingBlur(kernels / kernels.sum((2, 3), keepdim=True), (2, *SIZE), boundary)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def clipped(A: LinearOperator, size: float = 2.0) -> RowScaled:
    """Weights size², and none in two spots, which differ between the pictures."""
    root = torch.full((2, *A.measurement_shape), size, dtype=F64)
    root[0, :, 2:4, 3:6] = 0
    root[1, 0, 6:8, 1:3] = 0
    return RowScaled(A, root)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("make", [one_kernel, by_channel, varying])
def test_the_prox_is_the_dense_one(
    make: Callable[[Boundary], LinearOperator], boundary: Boundary
) -> None:
    B = clipped(make(boundary))
    plain = to_matrix(B.parts[0])
    z, y = drawn(2, 2, *SIZE, seed=4), drawn(2, *B.measurement_shape, seed=5)
    gamma = torch.tensor([0.7, 40.0], dtype=F64)
    x, error = B.prox_l2_with_error(z, y, gamma, tol=1e-10, max_iter=500)
    assert float(error.max()) < 1e-9
    for n in range(2):
        M = B.root[n].flatten()[:, None] * plain
        right = z[n].flatten() + gamma[n] * M.T @ y[n].flatten()
        exact = torch.linalg.solve(torch.eye(len(right)).to(M) + gamma[n] * M.T @ M, right)
        assert float((x[n].flatten() - exact).norm()) <= float(error[n])


def applications(
    B: RowScaled, gamma: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, float, Tensor]:
    """How often conjugate gradients apply the map, the stated error, and the picture."""
    count: list[int] = []
    from operators import conjugate_gradient as cg

    def counted(apply: Callable[[Tensor], Tensor], *given: Tensor, **named: object) -> Tensor:
        def counting(v: Tensor) -> Tensor:
            count.append(1)
            return apply(v)

        return cg.conjugate_gradient(counting, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("operators.shifted.conjugate_gradient", counted)
    monkeypatch.setattr("operators.spectral.conjugate_gradient", counted)
    z, y = drawn(2, *B.image_shape, seed=4), drawn(2, *B.measurement_shape, seed=5)
    x, error = B.prox_l2_with_error(z, B.root * y, gamma, tol=1e-6, max_iter=2000)
    return len(count), float(error.max()), x


def test_few_clipped_pixels_take_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = torch.full((1, 7), 1 / 7, dtype=F64)
    for boundary in ("circular", "valid", "reflect"):
        B = clipped(Convolution(kernel, (1, 48, 48), boundary))  # type: ignore[arg-type]
        few, error, x = applications(B, 1000.0, monkeypatch)
        assert error < 2e-6
        with monkeypatch.context() as patch:  # the twin: neither frequencies nor preconditioner
            patch.setattr(module, "_spectral", lambda *_: None)
            patch.setattr(RowScaled, "_preconditioner", lambda *_: None)
            many, rough, same = applications(B, 1000.0, monkeypatch)
        assert 2 * few < many
        assert float((x - same).norm()) <= 2 * (error + rough)


def test_weights_in_another_place_show_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    B = clipped(one_kernel("valid"))
    solve = Convolution.weighted_solve

    def misplaced(A: Convolution, weights: Tensor, *given: Tensor) -> Tensor:
        return solve(A, weights.roll(1, -1), *given)  # type: ignore[arg-type]

    z, y = drawn(2, 2, *SIZE, seed=4), drawn(2, *B.measurement_shape, seed=5)
    assert float(B.prox_l2_with_error(z, y, 5.0, tol=1e-8, max_iter=500)[1].max()) < 1e-7
    monkeypatch.setattr(Convolution, "weighted_solve", misplaced)
    assert float(B.prox_l2_with_error(z, y, 5.0, tol=1e-8, max_iter=500)[1].min()) > 1e-2


def test_an_operator_of_another_kind_is_solved_as_before() -> None:
    class Other(Convolution):
        """What a subclass does, nobody knows."""

    root = torch.ones(1, 1, *SIZE, dtype=F64)
    kernel = laws.random_kernel((3, 3))
    for A, known in (
        (Other(kernel, (1, *SIZE)), False),
        (Convolution(kernel, (1, *SIZE), "reflect"), False),
        (Convolution(kernel, (1, *SIZE)), True),
    ):
        z = drawn(1, 1, *SIZE, seed=1)
        found = module._spectral(A, root, z, z, torch.ones(1, 1, 1, 1, dtype=F64), 1e-6, 100)
        assert (found is not None) == known
