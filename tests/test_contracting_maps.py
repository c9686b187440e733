"""Constants of contractions, by moduli of f and of the denoiser, against maps that attain them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from laws.maps import assert_holds, norm, orthogonal
from pnp_recon import guarantees

ALPHA = st.floats(0.02, 0.98)
SEED = st.integers(0, 2**31 - 1)
SOURCE = "test"


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
