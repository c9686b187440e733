"""Bounds of ‖A x‖ from below: proven, sharp where the spectrum is known, else zero."""

from __future__ import annotations

import pytest
import torch

from laws import operators as laws
from operators import (
    Convolution,
    Downsampling,
    Gradient,
    Identity,
    Inpainting,
    LinearOperator,
    Scaled,
    Stacked,
)
from operators.checks import LAWS

F64 = torch.float64


def test_gram_lower_bounds_that_are_not_zero() -> None:
    sharp = torch.zeros(3, 3, dtype=F64)
    sharp[1] = torch.tensor([-0.1, 0.7, -0.15], dtype=F64)
    A = Convolution(sharp, (1, 6, 7))
    ones: list[tuple[LinearOperator, float]] = [
        (A, 0.45**2),
        (Scaled(-3, A), 9 * 0.45**2),
        (A @ A, 0.45**4),
        (Stacked([A, Identity((1, 6, 7)), Inpainting(laws.random_mask((6, 7)))]), 1 + 0.45**2),
    ]
    for operator, expected in ones:
        assert expected * (1 - 1e-9) <= operator.gram_lower_bound
        assert LAWS["gram"].check(operator, 0)
    A.A = A.A  # type: ignore[method-assign]
    assert A.gram_lower_bound == 0
    assert (2 * A).gram_lower_bound == 0

    class Elsewhere(Identity):
        pass

    assert Elsewhere((1, 2, 2)).gram_lower_bound == 0
    assert A.norm_bound > 0.9


def test_where_nothing_is_known_it_is_zero() -> None:
    kernel = laws.random_kernel((3, 3))
    for A in (
        Gradient((1, 6, 7)),
        Convolution(kernel, (1, 6, 6), "reflect"),
        Downsampling(kernel, 2, (1, 6, 6)),
        Inpainting(laws.random_mask((6, 7))),
        Convolution(torch.full((3, 1), 1 / 3, dtype=F64), (1, 6, 6)),  # its spectrum has a zero
    ):
        assert A.gram_lower_bound == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_lowest_response_is_below_that_of_a_transform(seed: int) -> None:
    kernel = laws.random_kernel((3, 5), signed=True, seed=seed)
    A = Convolution(kernel, (1, 16, 18))
    lowest = float(torch.fft.fft2(kernel, s=(16, 18)).abs().min()) ** 2
    assert lowest * (1 - 1e-9) - 1e-14 <= A.gram_lower_bound <= lowest * (1 + 1e-12)
    assert A.gram_lower_bound < lowest + 1e-16
