"""Kernels of what made a picture smaller, and where its pixels lie on the large grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from operators import (
    BOUNDARIES,
    Boundary,
    Downsampling,
    OperatorError,
    check_adjoint,
    check_norm,
    shrinking,
)

F64 = torch.float64
FACTORS = [1, 2, 3, 4, 5]
KERNELS = {"bicubic": shrinking.bicubic, "gaussian": shrinking.gaussian, "box": shrinking.box}
SMALL = (14, 12)


def operator(name: str, factor: int, boundary: Boundary = "valid") -> Downsampling:
    return shrinking.shrink(KERNELS[name](factor, dtype=F64), factor, (1, *SMALL), boundary)


def blocks_off(A: Downsampling, shift: int = 0) -> float:
    """How far, in large pixels, small ones lie from the middles of their blocks.

    Seen on ramps, which symmetric kernels keep; `shift` moves the blocks, for a twin.
    """
    worst = 0.0
    for dim, place in zip((-2, -1), shrinking.inside(A), strict=True):
        length = A.image_shape[dim]
        ramp = torch.arange(length, dtype=F64)
        x = (ramp[:, None] if dim == -2 else ramp).expand(1, *A.image_shape)
        seen = A.A(x).movedim(dim, -1)[0, 0, 0]
        begin = (place.start or 0) + shift
        middles = begin + A.factor * torch.arange(len(seen)) + (A.factor - 1) / 2
        worst = max(worst, float((seen - middles).abs()[2:-2].max()))
    return worst


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", KERNELS)
def test_small_pixels_lie_in_the_middle_of_their_blocks(name: str, factor: int) -> None:
    for boundary in ("valid", "replicate"):
        A = operator(name, factor, boundary)
        assert A.measurement_shape == (1, *SMALL)
        assert blocks_off(A) < 1e-12
        assert blocks_off(A, shift=1) > 0.9
        rows, columns = shrinking.inside(A)
        inner = A.initial_guess(A.A(torch.ones(1, *A.image_shape, dtype=F64)))[..., rows, columns]
        assert inner.shape == (1, 1, factor * SMALL[0], factor * SMALL[1])


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_an_odd_kernel_is_half_a_pixel_off_for_an_even_factor_and_no_more(factor: int) -> None:
    for side in (1, 3, 9):
        kernel = torch.full((side, side), 1.0, dtype=F64) / side**2
        A = shrinking.shrink(kernel, factor, (1, *SMALL))
        assert blocks_off(A) == pytest.approx(0.5 if factor % 2 == 0 else 0, abs=1e-12)
        assert shrinking.inside(A)[0].stop <= A.image_shape[1]


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_is_that_of_pillow(factor: int) -> None:
    x = np.random.default_rng(0).random((factor * SMALL[0], factor * SMALL[1]), np.float32)
    wanted = np.array(Image.fromarray(x).resize(SMALL[::-1], Image.Resampling.BICUBIC))
    seen = operator("bicubic", factor, "replicate").A(torch.from_numpy(x)[None, None].double())
    inner = (slice(3, -3), slice(3, -3))  # at the border Pillow cuts the filter
    assert float((seen[0, 0] - torch.from_numpy(wanted))[inner].abs().max()) < 1e-6
    other = operator("gaussian", factor, "replicate").A(torch.from_numpy(x)[None, None].double())
    assert float((other[0, 0] - torch.from_numpy(wanted))[inner].abs().max()) > 1e-2


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", KERNELS)
def test_the_operators_keep_the_laws(name: str, boundary: Boundary) -> None:
    A = operator(name, 2, boundary)
    assert check_adjoint(A) < 1e-12
    assert check_norm(A) <= A.norm_bound


def test_a_picture_is_guessed_where_it_lies() -> None:
    """Negative lobes do not matter to a bicubic filter; a difference is no picture."""
    A = operator("bicubic", 4)
    ramp = torch.linspace(0, 1, A.image_shape[1], dtype=F64)[:, None]
    x = ramp.expand(1, *A.image_shape)
    guess = A.initial_guess(A.A(x))
    assert float((guess - x).abs()[..., 14:-14, :].max()) < 1e-12
    difference = Downsampling(torch.tensor([[1.0, 0.0, -1.0]], dtype=F64), 2, (1, 8, 8))
    y = torch.rand(1, 1, 4, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(difference.initial_guess(y), difference.A_adjoint(y))


def test_kernels_sum_to_one_and_are_symmetric() -> None:
    for make in KERNELS.values():
        for factor in FACTORS:
            kernel: Tensor = make(factor, dtype=F64)
            assert float(kernel.sum()) == pytest.approx(1, abs=1e-14)
            assert torch.equal(kernel, kernel.flip(0, 1))
            assert kernel.shape[0] % 2 == factor % 2
    narrow = shrinking.gaussian(2, 1e-3, dtype=F64)
    assert torch.equal(narrow, torch.full((2, 2), 0.25, dtype=F64))


def test_what_is_out_of_range_is_refused() -> None:
    for factor in (0, 2.0, True):
        with pytest.raises(OperatorError, match="whole number"):
            shrinking.bicubic(factor)  # type: ignore[arg-type]
    for width in (0.0, -1.0, float("nan")):
        with pytest.raises(OperatorError, match="width of a Gaussian"):
            shrinking.gaussian(2, width)


def test_a_gaussian_of_any_width_is_one_or_is_refused() -> None:
    for factor in FACTORS:
        kernel = shrinking.gaussian(factor, 1e-200, dtype=F64)
        assert float(kernel.sum()) == pytest.approx(1.0)
    for width in (1e9, 1e308, float("nan"), -1.0):
        with pytest.raises(OperatorError, match="expected a number above 0"):
            shrinking.gaussian(2, width)
