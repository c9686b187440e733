"""Flows: what is proven of the whole, steps of every kind, and pruning that changes nothing."""

from __future__ import annotations

import pytest
import torch

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import GradientField, LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import (
    FixedSteps,
    LearnedSteps,
    ShareSteps,
    SimplexShares,
    SimplexSteps,
)
from pnp_recon.networks.flows.tableaux import CONTRACTIVE, TABLEAUX
from pnp_recon.proximal.simplex import project_simplex

EXPLICIT = [name for name in CONTRACTIVE if TABLEAUX[name].is_explicit]


def fields(count: int = 3, dimension: int = 2) -> list[GradientField]:
    torch.manual_seed(0)
    made = [GradientField(dimension, 4, "relu").double() for _ in range(count)]
    for each in made:
        torch.nn.init.normal_(each.bias)
    return made


def quotient(flow: Flow) -> float:
    x, y = 2 * torch.randn(2, 3000, 2, dtype=torch.float64)
    with torch.no_grad():
        return float(((flow(x) - flow(y)).norm(dim=1) / (x - y).norm(dim=1)).max())


@pytest.mark.parametrize("name", EXPLICIT)
def test_shares_of_the_range_are_averaged_and_free_steps_are_not(name: str) -> None:
    held = Flow(fields(), name, ShareSteps(3, 0.9)).check()
    assert held.is_averaged
    assert quotient(Flow(fields(), name, ShareSteps(3, 0.9))) <= 1 + 1e-9
    free = Flow(fields(), name, LearnedSteps(3, 50.0))
    assert not free.check().is_nonexpansive
    assert quotient(free) > 1.5


def test_shares_on_a_simplex_stay_in_the_proven_range_and_are_pruned_exactly() -> None:
    steps = SimplexShares(4, total=1.5, largest=0.9)
    flow = Flow(fields(4), "rk4", steps)
    with torch.no_grad():
        steps.shares.copy_(torch.tensor([5.0, 0.7, -1.0, 0.6]))
    assert not flow.check().is_nonexpansive  # before the projection nothing holds
    flow.settle()
    assert float(steps.shares.detach().sum()) == pytest.approx(1.5)
    assert float(steps.shares.detach().max()) == pytest.approx(0.9)
    held, left = flow.check(), flow.pruned()
    assert held.is_averaged
    assert quotient(flow) <= 1 + 1e-9
    assert len(left.fields) == 3
    x = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(left(x), flow(x), rtol=0, atol=1e-12)
    assert left.check().averagedness == pytest.approx(held.averagedness, rel=1e-6)
    with torch.no_grad():
        for field in flow.fields:
            field.weight.mul_(7)  # type: ignore[union-attr, operator]
    assert flow.check().is_averaged  # shares follow the weights, sizes do not


def test_steps_follow_the_weights() -> None:
    flow = Flow(fields(), "euler", ShareSteps(3))
    before = flow.check().averagedness
    with torch.no_grad():
        for field in flow.fields:
            field.weight.mul_(7)  # type: ignore[union-attr, operator]
    assert flow.check().averagedness == pytest.approx(before)
    flow(torch.zeros(1, 2, dtype=torch.float64)).sum().backward()
    assert flow.steps.logits.grad is not None  # type: ignore[union-attr]


def test_a_simplex_is_kept_and_zero_steps_are_pruned_exactly() -> None:
    steps = SimplexSteps(4, total=0.8)
    flow = Flow(fields(4), "rk4", steps)
    with torch.no_grad():
        steps.sizes.copy_(torch.tensor([0.9, -0.3, 0.1, -0.2]))
    flow.settle()
    sizes = flow.sizes().detach()
    assert float(sizes.sum()) == pytest.approx(0.8)
    assert bool((sizes >= 0).all())
    assert int((sizes == 0).sum()) == 3 - int(float(sizes[2]) > 0)
    pruned = flow.pruned()
    assert len(pruned.fields) < 4
    x = torch.randn(50, 2, dtype=torch.float64)
    assert torch.equal(flow(x), pruned(x))
    whole, less = flow.check(), pruned.check()
    assert less.lipschitz == whole.lipschitz
    assert less.averagedness == whole.averagedness


