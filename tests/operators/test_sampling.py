"""Missing pixels, their masks, and downsampling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from laws import operators as laws
from operators import (
    BOUNDARIES,
    Boundary,
    Convolution,
    Downsampling,
    GaussianNoise,
    Identity,
    Inpainting,
    LinearOperator,
    OperatorError,
    check_norm,
    masks,
)
from operators.checks import iterated_prox

F64 = torch.float64
every_boundary = pytest.mark.parametrize("boundary", BOUNDARIES)


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_picture(height: int, width: int) -> Tensor:
    i, j = torch.arange(height, dtype=F64)[:, None], torch.arange(width, dtype=F64)
    return (0.5 + 0.3 * torch.sin(i / 9) * torch.cos(j / 7)).expand(1, 1, height, width)


# ---- inpainting ----


def test_every_form_of_a_mask_means_the_same() -> None:
    known = laws.random_mask((5, 6))
    x = rand(2, 3, 5, 6)
    for mask in (known, known.float(), known.to(torch.uint8), known[None], known.expand(3, 5, 6)):
        A = Inpainting(mask, (3, 5, 6))
        assert torch.equal(A.A(x), x * known)
        assert A.A(x.float()).dtype == torch.float32
    assert Inpainting(known).image_shape == (1, 5, 6)
    each = laws.random_mask((3, 5, 6))
    assert torch.equal(Inpainting(each).A(x), x * each)


@pytest.mark.parametrize(
    ("mask", "shape", "message"),
    [
        (torch.full((4, 5), 0.5), None, "not binary: 20 of 20 values"),
        (torch.tensor([[1.0, math.nan], [255.0, 0.0]]), None, "not binary: 2 of 4"),
        (torch.zeros(4, 5), None, "all pixels are missing"),
        (torch.ones(4, 5), (1, 4, 6), r"shape \(4, 5\), the image \(1, 4, 6\)"),
        (torch.ones(3, 4, 5), (1, 4, 5), "one channel or one per channel"),
        (torch.ones(1, 1, 4, 5), None, r"expected \(H, W\)"),
        (np.ones((4, 5)), None, "ndarray"),
    ],
)
def test_bad_masks_are_refused(mask: Any, shape: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        Inpainting(mask, shape)


def test_norm_is_one_to_the_last_bit() -> None:
    for A in (Inpainting(laws.random_mask((5, 6))), Identity((1, 5, 6))):
        assert A.norm_bound == 1.0
        assert A.norm_certificate.lower == 1.0
        assert A.prox_closed_form


def test_only_known_pixels_are_noisy() -> None:
    known = laws.random_mask((40, 40))
    A = Inpainting(known, noise_model=GaussianNoise(0.1, seeded()))
    x = rand(1, 1, 40, 40)
    error = A(x) - A.A(x)
    assert bool((error[0, 0][~known] == 0).all())
    assert float(error[0, 0][known].std()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e38])
def test_what_is_missing_is_never_multiplied(junk: float) -> None:
    known = laws.random_mask((2, 5, 6))
    A, x = Inpainting(known), rand(3, 2, 5, 6)
    spoilt = torch.where(known, x, junk)
    z, gamma = rand(3, 2, 5, 6, seed=2), torch.tensor([0.3, 2.0, 500.0], dtype=F64)
    for look in (
        A.A,
        A.A_adjoint,
        A.A_dagger,
        A.normal,
        A.initial_guess,
        lambda y: A.prox_l2(z, y, gamma),
        lambda y: A.A(y.float()),
    ):
        assert torch.equal(look(spoilt), look(x))
    if math.isnan(junk):  # the twin: a product with zero
        assert bool((spoilt * known).isnan().any())


def test_what_is_known_is_never_repaired() -> None:
    A = Inpainting(torch.ones(4, 5))
    assert bool(A.A(torch.full((1, 1, 4, 5), math.nan, dtype=F64)).isnan().all())


def test_masking_is_differentiated() -> None:
    A = Inpainting(laws.random_mask((2, 3, 4)))
    x = rand(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(A.A, x)
    assert torch.autograd.gradgradcheck(A.A, x)


@pytest.mark.parametrize("operator", ["inpainting", "identity"])
def test_closed_forms_equal_conjugate_gradients(operator: str) -> None:
    A = Inpainting(laws.random_mask((2, 5, 6))) if operator == "inpainting" else Identity((2, 5, 6))
    z, y = rand(2, 2, 5, 6), rand(2, 2, 5, 6, seed=2)
    gamma = torch.tensor([0.3, 500.0], dtype=F64)
    x, error = A.prox_l2_with_error(z, y, gamma)
    assert float(error.max()) < 1e-11  # measured, and no more than rounding
    iterated = iterated_prox(A, z, y, gamma, tol=1e-12)
    torch.testing.assert_close(x, iterated, rtol=0, atol=1e-11)
    dagger = LinearOperator.A_dagger(A, y, tol=1e-12)
    torch.testing.assert_close(A.A_dagger(y), dagger, rtol=0, atol=1e-11)


def test_a_moved_or_changed_mask_is_followed() -> None:
    A = Inpainting(torch.ones(5, 6))
    x = rand(1, 1, 5, 6)
    A.float().double()
    assert A.mask.dtype == torch.bool
    other = Inpainting(laws.random_mask((5, 6)))
    A.load_state_dict(other.state_dict())
    assert torch.equal(A.A(x), other.A(x))


@pytest.mark.parametrize("missing", ["pixels", "blocks", "strokes", "one known"])
def test_guess_keeps_what_is_known_and_fills_smoothly(missing: str) -> None:
    size = (75, 90)
    mask = {
        "pixels": lambda: masks.random_pixels(size, 0.8, seeded()),
        "blocks": lambda: masks.blocks(size, 5, 12, seeded()),
        "strokes": lambda: masks.strokes(size, 6, 5.0, seeded()),
        "one known": lambda: torch.arange(75 * 90).reshape(size) == 1234,
    }[missing]()
    A = Inpainting(mask, noise_model=None)
    x = smooth_picture(*size)
    guess = A.initial_guess(A.A(x))
    assert torch.equal(guess[..., mask], x[..., mask])
    error = float((guess - x)[..., ~mask].abs().max())
    assert error < (0.7 if missing == "one known" else 0.15)
    if missing == "one known":
        assert guess.std() < 1e-12  # one colour everywhere
    grey = torch.where(mask, x, 0.5)  # the twin: no filling at all
    assert float((grey - x).abs().max()) > 0.25 or missing == "one known"


def test_guess_of_pictures_of_one_row_and_of_lost_channels() -> None:
    mask = torch.zeros(2, 1, 37)
    mask[0, 0, 3] = 1
    guess = Inpainting(mask).initial_guess(torch.full((1, 2, 1, 37), 0.25, dtype=F64))
    torch.testing.assert_close(guess[0, 0], torch.full((1, 37), 0.25, dtype=F64))
    assert torch.equal(guess[0, 1], torch.full((1, 37), 0.5, dtype=F64))


# ---- masks ----


def test_random_masks_are_seeded_and_of_the_stated_size() -> None:
    pixels = masks.random_pixels((40, 50), 0.8, seeded())
    assert pixels.shape == (40, 50)
    assert int(pixels.sum()) == 400
    assert masks.random_pixels((3, 40, 50), 0.5, seeded()).sum() == 3000
    assert bool(masks.random_pixels((4, 5), 0.0, seeded()).all())
    block = ~masks.blocks((40, 50), 1, 7, seeded())
    assert int(block.sum()) == 49
    assert int(block.any(0).sum()) == int(block.any(1).sum()) == 7
    stroke = ~masks.strokes((400, 400), 1, 9.0, seeded(1), length=120)
    assert 9 * 60 < int(stroke.sum()) < 1.2 * 9 * (120 + 9)
    makers = (
        lambda g: masks.random_pixels((40, 50), 0.8, g),
        lambda g: masks.blocks((40, 50), 3, 7, g),
        lambda g: masks.strokes((40, 50), 3, 2.0, g),
    )
    for make in makers:
        assert torch.equal(make(seeded(5)), make(seeded(5)))
        assert not torch.equal(make(seeded(5)), make(seeded(6)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: masks.random_pixels((4, 5), 1.0, g), "all of 20 pixels"),
        (lambda g: masks.random_pixels((4, 5), 1.5, g), "from 0 to 1"),
        (lambda g: masks.random_pixels((4,), 0.5, g), r"\(H, W\) or \(C, H, W\)"),
        (lambda g: masks.blocks((4, 5), 1, 5, g), "1 to 4 pixels"),
        (lambda g: masks.blocks((4, 4), 1, 4, g), "all pixels are missing"),
        (lambda g: masks.blocks((4, 5), 0, 2, g), "at least 1"),
        (lambda g: masks.strokes((4, 5), 1, 0.5, g), "1 pixel or more"),
        (lambda g: masks.strokes((4, 5), 9, 9.0, g), "all pixels are missing"),
        (lambda g: masks.strokes((4, 5), 1, 2.0, g, length=0), "above 0"),
    ],
)
def test_masks_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        make(seeded())


# ---- downsampling ----


@every_boundary
def test_downsampling_is_every_fth_pixel_of_the_blur(boundary: Boundary) -> None:
    kernel = laws.random_kernel((5, 3))
    for factor in (1, 2, 3):
        A = Downsampling(kernel, factor, (2, 12, 18), boundary)
        x = rand(2, 2, 12, 18)
        blurred = Convolution(kernel, (2, 12, 18), boundary).A(x)
        torch.testing.assert_close(A.A(x), blurred[..., ::factor, ::factor], rtol=0, atol=1e-14)


@pytest.mark.parametrize("signed", [False, True])
def test_circular_downsampling_knows_its_norm_exactly(signed: bool) -> None:
    for seed, size in enumerate(((3, 5), (9, 7), (12, 18))):  # the last wraps around itself
        kernel = laws.random_kernel(size, signed=signed, seed=seed)
        A = Downsampling(kernel, 3, (1, 12, 18), center=(1, 1))
        assert check_norm(A) == pytest.approx(A.norm_bound, rel=1e-12)
        assert A.norm_certificate.looseness < 1 + 1e-10


def test_bound_of_downsampling_is_not_that_of_the_blur() -> None:
    """A smooth blur leaves every f-th of nearly equal rows: the norm falls to about 1 / f."""
    for boundary in BOUNDARIES:
        A = Downsampling(laws.random_kernel((9, 9)), 4, (1, 36, 36), boundary)
        assert A.norm_bound < 1.15 * check_norm(A)
        assert A.norm_bound < 0.7


def test_closed_form_prox_is_exact_in_float32_for_large_gamma() -> None:
    A = Downsampling(laws.random_kernel((5, 5)), 2, (1, 16, 20))
    z, y = rand(1, 1, 16, 20), rand(1, 1, 8, 10, seed=2)
    exact = A.prox_l2(z, y, 1e5)
    iterated = iterated_prox(A, z, y, 1e5, tol=1e-9, max_iter=2000)
    torch.testing.assert_close(exact, iterated, rtol=0, atol=1e-8)
    narrow = A.prox_l2(z.float(), y.float(), 1e5)
    assert float((narrow - exact).abs().max()) < 1e-3 * float(exact.abs().max())


@every_boundary
@pytest.mark.parametrize("center", [None, (0, 4)])
def test_guess_lies_where_the_picture_was(
    boundary: Boundary, center: tuple[int, int] | None
) -> None:
    kernel = torch.zeros(3, 5, dtype=F64)
    kernel[center or (1, 2)] = 2.0
    A = Downsampling(kernel, 2, (1, 32, 32), boundary, center=center)
    ramp = torch.arange(32, dtype=F64) / 32
    x = (ramp[:, None] + ramp).expand(1, 1, 32, 32)
    guess = A.initial_guess(A.A(x))
    inside = (..., slice(6, 26), slice(6, 26))
    torch.testing.assert_close(guess[inside], x[inside], rtol=0, atol=1e-12)


def test_bad_factors_are_refused() -> None:
    kernel = laws.random_kernel((3, 3))
    for factor, message in ((0, "whole number"), (2.0, "whole number"), (5, "multiples of 5")):
        with pytest.raises(OperatorError, match=message):
            Downsampling(kernel, factor, (1, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="choose one of circular"):
        Downsampling(kernel, 2, (1, 8, 8), "wrap")  # type: ignore[arg-type]
    assert Downsampling(kernel, 5, (1, 8, 8), "reflect").measurement_shape == (1, 2, 2)
