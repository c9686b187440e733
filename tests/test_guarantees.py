"""The averagedness calculus against constants that explicit maps attain.

A linear map T is α-averaged exactly if ‖T − (1−α)I‖ ≤ α, so the smallest such α, found by
bisection on dense float64 matrices, is what a rule may never undercut. Each rule also has a case
in which its constant is attained: there the same checker catches a constant that is 1 % too small.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee

ALPHA = st.floats(0.02, 0.98)
SEED = st.integers(0, 2**31 - 1)
# One point of (0, 1) where a single case will do.
A, SOURCE = 0.3, "test"


def norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))


def attained_averagedness(T: Tensor) -> float:
    """The smallest α for which T is α-averaged; infinite if T is not nonexpansive."""
    eye = torch.eye(len(T), dtype=T.dtype)
    if norm(T) > 1 + 1e-12:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(45):
        middle = (low + high) / 2
        # The allowance for rounding: where T has fixed points, norm and α are equal.
        if norm(T - (1 - middle) * eye) <= middle + 1e-13:
            high = middle
        else:
            low = middle
    return high


def assert_holds(T: Tensor, guarantee: Guarantee) -> None:
    """The checker of every law below."""
    assert guarantee.lipschitz is not None
    assert norm(T) <= guarantee.lipschitz * (1 + 1e-9), "the Lipschitz constant is too small"
    if guarantee.averagedness is not None:
        assert attained_averagedness(T) <= guarantee.averagedness * (1 + 1e-7) + 1e-9, (
            "the averagedness constant is too small"
        )


def assert_tight(T: Tensor, guarantee: Guarantee, tolerance: float = 1e-6) -> None:
    """T attains the constant; and the checker catches one that is 1 % smaller."""
    assert guarantee.averagedness is not None
    assert_holds(T, guarantee)
    assert attained_averagedness(T) == pytest.approx(guarantee.averagedness, rel=tolerance)
    with pytest.raises(AssertionError, match="averagedness constant is too small"):
        assert_holds(T, replace(guarantee, averagedness=0.99 * guarantee.averagedness))


def random_matrix(rows: int, columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def orthogonal(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(random_matrix(size, size, seed)).Q


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


# ---- contractions: constants by moduli -----------------------------------------------------------


def quadratic(size: int, m: float, smoothness: float, seed: int) -> Tensor:
    """A Hessian whose least and largest eigenvalues are m and L."""
    Q = orthogonal(size, seed)
    generator = torch.Generator().manual_seed(seed)
    values = m + (smoothness - m) * torch.rand(size, generator=generator, dtype=torch.float64)
    values[0], values[1] = m, smoothness
    return Q @ torch.diag(values) @ Q.T


def assert_contracts(T: Tensor, constant: float) -> None:
    """The checker: the norm of T is at most the constant."""
    assert norm(T) <= constant * (1 + 1e-12), "the constant is too small"


MODULUS, STEP_SHARE = st.floats(0.01, 1.0), st.floats(0.05, 1.95)


@given(MODULUS, STEP_SHARE, SEED)
@settings(max_examples=60, deadline=None)
def test_a_gradient_step_of_a_strongly_convex_function_contracts(
    m: float, share: float, seed: int
) -> None:
    H, eye = quadratic(5, m, 1.3, seed), torch.eye(5).double()
    held = guarantees.gradient_step(share / 1.3, 1.3, m)
    assert held.lipschitz is not None
    assert held.is_contraction
    T = eye - share / 1.3 * H
    assert_holds(T, held)
    # Both ends are eigenvalues: the constant is attained, and a smaller one is caught.
    assert norm(T) == pytest.approx(held.lipschitz, rel=1e-9)
    with pytest.raises(AssertionError, match="too small"):
        assert_contracts(T, 0.99 * held.lipschitz)


@given(MODULUS, st.floats(0.01, 30.0), SEED)
@settings(max_examples=60, deadline=None)
def test_proximal_maps_and_reflections_contract_as_their_moduli_say(
    m: float, gamma: float, seed: int
) -> None:
    H, eye = quadratic(5, m, 1.3, seed), torch.eye(5).double()
    P = torch.linalg.inv(eye + gamma * H)
    held = guarantees.proximal(gamma, m, SOURCE)
    assert held.is_firm
    assert_holds(P, held)
    assert norm(P) == pytest.approx(held.lipschitz, rel=1e-9)
    turned = guarantees.reflection(gamma, m, 1.3)
    assert turned.lipschitz is not None
    assert_holds(2 * P - eye, turned)
    assert norm(2 * P - eye) == pytest.approx(turned.lipschitz, rel=1e-9)
    with pytest.raises(AssertionError, match="too small"):
        assert_contracts(2 * P - eye, 0.99 * turned.lipschitz)


@pytest.mark.parametrize(("m", "smoothness"), [(0.0, 1.0), (0.5, math.inf), (0.0, math.inf)])
def test_a_reflection_contracts_only_with_both_moduli(m: float, smoothness: float) -> None:
    assert guarantees.reflection(2.0, m, smoothness) == guarantees.averaged(1.0, "2 prox − I")


@given(ALPHA, MODULUS, STEP_SHARE, st.floats(0.05, 3.0), SEED)
@settings(max_examples=100, deadline=None)
def test_a_step_along_the_field_of_denoising_contracts(
    alpha: float, m: float, share: float, weight: float, seed: int
) -> None:
    """I − τ(∇f + w(I − N)) with N = (1−α)I + αR, R orthogonal; nothing commutes."""
    H, eye = quadratic(5, m, 1.3, seed), torch.eye(5).double()
    N = (1 - alpha) * eye + alpha * orthogonal(5, seed + 1)
    tau = share / (1.3 + 2 * alpha * weight)
    T = eye - tau * (H + weight * (eye - N))
    found = guarantees.field_step(tau, weight, guarantees.averaged(alpha, SOURCE), 1.3, m)
    assert found < 1
    assert_contracts(T, found)
    # A denoiser that contracts by itself: with its own constant, at most that of any averaged one.
    short = 0.7 * N
    held = guarantees.contracting(guarantees.averaged(1.0, SOURCE), 0.7)
    nearer = guarantees.field_step(tau, weight, held, 1.3, m)
    assert_contracts(eye - tau * (H + weight * (eye - short)), nearer)


@pytest.mark.parametrize("end", ["slow", "fast"])
def test_the_constant_along_the_field_is_attained(end: str) -> None:
    """At one end f is flat and N has a fixed point, at the other R turns about."""
    m, smoothness, alpha, weight, eye = 0.2, 1.3, 0.6, 0.5, torch.eye(2).double()
    tau = (0.3 if end == "slow" else 1.95) / (smoothness + 2 * alpha * weight)
    turn = eye if end == "slow" else -eye
    N = (1 - alpha) * eye + alpha * turn
    H = torch.diag(torch.tensor([m, smoothness])).double()
    T = eye - tau * (H + weight * (eye - N))
    found = guarantees.field_step(tau, weight, guarantees.averaged(alpha, SOURCE), smoothness, m)
    assert found == pytest.approx(max(1 - tau * m, tau * (smoothness + 2 * alpha * weight) - 1))
    assert norm(T) == pytest.approx(found)
    with pytest.raises(AssertionError, match="too small"):
        assert_contracts(T, 0.99 * found)


def test_nothing_proven_of_a_denoiser_gives_no_constant() -> None:
    with pytest.raises(ValueError, match="why not"):
        guarantees.field_step(0.1, 1.0, guarantees.none("why not"), 1.0, 0.5)


def test_relaxing_a_contraction_rounds_up() -> None:
    held = guarantees.relax(guarantees.lipschitz(0.9, SOURCE), 1e-3)
    assert held.lipschitz is not None
    assert held.averagedness is not None
    assert 1 - 1e-3 * (1 - 0.9) <= held.lipschitz < 1
    assert held.averagedness == pytest.approx(1e-3 * 0.95)
