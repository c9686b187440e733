"""Natural gradients: a linear model in one step, whatever it is written in."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.training.structured.natural import NaturalGradient

DRAWS = torch.Generator().manual_seed(0)
X, Y = (torch.randn(20, n, dtype=torch.float64, generator=DRAWS) for n in (4, 2))
T = torch.linspace(0, 2, 20, dtype=torch.float64)


def slope(u: Tensor) -> float:
    """Largest entry of the gradient of 1/(2N) Σ‖Uᵀxₙ − yₙ‖²."""
    return float((X.T @ (X @ u - Y)).abs().max()) / len(X)


def decay(u: Tensor) -> Tensor:
    """Residuals of u₀exp(−u₁t), whose data are u = (2, 1.5)."""
    return u[0] * torch.exp(-u[1] * T) - 2 * torch.exp(-1.5 * T)


def stepped(u: Tensor, residuals: Callable[[Tensor], Tensor], **numbers: float) -> Tensor:
    u = u.clone().requires_grad_()
    NaturalGradient([u], **numbers).step(lambda: residuals(u))
    return u.detach()


def test_a_linear_model_is_solved_in_one_step_and_not_by_a_gradient() -> None:
    first = torch.zeros(4, 2).double()
    assert slope(stepped(first, lambda u: X @ u - Y)) < 1e-14
    # The twin, at the best rate 2/(L + m) of its class.
    values = torch.linalg.eigvalsh(X.T @ X / len(X))
    plain = first - 2 / (values[0] + values[-1]) * X.T @ (X @ first - Y) / len(X)
    assert slope(plain) > 1e-2


def test_damping_leads_to_what_the_formula_says() -> None:
    u = torch.tensor([1.0, 0.5]).double()
    jacobian = torch.func.jacrev(decay)(u)
    gram = jacobian.T @ jacobian / len(T) + 0.1 * torch.eye(2).double()
    expected = u - 0.5 * torch.linalg.solve(gram, jacobian.T @ decay(u) / len(T))
    found = stepped(u, decay, lr=0.5, damping=0.1)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)
    assert float((stepped(u, decay, lr=0.5, damping=0.2) - expected).abs().max()) > 1e-3


def test_the_step_does_not_depend_on_linear_coordinates_and_a_gradient_does() -> None:
    turn = torch.tensor([[1.0, 2.0], [0.0, 0.1]]).double()
    u = torch.tensor([1.0, 0.5]).double()
    v = torch.linalg.solve(turn, u)
    there = turn @ stepped(v, lambda v: decay(turn @ v))
    torch.testing.assert_close(there, stepped(u, decay), atol=1e-12, rtol=0)
    gradient = torch.func.grad(lambda u: decay(u).square().mean() / 2)
    moved = turn @ (v - turn.T @ gradient(u))
    assert float((moved - (u - gradient(u))).abs().max()) > 1e-2


def test_a_curve_is_fitted_in_few_steps() -> None:
    u = torch.tensor([1.0, 0.5]).double()
    for _ in range(8):
        u = stepped(u, decay)
    torch.testing.assert_close(u, torch.tensor([2.0, 1.5]).double(), atol=1e-9, rtol=0)


def test_directions_without_data_rest() -> None:
    u = torch.tensor([1.0, 0.5, 7.0]).double()
    found = stepped(u, lambda u: decay(u[:2]))
    assert float(found[2]) == pytest.approx(7, abs=1e-12)


def test_state_and_refusals() -> None:
    u = torch.zeros(2, requires_grad=True)
    made = NaturalGradient([u], 0.5, 0.1)
    again = NaturalGradient([u])
    again.load_state_dict(copy.deepcopy(made.state_dict()))
    assert (again.param_groups[0]["lr"], again.param_groups[0]["damping"]) == (0.5, 0.1)
    with pytest.raises(InputError, match="closure"):
        made.step()
    for wrong in (
        lambda: NaturalGradient([u], 0.0),
        lambda: NaturalGradient([u], 1.0, -1.0),
        lambda: NaturalGradient([{"params": [u]}, {"params": [torch.ones(1)]}]),
    ):
        with pytest.raises(InputError, match="expected"):
            wrong()


def test_a_closure_that_gives_a_loss_is_refused() -> None:
    u = torch.nn.Parameter(torch.ones(3))
    optimiser = NaturalGradient([u])
    with pytest.raises(InputError, match="the closure gives no residuals"):
        optimiser.step(lambda: u.square().sum())
    assert float(optimiser.step(lambda: 2 * u)) == 2.0


def test_a_second_group_is_refused_whenever_it_comes() -> None:
    made = NaturalGradient([torch.ones(1, requires_grad=True)])
    with pytest.raises(InputError, match="several groups"):
        made.add_param_group({"params": [torch.ones(1, requires_grad=True)]})
