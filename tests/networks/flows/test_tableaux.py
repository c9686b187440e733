"""Tableaux: the radius of contractivity is proven, and orders are as they are said to be."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.networks.flows.tableaux import (
    CONTRACTIVE,
    TABLEAUX,
    is_positive_semidefinite,
    tableau,
)

# Dahlquist & Jeltsch 1979; Kraaijevanger 1991; Ketcheson 2008.
RADII = {
    "euler": 1.0,
    "improved_euler": 1.0,
    "ralston2": 0.7912878474,
    "kutta3": 0.5,
    "ssp33": 1.0,
    "rk4": 1.0,
    "three_eighths": 0.4641016151,
    "ssp104": 6.0,
    "implicit_euler": float("inf"),
    "implicit_midpoint": float("inf"),
    "gauss4": float("inf"),
}


@pytest.mark.parametrize("name", RADII)
def test_the_radius_is_that_of_the_literature_and_never_above(name: str) -> None:
    found = TABLEAUX[name].radius
    assert found == pytest.approx(RADII[name], rel=1e-9)
    assert found <= RADII[name] * (1 + 1e-10)


def test_every_tableau_has_a_stated_radius_or_a_refusal() -> None:
    assert set(CONTRACTIVE) == set(RADII)
    for name in set(TABLEAUX) - set(CONTRACTIVE):
        with pytest.raises(InputError, match="a weight is 0"):
            _ = TABLEAUX[name].radius


@pytest.mark.parametrize("name", [name for name in CONTRACTIVE if TABLEAUX[name].is_explicit])
def test_the_radius_agrees_with_an_independent_code(name: str) -> None:
    nodepy = pytest.importorskip("nodepy.runge_kutta_method", reason="NodePy is not installed")
    import numpy as np

    made = TABLEAUX[name]
    method = nodepy.ExplicitRungeKuttaMethod(np.array(made.a), np.array(made.b))
    assert made.radius == pytest.approx(method.circle_contractivity_radius(), rel=1e-3)


def test_a_smaller_shift_is_refuted_exactly() -> None:
    """The proof can fail: one part in a million less than ρ is no longer semidefinite."""
    for name in ("euler", "kutta3", "rk4", "ssp104"):
        made = TABLEAUX[name]
        form, size = made._form(), range(made.stages)
        for shift, holds in ((1, True), (Fraction(999_999, 1_000_000), False)):
            rho = made.inverse_radius * shift
            shifted = [
                [form[i][j] + (rho * made.weights[i] if i == j else 0) for j in size] for i in size
            ]
            assert is_positive_semidefinite(shifted) is holds


def test_semidefiniteness_is_decided_exactly() -> None:
    def fractions(*rows: list[int]) -> list[list[Fraction]]:
        return [[Fraction(entry) for entry in row] for row in rows]

    assert is_positive_semidefinite(fractions([1, 1], [1, 1]))
    assert is_positive_semidefinite(fractions([0, 0], [0, 1]))
    assert not is_positive_semidefinite(fractions([0, 1], [1, 1]))
    assert not is_positive_semidefinite(fractions([1, 2], [2, 3]))


@pytest.mark.parametrize("name", TABLEAUX)
def test_the_order_is_measured_against_the_exponential(name: str) -> None:
    """Errors over one second of a linear field with 8, 16 and 32 steps (explicit and implicit)."""
    made, method = TABLEAUX[name], integrator(name)
    matrix = torch.tensor([[-0.3, 1.2, 0.0], [-1.0, -0.2, 0.4], [0.1, -0.5, -0.6]]).double()
    start = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
    exact = torch.linalg.matrix_exp(matrix) @ start
    errors = []
    for count in (8, 16, 32):
        x = start
        for _ in range(count):
            x = method.step(lambda z: z @ matrix.T, x, 1 / count)
        errors.append(float((x - exact).norm()))
    measured = torch.log2(torch.tensor(errors[1] / errors[2])).item()
    assert measured == pytest.approx(made.order, abs=0.25)


def test_a_wrong_tableau_has_a_lower_order() -> None:
    """The measurement can fail: RK4 with two weights exchanged is of first order at best."""
    wrong = tableau("wrong", TABLEAUX["rk4"].matrix, ["1/3", "1/6", "1/3", "1/6"], 4)
    from pnp_recon.networks.flows.integrators import RungeKutta

    errors = []
    for count in (16, 32):
        x = torch.ones(1, dtype=torch.float64)
        for _ in range(count):
            x = RungeKutta(wrong).step(lambda z: -z, x, 1 / count)
        errors.append(abs(float(x) - float(torch.exp(torch.tensor(-1.0).double()))))
    assert errors[0] / errors[1] < 2.5


def test_shapes_and_weights_are_checked() -> None:
    with pytest.raises(InputError, match="square matrix"):
        tableau("x", [[0, 0]], [1], 1)
    with pytest.raises(InputError, match=r"sum to 0\.5"):
        tableau("x", [[0]], ["1/2"], 1)
    with pytest.raises(InputError, match="unknown integrator"):
        integrator("rk5")
