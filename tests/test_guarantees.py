"""The averagedness calculus against constants that explicit maps attain.

A linear map T is α-averaged exactly if ‖T − (1−α)I‖ ≤ α, so the smallest such α, found by
bisection on dense float64 matrices, is what a rule may never undercut. Each rule also has a case
in which its constant is attained: there the same checker catches a constant that is 1 % too small.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from laws.maps import (
    assert_holds,
    assert_tight,
    attained_averagedness,
    norm,
    orthogonal,
)
from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee

ALPHA = st.floats(0.02, 0.98)
SEED = st.integers(0, 2**31 - 1)
# One point of (0, 1) where a single case will do.
A, SOURCE = 0.3, "test"


def rotation(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def averaged_map(alpha: float, R: Tensor) -> Tensor:
    return (1 - alpha) * torch.eye(len(R), dtype=R.dtype) + alpha * R


def averaged(alpha: float) -> Guarantee:
    return guarantees.averaged(alpha, SOURCE)


# ---- the measuring instrument itself -----------------------------------------------------------


def test_attained_averagedness_of_known_maps() -> None:
    minus = -torch.eye(3, dtype=torch.float64)
    assert attained_averagedness(averaged_map(0.25, minus)) == pytest.approx(0.25, rel=1e-9)
    projection = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert attained_averagedness(projection) == pytest.approx(0.5, rel=1e-9)
    assert attained_averagedness(-1.001 * minus) == math.inf


# ---- composition -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(ALPHA, min_size=2, max_size=4), st.integers(2, 4), SEED)
def test_composition_is_never_undercut(alphas: list[float], size: int, seed: int) -> None:
    T = torch.eye(size, dtype=torch.float64)
    for i, alpha in enumerate(alphas):
        T = averaged_map(alpha, orthogonal(size, seed + i)) @ T
    assert_holds(T, guarantees.compose(*map(averaged, alphas)))


@pytest.mark.parametrize("alphas", [(0.5, 0.5), (0.2, 0.7), (0.05, 0.9), (0.3, 0.5, 0.8, 0.1)])
def test_composition_is_attained_by_small_rotations(alphas: tuple[float, ...]) -> None:
    # The product of 1 − αᵢ + αᵢe^{iθᵢ} with θᵢ = t/(1−αᵢ) attains the constant as t → 0.
    T = torch.eye(2, dtype=torch.float64)
    for alpha in alphas:
        T = averaged_map(alpha, rotation(1e-3 / (1 - alpha))) @ T
    assert_tight(T, guarantees.compose(*map(averaged, alphas)), tolerance=1e-4)


@given(ALPHA, ALPHA)
def test_composition_of_two_is_the_formula_for_two(a: float, b: float) -> None:
    composed = guarantees.compose(averaged(a), averaged(b)).averagedness
    assert composed == pytest.approx((a + b - 2 * a * b) / (1 - a * b), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(ALPHA, ALPHA, ALPHA)
def test_composition_is_associative(a: float, b: float, c: float) -> None:
    x, y, z = averaged(a), averaged(b), averaged(c)
    left = guarantees.compose(guarantees.compose(x, y), z).averagedness
    assert left == pytest.approx(guarantees.compose(x, y, z).averagedness, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(ALPHA, st.floats(0.0, 1.4), SEED)
def test_composition_with_lipschitz_maps(alpha: float, constant: float, seed: int) -> None:
    T = averaged_map(alpha, orthogonal(3, seed)) @ (constant * orthogonal(3, seed + 1))
    composed = guarantees.compose(averaged(alpha), guarantees.lipschitz(constant, SOURCE))
    assert_holds(T, composed)
    assert composed.lipschitz == pytest.approx(constant)
    assert composed.is_nonexpansive == (constant <= 1)


def test_composition_edge_cases() -> None:
    assert guarantees.compose(averaged(A)) == averaged(A)
    with pytest.raises(ValueError, match="nothing to compose"):
        guarantees.compose()
    with_a_reflection = guarantees.compose(averaged(A), averaged(1.0))
    assert with_a_reflection.is_nonexpansive
    assert not with_a_reflection.is_averaged
    # A contraction makes the composition a contraction, hence averaged, in spite of α = 1.
    shrunk = guarantees.compose(averaged(1.0), guarantees.lipschitz(0.5, SOURCE))
    assert shrunk.is_contraction
    assert shrunk.averagedness == pytest.approx(0.75)


# ---- gradient step -----------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 50), SEED)
def test_gradient_step_on_quadratics(fraction: float, smoothness: float, seed: int) -> None:
    Q = orthogonal(4, seed)
    spectrum = torch.tensor([0.0, 0.1, 0.5, 1.0], dtype=torch.float64) * smoothness
    step = 2 * fraction / smoothness
    T = torch.eye(4, dtype=torch.float64) - step * Q @ torch.diag(spectrum) @ Q.T
    assert_tight(T, guarantees.gradient_step(step, smoothness))


def test_gradient_step_outside_its_range() -> None:
    outside = guarantees.gradient_step(1.0, 2.0)
    assert not outside.holds
    assert "(0, 1)" in outside.source
    with pytest.raises(ValueError, match="positive"):
        guarantees.gradient_step(0.0, 1.0)
    for smoothness in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="Lipschitz constant"):
            guarantees.gradient_step(1.0, smoothness)
    assert guarantees.gradient_step(1.0, 0.0).is_averaged


# ---- relaxation, contraction -------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(ALPHA, st.floats(0.01, 3), SEED)
def test_relaxation(alpha: float, weight: float, seed: int) -> None:
    eye = torch.eye(3, dtype=torch.float64)
    relaxed = guarantees.relax(averaged(alpha), weight)
    for R in (orthogonal(3, seed), -eye):
        T = (1 - weight) * eye + weight * averaged_map(alpha, R)
        assert_holds(T, relaxed)
    if weight * alpha <= 0.99:
        assert_tight(T, relaxed)  # by the reflection
    elif weight * alpha > 1:
        assert not relaxed.is_nonexpansive
        assert norm(T) > 1, "beyond 1/α a relaxation may expand, as the reflection shows"


def test_half_relaxation_of_a_nonexpansive_map_is_firm() -> None:
    assert guarantees.relax(averaged(1.0), 0.5).is_firm
    with pytest.raises(ValueError, match="positive"):
        guarantees.relax(averaged(A), 0.0)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 0.99, allow_subnormal=False), SEED)
def test_contraction_is_averaged(q: float, seed: int) -> None:
    contraction = guarantees.lipschitz(q, SOURCE)
    assert contraction.is_contraction
    assert_holds(q * orthogonal(3, seed), contraction)
    assert_tight(-q * torch.eye(3, dtype=torch.float64), contraction)


def test_an_expansive_map_is_lipschitz_and_no_more() -> None:
    held = guarantees.lipschitz(1.5, SOURCE)
    assert held.holds
    assert not held.is_nonexpansive
    assert_holds(1.5 * rotation(1.0), held)
    with pytest.raises(AssertionError, match="Lipschitz constant is too small"):
        assert_holds(1.6 * rotation(1.0), held)


# ---- scaling, lifting, averages ----------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.1, 1.0, 7.0])
def test_scaling_keeps_the_slopes(factor: float) -> None:
    # On the line a map is α-averaged exactly if its slopes lie in [1 − 2α, 1].
    def shrink(x: Tensor) -> Tensor:
        return x - 2 * A * x.clamp(-1, 1)

    x = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    slopes = torch.diff(shrink(factor * x) / factor) / torch.diff(x)
    assert guarantees.scale(averaged(A), factor).averagedness == A
    assert float(slopes.min()) == pytest.approx(1 - 2 * A)
    assert float(slopes.max()) == pytest.approx(1)
    with pytest.raises(ValueError, match="positive"):
        guarantees.scale(averaged(A), -1.0)


@settings(max_examples=40, deadline=None)
@given(ALPHA, st.integers(1, 4), SEED)
def test_isometric_lifting(alpha: float, size: int, seed: int) -> None:
    T, Q = averaged_map(alpha, orthogonal(4, seed)), orthogonal(4, seed + 1)[:, :size]
    assert_holds(Q.T @ T @ Q, guarantees.isometric_lifting(averaged(alpha)))


def test_isometric_lifting_is_attained_and_needs_the_isometry() -> None:
    minus = averaged_map(A, -torch.eye(4, dtype=torch.float64))
    Q = orthogonal(4, 0)[:, :2]
    assert_tight(Q.T @ minus @ Q, guarantees.isometric_lifting(averaged(A)))
    with pytest.raises(AssertionError, match="too small"):
        assert_holds((1.1 * Q).T @ (1.1 * Q), guarantees.isometric_lifting(averaged(A)))


def dihedral_group() -> list[Tensor]:
    """The eight symmetries of a 3×3 picture as permutation matrices."""
    eye = torch.eye(9, dtype=torch.float64).reshape(9, 3, 3)
    turned = [torch.rot90(picture, k, (1, 2)) for picture in (eye, eye.flip(1)) for k in range(4)]
    return [pictures.reshape(9, 9) for pictures in turned]


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_group_average(alpha: float) -> None:
    group = dihedral_group()
    guarantee = guarantees.group_average(averaged(alpha))
    for seed in range(5):
        T = averaged_map(alpha, orthogonal(9, seed))
        assert_holds(sum(g.T @ T @ g for g in group) / len(group), guarantee)  # type: ignore[arg-type]
    minus = averaged_map(alpha, -torch.eye(9, dtype=torch.float64))
    assert_tight(sum(g.T @ minus @ g for g in group) / len(group), guarantee)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.lists(ALPHA, min_size=1, max_size=4), SEED)
def test_convex_combination(alphas: list[float], seed: int) -> None:
    weights = torch.rand(len(alphas), generator=torch.Generator().manual_seed(seed)) + 0.05
    shares = (weights.double() / weights.double().sum()).tolist()
    combined = guarantees.convex_combination([averaged(a) for a in alphas], shares)
    minus = -torch.eye(3, dtype=torch.float64)
    maps = [averaged_map(a, orthogonal(3, seed + i)) for i, a in enumerate(alphas)]
    assert_holds(_mixture(maps, shares), combined)
    assert_tight(_mixture([averaged_map(a, minus) for a in alphas], shares), combined)


def _mixture(maps: list[Tensor], weights: list[float]) -> Tensor:
    return torch.stack([w * T for w, T in zip(weights, maps, strict=True)]).sum(0)


def test_convex_combination_with_an_expansive_part() -> None:
    parts = [averaged(A), guarantees.lipschitz(1.4, SOURCE)]
    half = guarantees.convex_combination(parts, [0.5, 0.5])
    assert not half.is_nonexpansive
    assert half.lipschitz == pytest.approx(1.2)
    with pytest.raises(ValueError, match="sum to 1"):
        guarantees.convex_combination([averaged(A)], [0.9])
    for parts, weights in (([averaged(A)], [0.5, 0.5]), ([], []), ([averaged(A)] * 2, [2.0, -1.0])):
        with pytest.raises(ValueError, match="one positive weight"):
            guarantees.convex_combination(parts, weights)


def test_a_mean_of_nonexpansive_maps_is_no_contraction() -> None:
    """Shares of 1/n that sum to a little less, or more, than 1 prove nothing of the maps."""
    shares = [[1 / n] * n for n in range(1, 60)]
    assert min(map(sum, shares)) < 1 < max(map(sum, shares))  # the twin: the plain sum
    for weights in shares:
        mean = guarantees.convex_combination([averaged(1.0)] * len(weights), weights)
        assert mean.averagedness == 1.0
        assert mean.lipschitz == 1.0
