"""Conjugate gradients stop at what the arithmetic allows and at a deadline, and say the truth."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import Convolution, OperatorError, from_deepinv
from operators.conjugate_gradient import conjugate_gradient, image_norms
from operators.deadlines import deadline, expired

F32, F64 = torch.float32, torch.float64
SHAPE = (1, 24, 24)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Narrow(Convolution):
    """A blur that computes in float32 whatever it is given, as a scan on the fly does."""

    certificate_dtype = F32

    def _forward_map(self, x: Tensor) -> Tensor:
        return super()._forward_map(x.float()).to(x)

    def _transpose_map(self, y: Tensor) -> Tensor:
        return super()._transpose_map(y.float()).to(y)


def kernel() -> Tensor:
    return laws.random_kernel((5, 5), dtype=F32)


def solved(A: Convolution, gamma: float, tol: float, **options: int) -> tuple[Tensor, float, int]:
    """The prox, its stated error, and how many applications it took."""
    applied: list[int] = []
    forward = A._forward_map

    def counted(x: Tensor) -> Tensor:
        applied.append(1)
        return forward(x)

    A._forward_map = counted  # type: ignore[method-assign]
    z, y = rand(1, *SHAPE), rand(1, *SHAPE, seed=2)
    x, error = A.prox_l2_with_error(z, y, gamma, tol=tol, **options)
    del A._forward_map
    return x, float(error), len(applied)


@pytest.mark.parametrize("gamma", [1.0, 30.0, 100.0])
def test_an_operator_in_float32_does_not_burn_its_iterations(gamma: float) -> None:
    A = Narrow(kernel(), SHAPE, "reflect")
    x, error, applied = solved(A, gamma, 1e-12, max_iter=1000)
    wide, below, needed = solved(
        Convolution(kernel(), SHAPE, "reflect"), gamma, 1e-9, max_iter=1000
    )
    assert below < 1e-8
    assert applied <= needed  # no more than what reaches a tolerance in float64
    assert float((x - wide).norm()) <= error + below
    assert error <= 1e-4 * gamma * float(image_norms(x))  # and it got as far as float32 goes


def test_without_the_floor_they_would_be_burnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.conjugate_gradient.ROUNDINGS", 0.0)
    monkeypatch.setattr("operators.conjugate_gradient.AFRESH_EVERY", 10**6)
    _, _, applied = solved(Narrow(kernel(), SHAPE, "reflect"), 30.0, 1e-300, max_iter=200)
    assert applied > 200


def test_the_true_residual_at_rest_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second guard by itself: the recurrence runs ahead of what is true."""
    monkeypatch.setattr("operators.conjugate_gradient.ROUNDINGS", 0.0)
    _, error, applied = solved(Narrow(kernel(), SHAPE, "reflect"), 30.0, 1e-300, max_iter=1000)
    assert applied < 200
    assert error < 0.1


def test_a_reachable_tolerance_is_reached_as_before() -> None:
    A = Convolution(kernel(), SHAPE, "reflect")
    for tol in (1e-2, 1e-6, 1e-10):
        _, error, _ = solved(A, 30.0, tol)
        assert error <= 1.01 * tol + 1e-12


def test_a_deepinv_physics_in_float32_is_solved_in_float64() -> None:
    from deepinv.physics import Blur

    box = torch.full((5, 5), 1 / 25)
    A = from_deepinv(Blur(filter=box[None, None], padding="circular"), SHAPE, nonnegative=True)
    assert A.certificate_dtype == F64
    ours = Convolution(box, SHAPE)
    for dtype in (F32, F64):
        z, y = rand(1, *SHAPE, dtype=dtype), rand(1, *SHAPE, seed=2, dtype=dtype)
        x, error = A.prox_l2_with_error(z, y, 100.0, tol=1e-7, max_iter=400)
        exact, _ = ours.prox_l2_with_error(z.double(), y.double(), 100.0)
        rounding = float(x.norm()) * (2**-24 if dtype == F32 else 0)
        assert float(error) <= 1.1e-7 + rounding
        assert float((x - exact).norm()) <= float(error) + 1e-9


def test_a_physics_without_a_twin_stays_in_float32_and_takes_double() -> None:
    from deepinv.physics import LinearPhysics

    def narrow(x: Tensor) -> Tensor:
        return x.float() * 0.3

    A = from_deepinv(LinearPhysics(A=narrow, A_adjoint=narrow), SHAPE, nonnegative=True)
    assert A.certificate_dtype == F32
    x = rand(1, *SHAPE)
    assert A.A(x).dtype == F64
    assert float(A.prox_l2_with_error(x, x, 2.0)[1]) < 1e-3


# ---- deadlines ----


def test_nested_deadlines_the_earlier_wins() -> None:
    assert not expired()
    with deadline(3600):
        assert not expired()
        with deadline(0):
            assert expired()
            with deadline(3600), deadline(None):
                assert expired()
        assert not expired()
    with deadline(None):
        assert not expired()
    assert not expired()
    for wrong in (-1.0, math.nan):
        with pytest.raises(OperatorError, match="deadline"), deadline(wrong):
            pass


def test_a_deadline_ends_with_its_block_whatever_happens() -> None:
    with pytest.raises(KeyboardInterrupt), deadline(0):
        raise KeyboardInterrupt
    assert not expired()


def test_an_inner_solve_returns_what_it_has_and_its_error() -> None:
    A = Convolution(kernel(), SHAPE, "reflect")
    exact, _, _ = solved(A, 100.0, 1e-11, max_iter=1000)
    with deadline(0):
        x, error, applied = solved(A, 100.0, 1e-11, max_iter=1000)
    assert applied == 2  # the residual at the start, and at the end
    assert 1e-3 < float((x - exact).norm()) <= error


def test_a_deadline_holds_between_two_looks_at_the_residual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An operator may take seconds: the clock is read in each iteration."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    applied: list[int] = []

    def slow(x: Tensor) -> Tensor:
        applied.append(1)
        now[0] += 10.0
        return torch.arange(1.0, 1.0 + x.numel(), dtype=F64).reshape(x.shape) * x

    b = torch.ones(1, 50, dtype=F64)
    with deadline(25):
        conjugate_gradient(slow, b, 0 * b, tol=1e-12, max_iter=40)
    assert len(applied) == 3
    conjugate_gradient(slow, b, 0 * b, tol=1e-12, max_iter=40)  # the twin: without one
    assert len(applied) > 30
