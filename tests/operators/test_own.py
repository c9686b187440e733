"""Operators of one's own: what is declared of them is probed, and false words are refuted."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from scipy.sparse.linalg import LinearOperator as ScipyOperator
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor

from operators import OperatorError, from_callable, from_scipy
from operators.checks import check_operator

F64 = torch.float64
IMAGE = (1, 5, 6)


def differences(x: Any) -> Any:
    """Differences of columns, for tensors and arrays alike."""
    return x[..., 1:] - x[..., :-1]


def transposed(y: Tensor) -> Tensor:
    return torch.nn.functional.pad(y, (1, 0)) - torch.nn.functional.pad(y, (0, 1))


def transposed_array(y: np.ndarray) -> np.ndarray:
    none = [(0, 0)] * (y.ndim - 1)
    return np.pad(y, [*none, (1, 0)]) - np.pad(y, [*none, (0, 1)])


def scipy_blur(rmatvec: bool = True, scale: float = 1.0, dtype: Any = np.float64) -> ScipyOperator:
    """A mean over neighbours with zeros beyond the border, which is its own transpose."""

    def blur(v: np.ndarray) -> np.ndarray:
        return scale * scipy.ndimage.uniform_filter(v.reshape(5, 6), 3, mode="constant").ravel()

    return ScipyOperator((30, 30), blur, rmatvec=blur if rmatvec else None, dtype=dtype)


@pytest.mark.parametrize("arrays", [False, True])
def test_two_functions_keep_the_laws(arrays: bool) -> None:
    back = transposed_array if arrays else transposed
    A = from_callable(differences, back, IMAGE, (1, 5, 5), norm_bound=2.0, arrays=arrays)
    report = check_operator(A)
    assert report.holds, report
    assert A.norm_bound == 2.0
    assert (A.transpose_by, A.norm_by) == ("measurement", "declaration")
    x = torch.randn(2, *IMAGE, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(A.A, x)
    assert torch.autograd.gradgradcheck(lambda t: A.A(t) ** 2, x)
    narrow = A.A(x.detach().float())
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, differences(x.detach().float()))


def test_without_a_declaration_nothing_is_known_of_the_norm() -> None:
    A = from_callable(differences, transposed, IMAGE, (1, 5, 5))
    assert not A.has_norm_bound
    with pytest.raises(
        OperatorError, match=r"pass norm_bound=\.\.\. .*from_callable or from_scipy"
    ):
        _ = A.norm_bound


@pytest.mark.parametrize(
    ("A", "At", "options", "words"),
    [
        (differences, lambda y: 2 * transposed(y), {}, "not the transpose"),
        (lambda x: differences(x) + 1, transposed, {}, "A of .* is not linear"),
        (lambda x: differences(x).clamp(-1, 1), transposed, {}, "A of .* is not linear"),
        (differences, lambda y: transposed(y).abs(), {}, "At of .* is not linear"),
        (differences, transposed, {"norm_bound": 1.5}, "declared to be at most 1.5, but 1"),
        (differences, transposed, {"norm_bound": math.inf}, "finite number"),
        (differences, transposed, {"nonnegative": True}, "declared non-negative"),
        (lambda x: x[..., 2:], transposed, {}, "returns the shape"),
        (lambda x: x.numpy(), transposed, {}, "returns a ndarray; expected a tensor"),
        (
            differences,
            transposed,
            {"arrays": True},
            "At of 'differences' fails on NumPy arrays: AttributeError",
        ),
        (differences, None, {}, "At is a NoneType; expected a function"),
        (lambda x: differences(x) + 0j, transposed, {}, "a channel each"),
    ],
)
def test_false_words_are_refuted(A: Any, At: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        from_callable(A, At, IMAGE, (1, 5, 5), **options)


def test_an_unmatched_transpose_can_be_taken_without_guarantees() -> None:
    A = from_callable(
        differences, lambda y: 2 * transposed(y), IMAGE, (1, 5, 5), norm_bound=2.0,
        allow_unmatched=True,
    )  # fmt: skip
    assert not A.adjoint_matched
    assert not A.has_norm_bound


def test_an_operator_of_scipy_comes_in() -> None:
    A = from_scipy(scipy_blur(), IMAGE, IMAGE, nonnegative=True)
    report = check_operator(A)
    assert report.holds, report
    assert A.name == "scipy _CustomLinearOperator"
    x = torch.rand(2, *IMAGE, dtype=F64, requires_grad=True)
    wanted = scipy.ndimage.uniform_filter(x.detach().numpy(), (0, 0, 3, 3), mode="constant")
    torch.testing.assert_close(A.A(x).detach(), torch.from_numpy(wanted))
    assert torch.autograd.gradcheck(A.A, x)
    assert 0.8 < A.norm_bound < 1
    with pytest.raises(OperatorError, match=r"but .* is attained"):
        from_scipy(scipy_blur(), IMAGE, norm_bound=0.5)
    narrow = from_scipy(scipy_blur(dtype=np.float32), IMAGE)
    assert narrow.certificate_dtype == torch.float32
    assert not narrow.has_norm_bound


def test_a_matrix_inside_is_found_and_its_norm_proven() -> None:
    matrix = np.random.default_rng(0).normal(size=(10, 30))
    A = from_scipy(aslinearoperator(matrix), IMAGE)
    assert A.norm_by == "construction"
    assert A.norm_bound == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-2)
    # The twin: the same behind a function is not looked into.
    hidden = ScipyOperator(
        matrix.shape, lambda v: matrix @ v, rmatvec=lambda v: matrix.T @ v, dtype=np.float64
    )
    assert not from_scipy(hidden, IMAGE).has_norm_bound


def test_what_pylops_has_is_enough() -> None:
    """An operator with `dims` and `dimsd` says itself what pictures are."""
    inner = scipy_blur()
    plain = SimpleNamespace(
        shape=(30, 30), dims=(5, 6), dimsd=(5, 6), dtype=np.float64,
        matvec=inner.matvec, rmatvec=inner.rmatvec,
    )  # fmt: skip
    A = from_scipy(plain)
    assert (A.image_shape, A.measurement_shape) == (IMAGE, (5, 6))


@pytest.mark.parametrize(
    ("operator", "image", "words"),
    [
        (scipy_blur(rmatvec=False), IMAGE, "rmatvec=..."),
        (scipy_blur(), None, r"pass image_shape=\(C, H, W\)"),
        (scipy_blur(), (1, 5, 5), "has 30"),
        (np.eye(30), IMAGE, "take operators.from_matrix"),
        (len, IMAGE, "without matvec"),
        (aslinearoperator(np.eye(30) * 1j), IMAGE, "expected real"),
    ],
)
def test_what_is_no_operator_is_refused(operator: Any, image: Any, words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        from_scipy(operator, image)


@pytest.mark.parametrize("shape", ["abc", 30, (1, 5.5, 6), (1, 0, 6), None])
def test_shapes_that_are_none(shape: Any) -> None:
    for shapes, words in (((shape, (1, 5, 5)), "image_shape"), ((IMAGE, shape), "measurement_sh")):
        with pytest.raises(OperatorError, match=f"{words}.* expected whole numbers"):
            from_callable(differences, transposed, *shapes)


def test_what_a_function_writes_into_stays_its_own() -> None:
    """One that centres its argument in place, and one that gives the same memory every time."""
    memory = torch.zeros(4, 1, 5, 5, dtype=F64)

    def into_memory(x: Tensor) -> Tensor:
        x -= x.mean(dim=-1, keepdim=True)  # differences do not see it
        memory[: len(x)] = differences(x)
        return memory[: len(x)]

    A = from_callable(into_memory, transposed, IMAGE, (1, 5, 5), norm_bound=2.0)
    x, z = torch.randn(2, 1, *IMAGE, dtype=F64)
    kept, of_x = x.clone(), A.A(x)
    A.A(z)
    assert torch.equal(x, kept)
    torch.testing.assert_close(of_x, differences(x))
    same = from_callable(lambda t: t, lambda t: t, IMAGE, IMAGE, norm_bound=1.0)
    same.A(x).mul_(5)
    assert torch.equal(x, kept)


def test_only_scipys_own_matrix_is_taken_as_its_matrix() -> None:
    matrix = np.arange(60.0).reshape(2, 30)

    class MatrixLinearOperator(ScipyOperator):
        """Twice the matrix that it keeps."""

        def __init__(self) -> None:
            super().__init__(np.float64, matrix.shape)
            self.A = matrix

        def _matvec(self, v: np.ndarray) -> np.ndarray:
            return 2 * matrix @ v

        def _rmatvec(self, v: np.ndarray) -> np.ndarray:
            return 2 * matrix.T @ v

    changed = aslinearoperator(matrix)
    changed.matvec = lambda v: 2 * matrix @ v
    changed.rmatvec = lambda v: 2 * matrix.T @ v
    x = torch.ones(1, *IMAGE, dtype=F64)
    for brought, factor in (
        (aslinearoperator(matrix), 1),
        (MatrixLinearOperator(), 2),
        (changed, 2),
    ):
        A = from_scipy(brought, IMAGE)
        np.testing.assert_allclose(A.A(x)[0].numpy(), factor * matrix.sum(1))
        assert A.has_norm_bound == (factor == 1)


@pytest.mark.parametrize("bound", ["3", True, np.array([9.0, 9.0]), torch.tensor([9.0, 9.0])])
def test_a_declared_norm_is_one_number(bound: Any) -> None:
    with pytest.raises(OperatorError, match="expected a finite number"):
        from_callable(differences, transposed, IMAGE, (1, 5, 5), norm_bound=bound)
    number = torch.tensor(2.0)
    A = from_callable(differences, transposed, IMAGE, (1, 5, 5), norm_bound=number)  # type: ignore[arg-type]
    assert A.norm_bound == 2.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_called_so(value: float) -> None:
    with pytest.raises(OperatorError, match="not finite"):
        from_callable(lambda x: value * differences(x), transposed, IMAGE, (1, 5, 5))
