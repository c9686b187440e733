"""Gradients by costates are those of back-propagation, to rounding, for every tableau."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import AntisymmetricField, Field, GradientField, LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import LearnedSteps, ShareSteps, Steps
from pnp_recon.networks.flows.tableaux import TABLEAUX
from pnp_recon.training.control import gradients
from pnp_recon.training.control.gradients import costates, partner

WEIGHTED = [name for name, made in TABLEAUX.items() if all(made.weights)]


def flow(method: str, steps: Steps | None = None) -> Flow:
    torch.manual_seed(0)
    fields: list[Field] = [
        GradientField(3, 4, "tanh"),
        LayerField(3),
        AntisymmetricField(3, damping=0.1),
    ]
    return Flow(fields, method, steps or LearnedSteps(3, 0.3)).double()


def start() -> Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss(z: Tensor) -> Tensor:
    return (z - 1).square().sum() + z.prod(-1).sum()


def distance(made: Flow) -> float:
    """Largest relative distance of any gradient from that of back-propagation."""
    x = start().requires_grad_()
    value = loss(made(x))
    value.backward()
    found = costates(made, start(), loss)
    assert float(abs(found.value - value.detach())) < 1e-12
    assert x.grad is not None
    pairs = [(found.costates[0], x.grad)]
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None
        pairs.append((found.parameters[name], parameter.grad))
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


@pytest.mark.parametrize("name", WEIGHTED)
def test_costates_are_the_gradients(name: str) -> None:
    # Implicit stages are solved to 1e-13.
    assert distance(flow(name)) < (2e-15 if TABLEAUX[name].is_explicit else 1e-12)


@pytest.mark.parametrize("name", ["improved_euler", "kutta3", "rk4", "ssp104", "implicit_euler"])
def test_the_same_tableau_for_costates_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the partner of a tableau is another one, but for the conservative ones."""
    monkeypatch.setattr(gradients, "partner", lambda tableau: tableau.matrix)
    assert distance(flow(name)) > 1e-5


@pytest.mark.parametrize("name", ["implicit_midpoint", "gauss4"])
def test_conservative_methods_are_their_own_partner(name: str) -> None:
    made = TABLEAUX[name]
    difference = [
        abs(float(a - b))
        for row, other in zip(partner(made), made.matrix, strict=True)
        for a, b in zip(row, other, strict=True)
    ]
    assert max(difference) < 1e-15


def test_steps_that_follow_the_weights_are_differentiated() -> None:
    torch.manual_seed(2)
    fields = [GradientField(3, 4, "tanh") for _ in range(2)]
    made = Flow(fields, "rk4", ShareSteps(2, 0.8)).double()
    assert distance(made) < 1e-14


def test_a_shared_field_collects_its_gradients() -> None:
    torch.manual_seed(3)
    field = LayerField(3)
    assert distance(Flow([field, field], "kutta3", [0.2, 0.4]).double()) < 2e-15


def test_euler_is_the_principle_of_pontryagin() -> None:
    """p^k = p^{k+1} + h f_zᵀp^{k+1}, written out; with the other sign it is another."""
    made, jacobian = flow("euler"), torch.autograd.functional.jacobian
    found, sizes = costates(made, start(), loss), made.sizes(torch.float64).detach()
    for k, field in enumerate(made.fields.requires_grad_(False)):
        slopes = torch.stack([_square(jacobian, field, z) for z in found.points[k]])
        pulled = torch.einsum("bij,bi->bj", slopes, found.costates[k + 1])
        right, wrong = (found.costates[k + 1] + sign * sizes[k] * pulled for sign in (1, -1))
        assert float((found.costates[k] - right).abs().max()) < 1e-14
        assert float((found.costates[k] - wrong).abs().max()) > 1e-3


def _square(jacobian: Callable[..., object], field: torch.nn.Module, z: Tensor) -> Tensor:
    found = jacobian(field, z)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("name", ["midpoint", "heun3"])
def test_a_zero_weight_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="a weight of 0; take euler"):
        costates(flow(name), start(), loss)


def test_what_is_no_runge_kutta_method_is_refused() -> None:
    from pnp_recon.networks.flows.separable import SymplecticField

    made = Flow([SymplecticField(4)], "symplectic_euler", [0.1]).double()
    with pytest.raises(InputError, match="found symplectic_euler"):
        costates(made, torch.zeros(4, dtype=torch.float64), loss)
