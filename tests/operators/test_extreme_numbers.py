"""Huge, tiny and ill-formed input ends in a bound that holds or in words, never in a bare error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    Downsampling,
    Gradient,
    Identity,
    Inpainting,
    LinearOperator,
    OperatorError,
    Scaled,
    Stacked,
    check_norm,
)
from operators.norms import peak_response, round_down, round_up

F32, F64 = torch.float32, torch.float64
SIZES = [
    1e-320,
    1e-200,
    1e-170,
    1e-150,
    1e-120,
    1e-30,
    1.0,
    1e30,
    1e120,
    1e150,
    1e160,
    1e200,
    1e307,
]
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)


class Dense(LinearOperator):
    """A matrix without negative entries, that somebody wrote down."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__("matrix", (1, 1, matrix.shape[1]), (matrix.shape[0],), nonnegative=True)
        self.register_buffer("matrix", matrix)

    def _forward_map(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix.T

    def _transpose_map(self, y: Tensor) -> Tensor:
        return (y @ self.matrix).reshape(-1, *self.image_shape)


def made(kind: str, size: float, boundary: Boundary) -> LinearOperator:
    """An operator whose numbers are of a size."""
    if kind == "scaled":
        return Scaled(size, Convolution(laws.random_kernel((3, 3)), (1, 6, 6), boundary))
    if kind == "dense":
        return Dense(size * laws.random_kernel((5, 4)))
    if kind == "product":
        half = Scaled(math.sqrt(size), Identity((1, 6, 6)))
        return half @ Scaled(math.sqrt(size), Identity((1, 6, 6)))
    kernel = size * laws.random_kernel((3, 3), signed=kind.startswith("signed"))
    if kind.endswith("downsampling"):
        return Downsampling(kernel, 2, (1, 6, 6), boundary)
    return Convolution(kernel, (1, 6, 6), boundary)


KINDS = ["blur", "signed blur", "downsampling", "signed downsampling", "scaled", "dense", "product"]


@pytest.mark.parametrize("kind", KINDS)
@every_boundary
def test_a_norm_of_any_size_is_bounded_or_refused(kind: str, boundary: Boundary) -> None:
    ordinary = made(kind, 1.0, boundary).norm_bound
    for size in SIZES:
        bound, words = bound_or_words(kind, size, boundary)
        if words:
            assert re.search("scale|of a size", words)
            assert not 1e-100 < size < 1e100
        else:
            assert bound == pytest.approx(size * ordinary, rel=1e-9)
            assert 0 < bound**2 < math.inf  # what every step size is made of


def bound_or_words(kind: str, size: float, boundary: Boundary) -> tuple[float, str]:
    try:
        return made(kind, size, boundary).norm_bound, ""
    except OperatorError as error:
        return math.nan, str(error)


def test_a_bound_that_underflows_would_be_noticed() -> None:
    """The twin: the bracket alone takes a tiny operator for next to nothing."""
    from operators.norms import collatz_wielandt

    ones = torch.ones(400, 300, dtype=F64)
    tiny = Dense(1e-170 * ones)
    assert collatz_wielandt(tiny).value < 1e-161
    assert collatz_wielandt(Dense(3e-164 * ones)).value < 3e-164 * math.sqrt(ones.numel())
    with pytest.raises(OperatorError, match="scale"):
        _ = tiny.norm_bound


def test_nothing_is_a_norm_too() -> None:
    assert Gradient((1, 1, 1)).norm_bound < 1e-100
    assert Dense(torch.zeros(2, 3, dtype=F64)).norm_bound < 1e-100
    assert round_down(0.0) == 0.0
    assert round_up(0.0) > 0.0


@pytest.mark.parametrize("fill", [0.0, math.nan, math.inf, 1e-200, 1e200])
def test_a_kernel_spoilt_in_place_is_refused_when_it_is_asked(fill: float) -> None:
    blur = Convolution(laws.random_kernel((3, 3)), (1, 6, 6))
    small = Downsampling(laws.random_kernel((3, 3)), 2, (1, 6, 6))
    for A in (blur, small):
        A.kernel.data.fill_(fill)
    for ask in (
        lambda: blur.norm_bound,
        lambda: small.norm_bound,
        lambda: (2 * blur).norm_bound,
        lambda: blur.gram_lower_bound,
    ):
        with pytest.raises(OperatorError, match="kernel"):
            ask()


BAD_KERNELS = [
    torch.zeros(0, 3),
    torch.zeros(3, 3),
    torch.full((3, 3), math.nan),
    torch.full((3, 3), 1e200, dtype=F64),
    torch.full((3, 3), 1.7e308, dtype=F64),
    torch.full((3, 3), 1e-200, dtype=F64),
    torch.full((3, 3), 5e-324, dtype=F64),
    torch.ones(3, 3, dtype=torch.int64),
    torch.ones(3, 3, dtype=torch.float16),
    torch.ones(3, 3, dtype=torch.complex64),
    torch.ones(3),
    torch.ones(9, 9),
]


@pytest.mark.parametrize("number", range(len(BAD_KERNELS)))
@every_boundary
def test_no_bad_kernel_makes_an_operator(number: int, boundary: Boundary) -> None:
    kernel = BAD_KERNELS[number]
    with pytest.raises(OperatorError):
        Convolution(kernel, (1, 6, 6), boundary)
    with pytest.raises(OperatorError):
        Downsampling(kernel, 2, (1, 6, 6), boundary)


BAD_TENSORS: list[tuple[str, Callable[[Tensor], object]]] = [
    ("empty batch", lambda t: t[:0]),
    ("rank", lambda t: t[0]),
    ("higher rank", lambda t: t[None]),
    ("number", lambda t: t.sum()),
    ("shape", lambda t: t[..., :-1]),
    ("integer", lambda t: t.long()),
    ("half", lambda t: t.half()),
    ("bfloat16", lambda t: t.bfloat16()),
    ("complex", lambda t: t.to(torch.complex64)),
    ("boolean", lambda t: t > 0.5),
    ("list", lambda t: t.tolist()),
    ("nothing", lambda t: None),
]


@pytest.mark.parametrize("case", laws.OPERATORS[::5], ids=lambda case: case.label)
@pytest.mark.parametrize(("label", "spoil"), BAD_TENSORS, ids=[label for label, _ in BAD_TENSORS])
def test_no_bad_tensor_gets_through(
    case: laws.OperatorCase, label: str, spoil: Callable[[Tensor], Tensor]
) -> None:
    A = case.build(F64)
    x, y = torch.ones(2, *A.image_shape), torch.ones(2, *A.measurement_shape)
    for call in (
        lambda: A.A(spoil(x)),
        lambda: A.normal(spoil(x)),
        lambda: A(spoil(x)),
        lambda: A.A_adjoint(spoil(y)),
        lambda: A.A_dagger(spoil(y)),
        lambda: A.initial_guess(spoil(y)),
        lambda: A.prox_l2(spoil(x), y, 1.0),
        lambda: A.prox_l2(x, spoil(y), 1.0),
        lambda: A.prox_l2(x, y, 1.0, x0=torch.ones(3, *A.image_shape)),
    ):
        with pytest.raises(OperatorError):
            call()


@every_boundary
def test_a_picture_of_one_pixel_is_a_picture(boundary: Boundary) -> None:
    kernel = torch.full((1, 1), 2.0, dtype=F64)
    one = (1, 1, 1)
    for A in (
        Convolution(kernel, one, boundary),
        Downsampling(kernel, 1, one, boundary),
        Identity(one),
        Inpainting(torch.ones(1, 1)),
        Stacked([Identity(one), Convolution(kernel, one, boundary)]),
        Gradient(one),
    ):
        check_norm(A)
        z, y = torch.ones(1, *one, dtype=F64), torch.ones(1, *A.measurement_shape, dtype=F64)
        x, error = A.prox_l2_with_error(z, y, 3.0)
        assert bool(torch.isfinite(x).all())
        assert float(error) < 1e-3
        assert A.gram_lower_bound <= float(A.A(z).square().sum())


def test_the_peak_of_denormal_and_large_kernels_is_bracketed() -> None:
    for scale in (1e-120, 1e120):
        kernel = laws.random_kernel((5, 3), signed=True)
        lower, upper, _ = peak_response(scale * kernel, (8, 8))
        true = scale * float(torch.fft.fft2(kernel, s=(8, 8)).abs().max())
        assert lower <= true * (1 + 1e-14)
        assert true <= upper * (1 + 1e-14)
