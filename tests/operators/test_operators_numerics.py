"""Precision, devices, caches, and what conjugate gradients promise."""

from __future__ import annotations

import itertools
from functools import partial
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
)
from operators.checks import iterated_prox
from operators.spectral import seen_prox

F64 = torch.float64
DTYPES = [torch.float32, torch.float64]
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)
every_device = pytest.mark.parametrize("device", laws.DEVICES)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---- precision, devices, caches ----


@every_device
@every_boundary
def test_follows_the_dtype_of_the_image_and_survives_moves(boundary: Boundary, device: str) -> None:
    kernel = laws.random_kernel((7, 7))
    A = Convolution(kernel, (1, 12, 14), boundary, method="fft")
    x = rand(1, 1, 12, 14)
    wide, narrow = A.A(x), A.A(x.float())
    assert (wide.dtype, narrow.dtype) == (F64, torch.float32)
    assert torch.allclose(wide, narrow.double(), atol=1e-6)
    assert not torch.equal(wide, narrow.double())
    rounded = Convolution(kernel.float(), (1, 12, 14), boundary, method="fft")
    A.to(device).float()  # rounds the kernel: a stale transform would still answer `wide`
    answer = A.A(x.to(device)).cpu()
    assert torch.allclose(answer, rounded.A(x), rtol=0, atol=1e-14)
    assert not torch.allclose(answer, wide, rtol=0, atol=1e-14)


def test_a_kernel_changed_in_place_gets_new_transforms_and_a_new_proof() -> None:
    A = Convolution(laws.random_kernel((7, 7)), (1, 10, 10), method="fft")
    x = rand(1, 1, 10, 10)
    before, bound = A.A(x), A.norm_bound
    A.kernel.mul_(3)
    assert torch.allclose(A.A(x), 3 * before)
    assert A.norm_bound == pytest.approx(3 * bound, rel=1e-12)
    other = Convolution(laws.random_kernel((7, 7), seed=9), (1, 10, 10), method="fft")
    A.load_state_dict(other.state_dict())
    assert torch.equal(A.A(x), other.A(x))
    assert A.norm_bound == other.norm_bound


def test_inference_mode_leaves_nothing_behind() -> None:
    with torch.inference_mode():
        A = Convolution(laws.random_kernel((7, 7)), (1, 10, 10))
        _ = A.A(rand(1, 1, 10, 10)), A.norm_bound
    x = rand(1, 1, 10, 10).requires_grad_()
    A.A(x).sum().backward()
    assert x.grad is not None


def test_auto_picks_direct_for_small_kernels_and_fft_for_large() -> None:
    small = Convolution(laws.random_kernel((3, 3)), (1, 20, 20))
    large = Convolution(laws.random_kernel((9, 9)), (1, 20, 20))
    assert not small._uses_fft(torch.float32)
    assert large._uses_fft(torch.float32)


# ---- conjugate gradients ----


def test_error_bound_holds_when_cut_short_and_warm_start_saves_work() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (1, 16, 16), "reflect")
    z, y = rand(2, 1, 16, 16), rand(2, 1, 16, 16, seed=2)
    exact = A.prox_l2(z, y, 30.0, tol=1e-12, max_iter=1000)
    for dtype, iterations in itertools.product(DTYPES, (0, 1, 3, 8)):
        x, error = A.prox_l2_with_error(
            z.to(dtype), y.to(dtype), 30.0, tol=0.0, max_iter=iterations
        )
        assert x.dtype == dtype
        distance = (x.double() - exact).flatten(1).norm(dim=1)
        # The inputs themselves are rounded in float32; the map z, y -> prox has norm below 31.
        assert bool((distance <= error.double() + (0 if dtype == F64 else 1e-4)).all())
        assert float(distance.max()) > 1e-7  # the bound had something to bound
    again, error = A.prox_l2_with_error(z, y, 30.0, exact, tol=1e-9, max_iter=0)
    assert torch.equal(again, exact)
    assert float(error.max()) < 1e-9


def test_converged_images_are_frozen_and_images_do_not_mix() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (1, 12, 12), "constant")
    z, y = rand(2, 1, 12, 12), rand(2, 1, 12, 12, seed=2)
    alone = A.prox_l2(z[:1], y[:1], 5.0, tol=1e-11)
    start = torch.cat([alone, z[1:]])  # the first image is there already
    both = A.prox_l2(z, y, 5.0, x0=start, tol=1e-10)
    assert torch.equal(both[:1], alone)
    assert torch.allclose(both[1:], A.prox_l2(z[1:], y[1:], 5.0, tol=1e-10), atol=1e-9)


