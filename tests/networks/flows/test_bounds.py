"""One-sided constants, Gronwall, algebraic stability; and the counter-examples to easier claims."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.bounds import (
    gradient_one_sided,
    gronwall,
    is_algebraically_stable,
    markus_yamabe,
)
from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.fields import AntisymmetricField, Field, GradientField, LayerField
from pnp_recon.networks.flows.matrices import layer_one_sided, matrix_norm_bound
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.networks.flows.tableaux import TABLEAUX


def largest_slope(field: Field, dimension: int, count: int = 20_000) -> float:
    """The largest ⟨Δf, Δx⟩/‖Δx‖² over random pairs, near and far."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    d = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    d = d * torch.logspace(-3, 0.5, count, dtype=torch.float64)[:, None]
    with torch.no_grad():
        return float((((field(x + d) - field(x)) * d).sum(1) / d.square().sum(1)).max())


def flowed(field: Field, x: Tensor, time: float) -> Tensor:
    with torch.no_grad():
        for _ in range(400):
            x = integrator("rk4").step(field, x, time / 400)
    return x


@pytest.mark.parametrize("dimension", [2, 3, 14])
@pytest.mark.parametrize("kind", [LayerField, AntisymmetricField, GradientField])
def test_one_sided_and_gronwall_bounds_hold(kind: type[Field], dimension: int) -> None:
    torch.manual_seed(dimension)
    field = kind(dimension, activation="tanh").double()  # type: ignore[call-arg]
    facts = field.facts()
    assert facts.one_sided is not None
    assert facts.lipschitz is not None
    assert facts.one_sided <= facts.lipschitz
    assert largest_slope(field, dimension) <= facts.one_sided + 1e-12
    x, y = torch.randn(2, 200, dimension, dtype=torch.float64)
    ratio = (flowed(field, x, 1.0) - flowed(field, y, 1.0)).norm(dim=1) / (x - y).norm(dim=1)
    assert float(ratio.max()) <= gronwall(facts, 1.0) * (1 + 1e-8)
    assert gronwall(facts, 1.0) <= math.exp(facts.lipschitz) * (1 + 1e-9)


def test_the_one_sided_constant_of_a_small_layer_is_attained() -> None:
    """A slope of 1 in one row and 0 in the other: what the corner decides is found by pairs."""
    field = LayerField(2, "relu").double()
    with torch.no_grad():
        field.weight.copy_(torch.tensor([[0.0, 2.0], [-2.0, 0.0]]))
    assert layer_one_sided(field.weight) == pytest.approx(1.0)
    assert largest_slope(field, 2) > 0.95
    assert matrix_norm_bound(field.weight) == pytest.approx(2.0)


def test_a_skew_matrix_is_bounded_by_half_its_row_sum() -> None:
    torch.manual_seed(0)
    s = torch.randn(20, 20, dtype=torch.float64)
    skew = s - s.T
    assert layer_one_sided(skew) <= 0.5 * float(skew.abs().sum(1).max()) * (1 + 1e-9)


def test_damping_does_not_make_it_contractive() -> None:
    """Re λ(DA) ≤ 0 for every D, and yet two solutions move apart: the sources' claim fails."""
    field = AntisymmetricField(2, "relu", damping=0.3).double()
    with torch.no_grad():
        field.weight.copy_(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    a = field.matrix().detach()
    for d in ((0, 0), (0, 1), (1, 0), (1, 1)):
        eigenvalues = torch.linalg.eigvals(torch.diag(torch.tensor(d).double()) @ a)
        assert float(eigenvalues.real.max()) <= 1e-12
    assert largest_slope(field, 2) > 0.5
    assert field.facts().one_sided > 0.5  # type: ignore[operator]


def test_gradient_fields_descend_and_the_linear_one_attains_the_lower_end() -> None:
    torch.manual_seed(1)
    field = GradientField(3, 5, "identity").double()
    low, high = gradient_one_sided([field.weight])
    assert high == 0.0
    assert largest_slope(field, 3) == pytest.approx(low, rel=0.05)
    bent = GradientField(3, 5, "tanh").double()
    bent.load_state_dict(field.state_dict())
    assert low < largest_slope(bent, 3) <= 0
    assert gradient_one_sided([field.weight, torch.zeros(1, 3)])[0] == 0.0
    # Turned, so that its singular values 1 and 1e-9 are not in its entries: rounding must not
    # take the constant out of the enclosure.
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64))[0]
    assert gradient_one_sided([turn @ torch.diag(torch.tensor([1, 1e-9]).double())])[0] <= -1e-18


def test_eigenvalues_of_a_field_in_time_prove_nothing() -> None:
    """All real parts are −¼, and the solution grows by e^{t/2}: e^{10} at t = 20."""
    for t in (0.0, 1.0, 7.3):
        assert float(torch.linalg.eigvals(markus_yamabe(t)).real.max()) == pytest.approx(-0.25)
    x, h, steps = torch.tensor([-1.0, 0.0], dtype=torch.float64), 1e-3, 20_000
    # The classical method with its nodes: the field depends on time here.
    for k in range(steps):
        t = k * h
        a, b, c = markus_yamabe(t), markus_yamabe(t + h / 2), markus_yamabe(t + h)
        k1 = a @ x
        k2 = b @ (x + h / 2 * k1)
        k3 = b @ (x + h / 2 * k2)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + c @ (x + h * k3))
    assert float(x.norm()) == pytest.approx(math.exp(10), rel=1e-6)


def test_explicit_euler_grows_on_a_circle_and_the_midpoint_rule_does_not() -> None:
    circle = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    x = y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    h = 0.1
    for _ in range(50):
        x = integrator("euler").step(lambda z: z @ circle.T, x, h)
        y = integrator("implicit_midpoint").step(lambda z: z @ circle.T, y, h)
    assert float(x.norm()) == pytest.approx((1 + h * h) ** 25, rel=1e-12)
    assert float(y.norm()) == pytest.approx(1.0, abs=1e-12)


def test_algebraic_stability() -> None:
    stable = {name for name in TABLEAUX if is_algebraically_stable(TABLEAUX[name])}
    assert stable == {"implicit_euler", "implicit_midpoint", "gauss4"}


def test_what_is_not_known_bounds_nothing() -> None:
    with pytest.raises(InputError, match="no constant"):
        gronwall(Facts(source="unknown"), 1.0)
    with pytest.raises(InputError, match="time is -1"):
        gronwall(Facts(1.0), -1.0)
    with pytest.raises(ValueError, match="square"):
        layer_one_sided(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="damping"):
        AntisymmetricField(2, damping=-1)
