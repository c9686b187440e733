"""The error that a proximal map states is above the true one, closed forms included."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    Convolution,
    Downsampling,
    Identity,
    Inpainting,
    LinearOperator,
    OperatorError,
    Scaled,
    to_matrix,
)

F32, F64 = torch.float32, torch.float64
COUPLINGS = [10.0**exponent for exponent in range(-6, 11, 2)]
CLOSED = [case for case in laws.OPERATORS if case.build(F64).prox_closed_form]
every_dtype = pytest.mark.parametrize("dtype", [F32, F64])


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def exact_prox(A: LinearOperator, z: Tensor, y: Tensor, gamma: float) -> Tensor:
    """By the singular values: each component of x is ((Vᵀz) + γ s (Uᵀy)) / (1 + γ s²).

    An error ε‖A‖ of s moves a component by √γ ε‖A‖‖y‖ at most, where a solve of I + γAᵀA in
    float64 would lose γ‖A‖² ε.
    """
    u, s, vh = torch.linalg.svd(to_matrix(A), full_matrices=True)
    s = torch.cat([s, s.new_zeros(vh.shape[0] - len(s))])
    data = y.flatten(1).to(F64) @ u
    data = torch.nn.functional.pad(data, (0, max(0, len(s) - data.shape[1])))[:, : len(s)]
    components = z.flatten(1).to(F64) @ vh.T + gamma * s * data
    return (components / (1 + gamma * s**2) @ vh).reshape(z.shape)


def excess(A: LinearOperator, gamma: float, dtype: torch.dtype) -> tuple[float, float]:
    """By how much the true error is above the stated one, and the stated one over √N."""
    z = rand(2, *A.image_shape, dtype=dtype)
    y = rand(2, *A.measurement_shape, seed=2, dtype=dtype)
    x, stated = A.prox_l2_with_error(z, y, gamma)
    assert (x.dtype, stated.shape) == (dtype, (2,))
    exact = exact_prox(A, z, y, gamma)
    true = (x.to(F64) - exact).flatten(1).norm(dim=1)
    reference = 1e-14 * math.sqrt(1 + gamma) * float(exact.norm() + y.norm())
    gap = float((true - stated).max()) - reference
    return gap, float(stated.max()) / math.sqrt(z[0].numel())


@every_dtype
@pytest.mark.parametrize("case", CLOSED, ids=lambda case: case.label)
def test_a_closed_form_is_within_its_stated_error(
    case: laws.OperatorCase, dtype: torch.dtype
) -> None:
    A = case.build(dtype)
    for gamma in COUPLINGS:
        gap, stated = excess(A, gamma, dtype)
        assert gap <= 0, gamma
        # Whatever γ: the rounding of the result, and γ times that of float64 in the residual.
        largest = 100 * max(1.0, A.norm_bound) ** 2  # 100: of how large the entries of x may be
        assert stated <= largest * (torch.finfo(dtype).eps + 4e-16 * gamma), gamma


class Off(Inpainting):
    """Its formula is wrong by one percent."""

    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        return super()._closed_prox(z, y, 1.01 * step)


class OffBlur(Convolution):
    def _closed_prox(self, z: Tensor, y: Tensor, step: Tensor) -> Tensor:
        return 1.01 * super()._closed_prox(z, y, step)


class Silent(Off):
    """The twin: wrong, and says that it is exact."""

    def prox_l2_with_error(self, *arguments, **options):  # type: ignore[no-untyped-def]
        x, error = super().prox_l2_with_error(*arguments, **options)
        return x, 0 * error


WRONG: list[Callable[[], LinearOperator]] = [
    lambda: Off(laws.random_mask((1, 7, 8))),
    lambda: OffBlur(laws.random_kernel((3, 5)), (1, 7, 8)),
]


@pytest.mark.parametrize("build", WRONG)
@pytest.mark.parametrize("gamma", [0.1, 1.0, 1e4])
def test_the_stated_error_of_a_wrong_formula_covers_its_fault(
    build: Callable[[], LinearOperator], gamma: float
) -> None:
    gap, stated = excess(build(), gamma, F64)
    assert gap <= 0
    assert stated > 1e-6


def test_a_wrong_formula_that_claims_no_error_is_caught() -> None:
    gap, _ = excess(Silent(laws.random_mask((1, 7, 8))), 1.0, F64)
    assert gap > 1e-3


def test_what_the_review_measured_is_mended() -> None:
    """In float32 the blur was 5e-3 off at γ = 1e8 and the downsampling 0.99, reported as 0."""
    kernel = laws.random_kernel((7, 7), dtype=F32)
    for A in (Convolution(kernel, (1, 16, 16)), Downsampling(kernel, 2, (1, 16, 16))):
        z, y = rand(1, *A.image_shape, dtype=F32), rand(1, *A.measurement_shape, seed=2, dtype=F32)
        x, stated = A.prox_l2_with_error(z, A.A(z) + 0.01 * y, 1e8)
        exact = exact_prox(A, z, A.A(z) + 0.01 * y, 1e8)
        true = float((x.to(F64) - exact).norm())
        assert true <= float(stated) <= 1e-5 * float(exact.norm())


def test_an_overflow_is_an_infinite_error_and_no_number() -> None:
    A = Convolution(laws.random_kernel((3, 3)), (1, 8, 8))
    _, stated = A.prox_l2_with_error(rand(1, 1, 8, 8), rand(1, 1, 8, 8), 1e308)
    assert float(stated) == math.inf


def test_a_closed_form_may_be_declined_and_never_claimed() -> None:
    A = Convolution(laws.random_kernel((3, 3)), (1, 8, 8), "reflect")
    A.prox_closed_form = True
    assert not A.prox_closed_form
    circular = Convolution(laws.random_kernel((3, 3)), (1, 8, 8))
    z, y = rand(1, 1, 8, 8), rand(1, 1, 8, 8, seed=2)
    formula, _ = circular.prox_l2_with_error(z, y, 3.0)
    circular.prox_closed_form = False
    assert not circular.prox_closed_form
    assert not (2 * circular).prox_closed_form
    x, error = circular.prox_l2_with_error(z, y, 3.0, tol=1e-3, max_iter=0)
    assert 1e-12 < float((x - formula).norm()) <= float(error)


def test_batches_that_do_not_fit_are_refused_in_words() -> None:
    for A in (Identity((1, 4, 4)), Scaled(2.0, Convolution(torch.ones(3, 3), (1, 4, 4), "valid"))):
        z, y = rand(3, *A.image_shape), rand(3, *A.measurement_shape)
        A.prox_l2_with_error(z, y[:1], 1.0)
        for arguments in (
            (z, y[:2], 1.0),
            (z, y, 1.0, z[:2]),
            (z[:0], y[:0], 1.0),
            (z, y.flatten(), 1.0),
            (z, y.half(), 1.0),
            (z.long(), y, 1.0),
            (z, y.long(), 1.0),
            (z, y, -1.0),
            (z, y, math.nan),
            (z, y, torch.ones(2)),
        ):
            with pytest.raises(OperatorError):
                A.prox_l2_with_error(*arguments)