def test_circular_prox_is_closed_form_and_equals_conjugate_gradients() -> None:
    A = Convolution(laws.random_kernel((5, 5)), (3, 10, 12))
    z, y = rand(2, 3, 10, 12), rand(2, 3, 10, 12, seed=2)
    x, error = A.prox_l2_with_error(z, y, 7.0)
    assert A.prox_closed_form
    assert float(error.max()) < 1e-12  # measured, and no more than rounding
    iterated = iterated_prox(A, z, y, 7.0, tol=1e-11)
    assert torch.allclose(x, iterated, rtol=0, atol=1e-10)


@pytest.mark.parametrize("boundary", ["valid", "reflect", "replicate", "constant"])
def test_inner_solve_is_preconditioned_by_the_circular_kernel(boundary: Boundary) -> None:
    generator = torch.Generator().manual_seed(4)
    kernel = torch.zeros(9, 9, dtype=torch.float64)
    kernel[4] = 1 / 9  # its transform has zeros: the condition of I + 1000 AᵀA is about 1000
    A = Convolution(kernel, (1, 48, 50), boundary)
    y = A.A(torch.rand(2, 1, 48, 50, generator=generator, dtype=torch.float64))
    z = torch.rand(2, 1, 48, 50, generator=generator, dtype=torch.float64)
    _, fast = A.prox_l2_with_error(z, y, 1000.0, tol=1e-9, max_iter=20)
    A._preconditioner = lambda step: None  # type: ignore[method-assign]
    A._iterated_prox = partial(LinearOperator._iterated_prox, A)  # type: ignore[method-assign]
    _, slow = A.prox_l2_with_error(z, y, 1000.0, tol=1e-9, max_iter=20)
    assert float(fast.max()) <= 1e-3 * float(slow.min())


@pytest.mark.parametrize(("width", "taps", "center"), [(50, (9, 9), None), (51, (4, 7), (3, 2))])
def test_unseen_borders_are_solved_among_frequencies(
    width: int, taps: tuple[int, int], center: tuple[int, int] | None
) -> None:
    A = Convolution(laws.random_kernel(taps), (2, 48, width), "valid", center=center)
    z, y = rand(2, 2, 48, width), rand(2, 2, *A.measurement_shape[1:], seed=2)
    x, error = A.prox_l2_with_error(z, y, 50.0, tol=1e-9, max_iter=500)
    assert float(error.max()) < 1e-8
    A._iterated_prox = partial(LinearOperator._iterated_prox, A)  # type: ignore[method-assign]
    assert torch.allclose(x, A.prox_l2(z, y, 50.0, tol=1e-11, max_iter=500), rtol=0, atol=1e-8)


def test_a_wrong_place_of_what_is_seen_shows_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    A = Convolution(laws.random_kernel((5, 5)), (1, 24, 24), "valid")
    z, y = rand(1, 1, 24, 24), rand(1, 1, 20, 20, seed=2)
    whole = (slice(0, 20), slice(0, 20))

    def misplaced(*given: Any, **rest: Any) -> Tensor:
        return seen_prox(*given[:4], whole, **rest)

    monkeypatch.setattr("operators.convolution.seen_prox", misplaced)
    _, error = A.prox_l2_with_error(z, y, 50.0, tol=1e-9, max_iter=500)
    assert float(error.max()) > 1e-2


def test_inner_solve_of_float32_pictures_is_not_held_up_by_float32() -> None:
    kernel = torch.full((1, 15), 1 / 15)
    A = Convolution(kernel, (3, 64, 64), "valid")
    generator = torch.Generator().manual_seed(5)
    z = torch.rand(1, 3, 64, 64, generator=generator)
    x, error = A.prox_l2_with_error(z, A.A(z), 1000.0, tol=1e-5, max_iter=100)
    assert x.dtype == torch.float32
    # The rounding of the picture itself remains.
    assert float(error) <= 1e-5 + float(x.norm()) * 2**-24


@every_boundary
@pytest.mark.parametrize("center", [(1, 2), (0, 4), (2, 0)])
def test_initial_guess_lies_where_the_picture_was(
    boundary: Boundary, center: tuple[int, int]
) -> None:
    kernel = torch.zeros(3, 5, dtype=F64)
    kernel[center] = 1  # a delta: y is the picture, cropped under `valid`
    A = Convolution(kernel, (2, 11, 12), boundary, center=center)
    x = torch.rand(1, 2, 11, 12, generator=torch.Generator().manual_seed(6), dtype=F64)
    guess = A.initial_guess(A.A(x))
    assert guess.shape == x.shape
    torch.testing.assert_close(A.A(guess), A.A(x), rtol=0, atol=1e-12)
    shifted = guess.roll(1, -1)  # the twin: one pixel off is seen
    assert not torch.allclose(A.A(shifted), A.A(x), rtol=0, atol=1e-3)