@pytest.mark.parametrize("name", EXPLICIT)
def test_a_field_without_weights_is_a_translation(name: str) -> None:
    """Any averagedness holds for it, and that of the others is not lost."""
    made = fields()
    plain = Flow(made, name, [0.01] * 3).check()
    torch.nn.init.zeros_(made[1].weight)
    held = Flow(made, name, [0.01] * 3).check()
    assert plain.averagedness is not None  # the twin: that layer counts for something
    assert held.averagedness is not None
    assert 0 < held.averagedness < plain.averagedness


@pytest.mark.parametrize("step", [float("nan"), float("inf")])
def test_of_a_step_that_is_no_number_nothing_is_proven(step: float) -> None:
    assert "finite" in Flow(fields(1), "rk4", [step]).check().source
    assert not Flow(fields(1), "rk4", [step]).check().holds


def test_pruning_nothing_but_zeros_is_refused() -> None:
    with pytest.raises(InputError, match="identity"):
        Flow(fields(2), "euler", FixedSteps([0.0, 0.0])).pruned()
    assert Flow(fields(2), "euler", FixedSteps([0.0, 0.0])).check().lipschitz == 1.0


def test_the_projection_agrees_with_a_quadratic_programme() -> None:
    scipy = pytest.importorskip("scipy.optimize")
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        values = torch.randn(5, generator=generator, dtype=torch.float64)
        numbers = values.numpy()
        found = scipy.minimize(
            lambda h, v=numbers: ((h - v) ** 2).sum(),
            [0.3] * 5,
            jac=lambda h, v=numbers: 2 * (h - v),
            bounds=[(0, None)] * 5,
            constraints={"type": "eq", "fun": lambda h: h.sum() - 1.5},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        mine = project_simplex(values, 1.5)
        assert mine.numpy() == pytest.approx(found.x, abs=1e-6)
        clipped = values.clamp_min(0)  # the twin: clipping and rescaling is no projection
        other = 1.5 * clipped / clipped.sum()
        assert float((other - values).norm()) > float((mine - values).norm())


def test_expansive_steps_multiply_to_what_is_declared() -> None:
    """Alternating a contracting and an expanding step: constants multiply, and hold."""
    torch.manual_seed(2)
    free = LayerField(2, "relu").double()
    kept = GradientField(2, 4, "relu", convexity=2.0).double()
    flow = Flow([kept, free], "euler", FixedSteps([0.2, 0.2]))
    held = flow.check()
    parts = [layer.lipschitz for layer in flow.layers()]
    assert held.lipschitz == pytest.approx(parts[0] * parts[1])  # type: ignore[operator]
    assert quotient(flow) <= held.lipschitz  # type: ignore[operator]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_is_proven_of_a_bias_that_is_no_number(value: float) -> None:
    """A bias enters no constant: the layers by themselves do not see it."""
    flow = Flow(fields(), "euler", FixedSteps([0.1, 0.1, 0.1]))
    assert flow.check().holds  # the twin
    with torch.no_grad():
        flow.fields[1].bias[0] = value  # type: ignore[index, operator, union-attr]
    assert all(layer.holds for layer in flow.layers())
    assert not flow.check().holds
    assert "not finite" in flow.check().source


def test_one_step_for_each_field() -> None:
    with pytest.raises(InputError, match="2 steps for 3 fields"):
        Flow(fields(3), "euler", [0.1, 0.1])
    with pytest.raises(InputError, match=r"unlimited"):
        Flow([LayerField(2).double()], "euler", ShareSteps(1))(torch.zeros(1, 2).double())
    with pytest.raises(InputError, match=r"radius of contractivity is 0"):
        Flow([GradientField(2).double()], "heun3", ShareSteps(1)).check()
    with pytest.raises(InputError, match=r"share is 1\.2"):
        ShareSteps(2, 1.2)
    with pytest.raises(InputError, match="sum to -1"):
        SimplexSteps(2, -1)
    with pytest.raises(InputError, match=r"at most 1\.8"):
        SimplexShares(2, 1.9, largest=0.9)


def test_a_trajectory_ends_where_the_flow_does() -> None:
    flow = Flow(fields(), "ssp33", [0.1, 0.2, 0.3])
    x = torch.randn(4, 2, dtype=torch.float64)
    points = flow.trajectory(x)
    assert len(points) == 4
    assert torch.equal(points[-1], flow(x))
