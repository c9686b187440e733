"""A matrix as an operator: its norm is proven, and nothing is left to declare."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from operators import OperatorError, from_matrix
from operators.checks import check_operator
from operators.matrix_norms import gram_bound, schur_bound

F64 = torch.float64
IMAGE = (2, 4, 5)


def entries(rows: int, columns: int, *, signed: bool, seed: int = 0, zeros: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn if signed else torch.rand
    values = draw(rows, columns, generator=generator, dtype=F64)
    return values * (torch.rand(rows, columns, generator=generator) >= zeros)


def forms(matrix: Tensor) -> dict[str, object]:
    """The same matrix in every form that is taken."""
    return {
        "numpy": matrix.numpy(),
        "tensor": matrix,
        "coo tensor": matrix.to_sparse_coo(),
        "scipy csc": scipy.sparse.csc_matrix(matrix.numpy()),
        "scipy array": scipy.sparse.coo_array(matrix.numpy()),
    }


def true_norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("form", forms(torch.zeros(1, 1)))
def test_every_form_keeps_all_laws(form: str, signed: bool) -> None:
    matrix = entries(30, math.prod(IMAGE), signed=signed, zeros=0.5)
    A = from_matrix(forms(matrix)[form], IMAGE, (5, 6))
    x = torch.rand(3, *IMAGE, dtype=F64, generator=torch.Generator().manual_seed(1))
    wanted = (x.reshape(3, -1) @ matrix.T).reshape(3, 5, 6)
    torch.testing.assert_close(A.A(x), wanted, rtol=1e-13, atol=1e-13)
    report = check_operator(A)
    assert report.holds, report
    assert A.nonnegative is not signed
    assert (A.transpose_by, A.norm_by) == ("construction", "construction")
    assert true_norm(matrix) <= A.norm_bound < 1.01 * true_norm(matrix)


@pytest.mark.parametrize("form", ["tensor", "scipy csc"])
def test_gradients_are_those_of_the_map(form: str) -> None:
    matrix = entries(6, 8, signed=True)
    A = from_matrix(forms(matrix)[form], (1, 2, 4))
    x = torch.randn(2, 1, 2, 4, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(A.A, x)
    assert torch.autograd.gradgradcheck(lambda t: A.A(t) ** 2, x)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (40, 200), (200, 40), (120, 120)])
@pytest.mark.parametrize("signed", [False, True])
def test_bounds_are_bounds_and_the_gram_matrix_gives_a_tight_one(
    shape: tuple[int, int], signed: bool
) -> None:
    for seed in range(4):
        matrix = entries(*shape, signed=signed, seed=seed) * 10.0 ** (3 * seed - 4)
        true = true_norm(matrix)
        schur, gram = schur_bound(matrix), gram_bound(matrix)
        assert schur.value >= true
        assert gram is not None
        assert gram.lower <= true <= gram.value
        assert gram.value < true * shape[0] ** (1 / 2048) * (1 + 1e-9) or shape[1] < shape[0]
        assert gram.value < 1.003 * true
        # The twin: a power less than what is proven is no bound.
        assert gram.value * 0.99 < true


def test_schur_is_exact_for_a_permutation_and_loose_for_noise() -> None:
    permuted = 3 * torch.eye(20, dtype=F64)[torch.randperm(20)]
    assert schur_bound(permuted).value == pytest.approx(3, rel=1e-12)
    noise = entries(100, 100, signed=True)
    assert schur_bound(noise).value > 3 * true_norm(noise)


def test_a_large_sparse_matrix_has_a_bound_without_its_gram_matrix() -> None:
    """Differences of neighbours: the norm is below 2, which Schur's test finds."""
    n = 3000
    matrix = scipy.sparse.diags([1.0, -1.0], [0, 1], shape=(n, n))
    A = from_matrix(matrix, (1, 50, 60))
    assert gram_bound(A.matrix) is None
    assert A.norm_bound == pytest.approx(2, rel=1e-9)


def test_a_changed_matrix_is_another_one() -> None:
    A = from_matrix(entries(6, 8, signed=True).numpy(), (1, 2, 4))
    before, x = A.norm_bound, torch.ones(1, 1, 2, 4, dtype=F64)
    seen = A.A(x)
    with torch.no_grad():
        A.matrix.mul_(2)
    assert A.norm_bound == pytest.approx(2 * before)
    torch.testing.assert_close(A.A(x), 2 * seen)


def test_the_given_array_is_copied() -> None:
    values = np.eye(4)
    A = from_matrix(values, (1, 2, 2))
    values[:] = 7
    assert A.norm_bound == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(
    ("matrix", "image", "measured", "words"),
    [
        (np.eye(4), (1, 2, 3), None, "has 4 columns"),
        (np.eye(4), (1, 2, 2), (3,), "has 4 rows"),
        (np.eye(4, dtype=complex), (1, 2, 2), None, "expected real"),
        (np.ones(4), (1, 2, 2), None, "rows and columns"),
        ([[1.0]], (1, 1, 1), None, "is a list"),
        (np.full((4, 4), np.nan), (1, 2, 2), None, "not finite"),
        (np.zeros((0, 4)), (1, 2, 2), None, "empty"),
    ],
)
def test_what_is_no_matrix_for_the_picture_is_refused(
    matrix: object, image: tuple[int, ...], measured: tuple[int, ...] | None, words: str
) -> None:
    with pytest.raises(OperatorError, match=words):
        from_matrix(matrix, image, measured)


def test_a_matrix_without_entries_is_zero() -> None:
    A = from_matrix(scipy.sparse.csr_matrix((3, 40)), IMAGE)
    assert not A.A(torch.ones(1, *IMAGE)).any()
    assert 0 < A.norm_bound < 1e-300


def test_matrices_without_usable_numbers_are_refused() -> None:
    matrix = entries(3, 40, signed=True)
    with pytest.raises(OperatorError, match="scale the operator"):
        _ = from_matrix(matrix * 1e200, IMAGE).norm_bound
    with pytest.raises(OperatorError, match="masked"):
        from_matrix(np.ma.masked_array(matrix.numpy(), matrix.numpy() > 1), IMAGE)
    with pytest.raises(OperatorError, match="meta"):
        from_matrix(matrix.to("meta"), IMAGE)
