"""Norm brackets contain the norm, and a bracket that does not is caught."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    LinearOperator,
    NormBound,
    OperatorError,
    check_norm,
    circular_norm,
    collatz_wielandt,
    power_iteration_estimate,
    to_matrix,
)
from operators.borders import Axis, pad, pad_transpose
from operators.fourier import fft_convolution_error
from operators.norms import peak_response, tightest

F64 = torch.float64


class Dense(LinearOperator):
    """Any matrix, on images of one row."""

    matrix: Tensor

    def __init__(self, matrix: Tensor, *, nonnegative: bool = True) -> None:
        rows, columns = matrix.shape
        super().__init__("matrix", (1, 1, columns), (rows,), nonnegative=nonnegative)
        self.register_buffer("matrix", matrix)

    def _forward_map(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix.T

    def _transpose_map(self, y: Tensor) -> Tensor:
        return (y @ self.matrix).reshape(-1, *self.image_shape)


class Understated(Convolution):
    """Claims a norm that is a thousandth too small."""

    def _prove_norm(self) -> NormBound:
        true = super()._prove_norm()
        return NormBound(true.lower * 0.999, 0.0, "wishful", "none")


@pytest.mark.parametrize("case", laws.OPERATORS, ids=lambda case: case.label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bracket_contains_the_largest_singular_value(
    case: laws.OperatorCase, dtype: torch.dtype
) -> None:
    A = case.build(dtype)
    attained = check_norm(A)
    assert A.norm_certificate.lower > 0.5 * attained
    estimate = power_iteration_estimate(A, torch.Generator().manual_seed(0), 30)
    assert 0.7 * attained < estimate <= A.norm_bound


def test_an_understated_norm_is_caught() -> None:
    with pytest.raises(OperatorError, match="is attained"):
        check_norm(Understated(laws.random_kernel((3, 3)), (1, 8, 8)))

    class Overstated(Convolution):
        def _prove_norm(self) -> NormBound:
            true = super()._prove_norm()
            return NormBound(2 * true.value, 1.01 * true.value, "careless", "none")

    with pytest.raises(OperatorError, match="lower end"):
        check_norm(Overstated(laws.random_kernel((3, 3)), (1, 8, 8)))


def test_collatz_wielandt_alone_closes_on_the_norm() -> None:
    for boundary in ("replicate", "reflect", "constant", "valid", "circular"):
        A = Convolution(laws.random_kernel((5, 5)), (1, 12, 12), boundary)
        attained = float(torch.linalg.matrix_norm(to_matrix(A), ord=2))
        bracket = collatz_wielandt(A, rtol=1e-6, max_iter=500)
        assert bracket.lower <= attained * (1 + 1e-14)
        assert attained <= bracket.value
        assert bracket.looseness < 1 + 1e-4
        for steps in (1, 2, 5):  # each iterate is a proof of its own
            early = collatz_wielandt(A, rtol=0.0, max_iter=steps)
            assert early.lower <= attained * (1 + 1e-14)
            assert attained <= early.value
            assert early.value >= bracket.value * (1 - 1e-9)


@pytest.mark.parametrize(
    ("matrix", "norm"),
    [
        (torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), 3.0),  # zero row
        (torch.tensor([[2.0, 0.0], [0.0, 2.0]]), 2.0),
        (torch.tensor([[0.0, 5.0], [0.0, 0.0]]), 5.0),  # nilpotent
        (torch.zeros(2, 3), 0.0),
        (torch.ones(4, 3), math.sqrt(12)),
    ],
)
def test_reducible_and_degenerate_matrices(matrix: Tensor, norm: float) -> None:
    bracket = collatz_wielandt(Dense(matrix.to(F64)), rtol=1e-9, max_iter=200)
    assert bracket.lower <= norm * (1 + 1e-15)
    assert norm <= bracket.value
    assert bracket.value == pytest.approx(norm, rel=1e-6, abs=1e-12)


def test_nothing_is_proven_without_the_hypotheses() -> None:
    signed = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=F64)
    with pytest.raises(OperatorError, match="non-negative"):
        collatz_wielandt(Dense(signed, nonnegative=False))
    with pytest.raises(OperatorError, match="no proven bound"):
        _ = Dense(signed, nonnegative=False).norm_bound
    unmatched = Dense(signed.abs())
    unmatched.adjoint_matched = False
    assert not unmatched.has_norm_bound
    with pytest.raises(OperatorError, match="matched"):
        collatz_wielandt(unmatched)
    # Declared against the truth, the bracket is wrong, and the norm test says so.
    cancelling = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=F64)
    with pytest.raises(OperatorError, match=r"is attained|no bracket|square"):
        check_norm(Dense(cancelling, nonnegative=True))


def test_circular_norm_is_exact_and_rounded_outwards() -> None:
    for seed in range(5):
        kernel = laws.random_kernel((5, 7), signed=True, seed=seed)
        bound = circular_norm(kernel, (16, 18))
        reference = float(torch.fft.fft2(kernel, s=(16, 18)).abs().max())
        assert bound.lower <= reference <= bound.value
        assert bound.looseness < 1 + 1e-12
        _, _, (row, column) = peak_response(kernel, (16, 18))
        assert torch.fft.fft2(kernel, s=(16, 18)).abs()[row, column] == pytest.approx(reference)
    flat = torch.full((3, 3), 1 / 9, dtype=F64)
    assert 1 <= circular_norm(flat, (8, 8)).value < 1 + 1e-14


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_rounding_allowance_covers_the_fft(boundary: Boundary) -> None:
    """The enclosure of AᵀA v contains the value computed by plain sums of positive terms."""
    A = Convolution(laws.random_kernel((9, 7)), (1, 40, 50), boundary, method="direct")
    v = torch.rand(1, 1, 40, 50, generator=torch.Generator().manual_seed(0), dtype=F64) + 1e-6
    below, above = A.normal_enclosure(v)
    direct = A.normal(v)
    plain = 1e-13 * direct  # rounding of the plain sums
    assert bool((below <= direct + plain).all())
    assert bool((direct - plain <= above).all())
    assert float((above - below).max()) < 1e-9 * float(direct.max())
    base = LinearOperator.normal_enclosure(A, v)
    assert bool((base[0] <= direct).all() & (direct <= base[1]).all())


def test_fft_error_bound_is_no_underestimate() -> None:
    generator = torch.Generator().manual_seed(0)
    for grid in ((16, 16), (64, 128)):
        for scale in (0.0, 1.0):  # positive and alternating data
            a, b = (torch.rand(grid, generator=generator, dtype=F64) - 0.5 * scale for _ in "ab")
            product = torch.fft.irfft2(torch.fft.rfft2(a) * torch.fft.rfft2(b), s=grid)
            # One output, summed exactly.
            flipped = b.flip(0, 1).roll((1, 1), (0, 1))
            exact = math.fsum((a.double() * flipped).flatten().tolist())
            rounding = grid[0] * grid[1] * 2e-16 * 0.26
            allowed = fft_convolution_error(float(a.norm()), grid) * float(b.norm())
            assert abs(float(product[0, 0]) - exact) <= allowed + rounding


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("taps", "center"), [(1, 0), (4, 0), (4, 3), (5, 2), (6, 2)])
def test_padding_multiplicity_is_counted_right(boundary: Boundary, taps: int, center: int) -> None:
    for length in (6, 7, 11):
        rows, columns = Axis(length, taps, center, boundary), Axis(5, 1, 0, boundary)
        counts = pad_transpose(
            pad(torch.ones(1, 1, length, 5, dtype=F64), rows, columns), rows, columns
        )
        assert float(counts.max()) <= rows.largest_multiplicity
        assert float(counts.max()) >= (1 if boundary in ("constant", "valid") else 0.5) * float(
            rows.largest_multiplicity
        )


def test_copied_borders_amplify_and_the_bound_knows() -> None:
    """A blur that sums to one can still have a norm above one when border pixels are repeated."""
    A = Convolution(torch.eye(11, dtype=F64) / 11, (1, 20, 20), "replicate")
    assert check_norm(A) > 1.3
    assert A.norm_certificate.looseness < 1.01


def test_tightest_keeps_both_best_ends() -> None:
    a, b = NormBound(2.0, 0.5, "a", ""), NormBound(3.0, 1.5, "b", "")
    assert tightest(a, b) == NormBound(2.0, 1.5, "a", "")
    for lower, value in ((2.0, 1.0), (0.0, math.inf), (-1.0, 1.0), (0.0, math.nan)):
        with pytest.raises(OperatorError, match="no bracket"):
            NormBound(value, lower, "", "")


# A photograph's size; what its certificate may cost, in applications to one of its channels: the
# bracket takes 25 at most, the gain that is attained one to all three.
PHOTOGRAPH, MOST_APPLICATIONS = (3, 481, 321), 28


def applications(A: Convolution, monkeypatch: pytest.MonkeyPatch) -> float:
    """What the certificate of A costs, in applications to one channel."""
    seen: list[int] = []
    for name in ("normal_enclosure", "_forward_map"):
        real = getattr(Convolution, name)

        def noted(self: Convolution, x: Tensor, real: Any = real) -> Any:
            seen.append(x.numel())
            return real(self, x)

        monkeypatch.setattr(Convolution, name, noted)
    assert A.norm_certificate.looseness < 1.1
    return sum(seen) / math.prod(A.image_shape[1:])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_certificate_of_a_photograph_takes_few_applications(
    boundary: Boundary, monkeypatch: pytest.MonkeyPatch
) -> None:
    A = Convolution(laws.random_kernel((25, 25), dtype=torch.float32), PHOTOGRAPH, boundary)
    assert applications(A, monkeypatch) <= MOST_APPLICATIONS


def test_a_certificate_on_all_channels_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Convolution, "certificate_start", LinearOperator.certificate_start)
    A = Convolution(laws.random_kernel((25, 25), dtype=torch.float32), PHOTOGRAPH, "replicate")
    assert applications(A, monkeypatch) > MOST_APPLICATIONS
