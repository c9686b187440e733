"""Successive approximations and stopping times: what lowers a loss, what raises it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.fields import GradientField, LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import LearnedSteps
from pnp_recon.training.control import successive
from pnp_recon.training.control.gradients import Costates, costates
from pnp_recon.training.control.stopping import learned_time, stopped
from pnp_recon.training.control.successive import approximate


def flow(layers: int = 4) -> Flow:
    torch.manual_seed(0)
    return Flow([LayerField(2) for _ in range(layers)], "euler", [1 / layers] * layers).double()


def inputs() -> Tensor:
    return torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss(z: Tensor) -> Tensor:
    """Towards the inputs, turned by a right angle and shortened."""
    x = inputs()
    target = 0.5 * torch.stack([-x[:, 1], x[:, 0]], 1)
    return (z - target).square().mean()


def test_proximal_steps_lower_the_loss() -> None:
    made = flow()
    first = float(loss(made(inputs())).detach())
    values = [first]
    for _ in range(12):
        found = approximate(made, inputs(), loss, 0.5)
        assert found.before == pytest.approx(values[-1])
        assert found.after < found.before
        values.append(found.after)
    assert values[-1] < 0.6 * first


def test_a_large_proximity_needs_no_second_trial() -> None:
    for proximity in (5.0, 50.0):
        found = approximate(flow(), inputs(), loss, proximity, safe=False)
        assert found.after < found.before
        assert found.proximity == proximity


def test_the_wrong_sign_raises_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: p(T) = +L' with a maximum, as it stands in print."""

    def wrong(*given: object) -> Costates:
        found = costates(*given)  # type: ignore[arg-type]
        return Costates(
            found.value, found.points, [-p for p in found.costates], found.parameters, found.steps
        )

    monkeypatch.setattr(successive, "costates", wrong)
    for proximity in (5.0, 50.0):
        found = approximate(flow(), inputs(), loss, proximity, safe=False)
        assert found.after > found.before


def test_without_proximity_the_loss_may_rise() -> None:
    def begun() -> Flow:
        made = flow()
        for _ in range(12):
            approximate(made, inputs(), loss, 0.5)
        return made

    found = approximate(begun(), inputs(), loss, 1e-4, safe=False)
    assert found.after > found.before
    again = approximate(begun(), inputs(), loss, 1e-4)
    assert again.after < again.before
    assert again.proximity > 1e-4


def test_a_small_step_is_a_gradient_step() -> None:
    made = flow()
    slopes = costates(made, inputs(), loss).parameters
    old = copy.deepcopy(made)
    approximate(made, inputs(), loss, 1e5, safe=False)
    for (name, new), before in zip(made.named_parameters(), old.parameters(), strict=True):
        moved = (new - before).detach() * 1e5
        # H_k has no factor h, the gradient of the loss has.
        torch.testing.assert_close(moved, -slopes[name] * 4, rtol=1e-2, atol=1e-4)


def test_what_it_is_not_for_is_refused() -> None:
    with pytest.raises(InputError, match="here for Euler; found rk4"):
        approximate(Flow([LayerField(2)], "rk4", [1.0]), inputs(), loss, 1.0)
    with pytest.raises(InputError, match="for Euler; found implicit_euler"):
        approximate(Flow([LayerField(2)], "implicit_euler", [1.0]), inputs(), loss, 1.0)
    field = LayerField(2)
    with pytest.raises(InputError, match="share weights"):
        approximate(Flow([field, field], "euler", [1.0, 1.0]), inputs(), loss, 1.0)
    with pytest.raises(InputError, match="proximity is 0"):
        approximate(flow(), inputs(), loss, 0.0)
    with pytest.raises(InputError, match="proximity is inf"):
        approximate(flow(), inputs(), loss, float("inf"))


# ---- stopping times -------------------------------------------------------------------------


def descent(count: int = 60, step: float = 0.05) -> tuple[list[Tensor], Tensor, GradientField]:
    """A gradient flow that runs past the truth."""
    torch.manual_seed(2)
    field = GradientField(2, 3, "tanh", 0.1).double()
    made = Flow([field] * count, "euler", [step] * count)
    with torch.no_grad():
        points = made.trajectory(inputs() + 1)
        truth = points[20] + 0.2 * torch.sin(torch.arange(60).double()).view(30, 2)
    return points, truth, field


def test_the_condition_holds_at_the_learned_time() -> None:
    points, truth, field = descent()
    found = learned_time(points, truth)
    assert 1 < found.time < 59
    assert abs(found.slope) < 1e-14
    at = stopped(points, found.time)
    with torch.no_grad():
        slope = float(((at - truth) * field(points[int(found.time)])).sum() / 30)
        value = float((at - truth).square().sum() / 60)
    assert abs(slope) < 1e-13  # ⟨p(T), f⟩
    assert value == pytest.approx(found.value, rel=1e-12)
    # The twin: elsewhere it does not hold, and the error is larger.
    for other in (found.time - 0.5, found.time + 0.5, 0.0, 60.0):
        off = stopped(points, other)
        assert float((off - truth).square().sum() / 60) > found.value


def test_a_time_at_an_end_has_a_slope() -> None:
    points, _, _ = descent()
    assert learned_time(points, points[-1] + (points[-1] - points[-2])).time == 60
    early = learned_time(points, points[0])
    assert (early.time, early.value) == (0.0, 0.0)
    with pytest.raises(InputError, match="found 1"):
        learned_time(points[:1], points[0])


def test_the_slope_in_time_is_the_sum_over_the_steps() -> None:
    """dJ/dT = (1/K)Σ∂J/∂hₖ for hₖ = T/K; with one field it is ⟨p(T), f(z(T))⟩ as K grows."""
    torch.manual_seed(3)
    field = LayerField(2).double()
    gaps = []
    for count in (20, 40, 80):
        made = Flow([field] * count, "euler", LearnedSteps(count, 1.5 / count)).double()
        found = costates(made, inputs(), loss)
        mean = float(found.steps.mean())
        end = float((found.costates[-1] * field(found.points[-1]).detach()).sum())
        gaps.append(abs(mean - end))
        h = 1e-6
        with torch.no_grad():
            both = [
                float(loss(Flow([field] * count, "euler", [(1.5 + s) / count] * count)(inputs())))
                for s in (-h, h)
            ]
        assert mean == pytest.approx((both[1] - both[0]) / (2 * h), abs=1e-5)
    assert gaps[1] < 0.6 * gaps[0]
    assert gaps[2] < 0.6 * gaps[1]
