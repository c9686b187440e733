"""Measurements are drawn bit for bit as the tables have them; `Problem` says what it was given."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from operators import Convolution, Inpainting, RayTransform, kernels, parallel_beam
from operators.shrinking import bicubic, shrink
from pnp_recon.estimation.noise import estimate_noise_level
from pnp_recon.fidelity import LeastSquares, WeightedLeastSquares
from pnp_recon.problems.masks import benchmark_mask
from pnp_recon.problems.noise import (
    benchmark_noise,
    noisy,
    table_scan_noise,
)
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import (
    benchmark_tomography,
    deblurring,
    in_window,
    inpainting,
    shape,
    shrinking,
    tomography,
)
from pnp_recon.scans.window import hounsfield_window

SIGMA = 0.03


@pytest.fixture
def x() -> Tensor:
    return torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0))


def test_deblurring_is_a_blur_with_the_noise_of_the_rule(x: Tensor) -> None:
    found = deblurring(x, kernels.gaussian(1.0), SIGMA, benchmark_noise(SIGMA, 4, 1))
    A = Convolution(kernels.gaussian(1.0), (3, 24, 20), "circular")
    assert torch.equal(found.y, noisy(A.A(x), SIGMA, 4, 1))
    assert not torch.equal(found.y, noisy(A.A(x), SIGMA, 5, 1))
    assert (found.noise_level, found.truth) == (SIGMA, x)
    inner = deblurring(x, kernels.gaussian(1.0), SIGMA, benchmark_noise(SIGMA, 4, 1), "valid")
    assert inner.y.shape[-1] < 20


@pytest.mark.parametrize("sigma", [0.0, SIGMA])
def test_inpainting_adds_its_noise_before_the_mask(x: Tensor, sigma: float) -> None:
    known = benchmark_mask((24, 20), 0.5, 4, 1)
    found = inpainting(x, known, sigma, benchmark_noise(sigma, 4, 1))
    A = Inpainting(known, (3, 24, 20))
    assert torch.equal(found.y, A.A(noisy(x, sigma, 4, 1)))
    assert not found.y[..., ~known.bool()].any()
    assert found.noise() == sigma  # an exact measurement is not one of unknown noise


def test_shrinking_keeps_what_small_pixels_reach(x: Tensor) -> None:
    found = shrinking(x, bicubic(3), 3, SIGMA, benchmark_noise(SIGMA, 4, 1))
    A = shrink(bicubic(3), 3, (3, 5, 4))  # 11 taps: 24 and 20 pixels are enough for these
    assert found.truth is not None
    assert torch.equal(found.truth, x[..., :23, :20])
    assert torch.equal(found.y, noisy(A.A(found.truth), SIGMA, 4, 1))
    round_ = shrinking(x, bicubic(3), 3, 0.0, benchmark_noise(0.0, 4, 1), "circular")
    assert round_.y.shape == (1, 3, 8, 6)
    assert round_.truth is not None
    assert round_.truth.shape == (1, 3, 24, 18)


def test_tomography_has_noise_relative_to_the_largest_line_integral() -> None:
    pytest.importorskip("astra", reason="the extra [ct] is not installed")
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) / 50
    geometry = parallel_beam(6, 16)
    clean = RayTransform(geometry, (1, 16, 16)).A(x)
    largest = float(clean.max())
    found = tomography(x, geometry, 0.01, table_scan_noise(4))
    assert torch.equal(found.y, clean + 0.01 * largest * table_scan_noise(4)(clean))
    assert found.noise_level == 0.01 * largest
    scaled = benchmark_tomography(x, geometry, 0.01, 4, 1)
    assert torch.equal(scaled.y, largest * noisy(clean / largest, 0.01, 4, 1))
    window = hounsfield_window()
    seen = in_window(scaled, window)
    assert seen.truth is not None
    assert torch.equal(seen.truth, window.to_unit(x))
    assert torch.equal(seen.y, window.measurements(scaled.A, scaled.y))
    assert seen.noise_level == pytest.approx(0.01 * largest / window.width)


# ---- the problem ---------------------------------------------------------------------------------


def test_a_problem_fills_in_what_was_not_given(x: Tensor) -> None:
    A = 3 * Convolution(kernels.gaussian(1.0), shape(x))
    problem = Problem(A, noisy(A.A(x), 0.1, 0))
    assert isinstance(problem.data_term, LeastSquares)
    assert problem.data_term is problem.data_term
    assert problem.noise() == estimate_noise_level(problem.y)
    assert problem.scale == pytest.approx(A.norm_bound)
    assert torch.equal(problem.first_guess(), A.initial_guess(problem.y))


def test_a_problem_keeps_what_was_given(x: Tensor) -> None:
    A = Convolution(kernels.gaussian(1.0), shape(x))
    y = A.A(x)
    weighted = WeightedLeastSquares(A, y, 4.0 * torch.ones_like(y))
    problem = Problem(A, y, 0.1, x, torch.zeros_like(x), weighted)
    assert problem.data_term is weighted
    assert problem.noise() == 1  # the data count as scaled by it
    assert problem.scale == pytest.approx(2.0, rel=1e-6)
    assert not problem.first_guess().any()
    assert Problem(A, y, 0.1).noise() == 0.1
    assert math.isclose(Problem(A, y, 0.1).scale, 1.0, rel_tol=1e-6)


def test_the_noise_is_estimated_once(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    name = "pnp_recon.problems.problem.estimate_noise_level"
    monkeypatch.setattr(name, lambda y: calls.append(y) or 0.2)
    problem = Problem(Convolution(kernels.gaussian(1.0), shape(x)), x)
    assert (problem.noise(), problem.noise(), len(calls)) == (0.2, 0.2, 1)
