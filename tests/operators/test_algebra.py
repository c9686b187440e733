"""Operators made of operators: the matrices, the bounds handed on, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    Composition,
    Convolution,
    Gradient,
    Identity,
    Inpainting,
    LinearOperator,
    OperatorError,
    Scaled,
    Stacked,
    Sum,
    check_norm,
    to_matrix,
)
from operators.checks import iterated_prox
from operators.combined import encloses

F64 = torch.float64
SHAPE = (1, 7, 8)
NONNEGATIVE = [case for case in laws.OPERATORS if case.build(F64).nonnegative]


def rand(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def blur(seed: int = 0, boundary: str = "reflect") -> Convolution:
    return Convolution(laws.random_kernel((3, 5), seed=seed), SHAPE, boundary)  # type: ignore[arg-type]


def mask() -> Inpainting:
    return Inpainting(laws.random_mask(SHAPE))


# ---- how tight bounds of A v are; that they hold is a law ----


@pytest.mark.parametrize("case", NONNEGATIVE, ids=lambda case: case.label)
def test_bounds_of_products_are_tight(case: laws.OperatorCase) -> None:
    A = case.build(F64)
    assert encloses(A)
    for transpose in (False, True):
        v = rand(1, *(A.measurement_shape if transpose else A.image_shape))
        below, above = A.enclosure(v, transpose=transpose)
        assert bool((below >= 0).all())
        assert float((above - below).max()) <= 1e-10 * float(above.max())
    below, above = A.normal_enclosure(rand(1, *A.image_shape) + 1e-6)
    assert float((above - below).max()) < 1e-9 * float(above.max())


# ---- the maps ----


def test_matrices_are_combined_as_the_signs_say() -> None:
    A, B, G = mask(), blur(), Gradient(SHAPE)
    a, b, g = map(to_matrix, (A, B, G))
    for made, expected in (
        (A @ B, a @ b),
        (B @ A, b @ a),
        (G @ B @ A, g @ b @ a),
        (3 * B, 3 * b),
        (-0.5 * G, -0.5 * g),
        (A + B, a + b),
        (A + B + 2 * Identity(SHAPE), a + b + 2 * torch.eye(56, dtype=F64)),
        (Stacked([B, G, A]), torch.cat([b, g, a])),
    ):
        torch.testing.assert_close(to_matrix(made), expected, rtol=0, atol=1e-14)
    assert isinstance(A @ B, Composition)
    assert isinstance(2 * B, Scaled)
    assert isinstance(A + B, Sum)


def test_split_and_join_are_inverse() -> None:
    A = Stacked([blur(boundary="valid"), Gradient(SHAPE)])
    x = rand(2, *SHAPE)
    y = A.A(x)
    first, second = A.split(y)
    assert torch.equal(first, A.parts[0].A(x))
    assert torch.equal(second, A.parts[1].A(x))
    assert second.shape == (2, 2, *SHAPE)
    assert torch.equal(A.join([first, second]), y)
    with pytest.raises(OperatorError, match="measurement"):
        A.split(y[:, 1:])


def test_noise_of_a_part_is_not_taken_over() -> None:
    noisy = Convolution(laws.random_kernel((3, 5)), SHAPE, noise_model=lambda y: y + 1)
    x = rand(1, *SHAPE)
    for A in (mask() @ noisy, 2 * noisy, noisy + noisy, Stacked([noisy])):
        assert torch.equal(A(x), A.A(x))
    own = Composition(mask(), noisy, noise_model=lambda y: y + 2)
    assert torch.equal(own(x), own.A(x) + 2)


# ---- what is handed on ----


def test_bounds_follow_from_the_parts() -> None:
    B, G = blur(boundary="circular"), Gradient(SHAPE)
    b, g = B.norm_bound, G.norm_bound
    for A, expected in (
        (G @ B, g * b),
        (-3 * G, 3 * g),
        (G + 2 * G, 3 * g),
        (Stacked([B, G]), math.hypot(b, g)),
    ):
        assert expected <= A.norm_bound <= expected * (1 + 1e-14)
        check_norm(A)


def test_a_bracket_is_taken_where_it_is_tighter() -> None:
    A = Inpainting(laws.random_mask((24, 24))) @ Convolution(
        laws.random_kernel((9, 9)), (1, 24, 24), "circular"
    )
    assert 1.0 > A.norm_bound >= check_norm(A)
    assert A.norm_bound < 1.05 * check_norm(A)
    assert "Collatz" in A.norm_certificate.method


def test_no_bracket_rests_on_an_enclosure_that_is_not_about_the_part() -> None:
    class OwnWay(Convolution):
        """Encloses AᵀA v in its own way, and says nothing about A v."""

        def normal_enclosure(self, v: Tensor) -> tuple[Tensor, Tensor]:
            return super().normal_enclosure(v)

        enclosure = LinearOperator.enclosure

    own = OwnWay(laws.random_kernel((3, 5)), SHAPE)
    assert not encloses(own)
    assert not encloses(2 * (mask() @ own))
    assert "product" in (mask() @ own).norm_certificate.method
    assert "Collatz" in (mask() @ blur()).norm_certificate.method


def test_closed_forms_and_facts_are_handed_on() -> None:
    A = -2 * mask()
    z, y = rand(2, *SHAPE), rand(2, *SHAPE, seed=2)
    assert A.prox_closed_form
    assert not A.nonnegative
    assert (2 * mask()).nonnegative
    assert not (2 * blur()).prox_closed_form
    closed = A.prox_l2(z, y, torch.tensor([0.5, 9.0], dtype=F64))
    iterated = iterated_prox(A, z, y, torch.tensor([0.5, 9.0], dtype=F64), tol=1e-12)
    torch.testing.assert_close(closed, iterated, rtol=0, atol=1e-10)
    unmatched = blur()
    unmatched.adjoint_matched = False
    assert not (mask() @ unmatched).adjoint_matched


def test_a_changed_part_gets_a_new_proof() -> None:
    B = blur()
    A = Sum([B, Scaled(2.0, B)])
    before = A.norm_bound
    B.kernel.mul_(3)
    assert A.norm_bound == pytest.approx(3 * before, rel=1e-9)
    assert A.float().parts[0].kernel.dtype == torch.float32  # type: ignore[union-attr]
    check_norm(A)


def test_guesses_come_from_the_parts() -> None:
    x = rand(1, *SHAPE)
    B = Convolution(torch.ones(1, 1, dtype=F64), SHAPE)
    for A in (
        2 * B,
        mask() @ B,
        2 * mask() + mask(),
        Stacked([Gradient(SHAPE), B]),
        Stacked([B, B]),
        B + B,
    ):
        guess = A.initial_guess(A.A(x))
        seen = to_matrix(mask()).sum(0).reshape(SHAPE) > 0
        torch.testing.assert_close(guess[0][seen], x[0][seen], rtol=0, atol=1e-12)


# ---- errors ----


def test_what_does_not_fit_is_refused() -> None:
    valid = blur(boundary="valid")
    for wrong, message in (
        (
            lambda: blur() @ valid,
            r"'reflect .* expects \(1, 7, 8\), 'valid .* delivers \(1, 5, 4\)",
        ),
        (lambda: blur() + valid, "differ in measurement_shape"),
        (lambda: Stacked([blur(), Identity((1, 7, 7))]), "differ in image_shape"),
        (lambda: Stacked([]), "no operators"),
        (lambda: blur() @ rand(1, *SHAPE), r"a Tensor was given; .* A\.A\(x\)"),
        (lambda: blur() + 1, "a int was given"),
        (lambda: Scaled(0.0, blur()), "other than 0"),
        (lambda: Scaled(math.nan, blur()), "finite"),
        (lambda: Scaled("2", blur()), "finite"),  # type: ignore[arg-type]
    ):
        with pytest.raises(OperatorError, match=message):
            wrong()  # type: ignore[no-untyped-call]
