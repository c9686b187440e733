"""Critics: exact between points, never above the transport problem; a false constant is seen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.critics import distance_critic, wasserstein_bound
from pnp_recon.networks.flows.fields import GradientField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.steps import ShareSteps


def transport(first: Tensor, second: Tensor, p: Tensor, q: Tensor) -> float:
    """W₁ by the linear programme over couplings."""
    n, m = len(first), len(second)
    cost = torch.cdist(first, second).flatten().numpy()
    equal = np.zeros((n + m, n * m))
    for i, j in itertools.product(range(n), range(m)):
        equal[i, i * m + j] = equal[n + j, i * m + j] = 1
    found = linprog(cost, A_eq=equal, b_eq=torch.cat([p, q]).numpy(), bounds=(0, None))
    assert found.success
    return float(found.fun)


def measures(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n, 2, generator=generator).double() for n in (5, 7))
    p, q = (torch.rand(n, generator=generator).double() for n in (5, 7))
    return first, second + 1, p / p.sum(), q / q.sum()


def flow_critic() -> tuple[Flow, Tensor]:
    torch.manual_seed(0)
    flow = Flow([GradientField(2) for _ in range(3)], "euler", ShareSteps(3, 0.9)).double()
    direction = torch.tensor([0.6, -0.8], dtype=torch.float64, requires_grad=True)
    return flow, direction


def test_two_points_are_their_distance_apart() -> None:
    first = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    second = torch.tensor([[4.0, -2.0]], dtype=torch.float64)
    found = wasserstein_bound(distance_critic(first), first, second)
    assert float(found) == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_no_critic_is_above_the_transport_problem(seed: int) -> None:
    first, second, p, q = measures(seed)
    exact = transport(first, second, p, q)
    near = wasserstein_bound(distance_critic(first), first, second, 1.0, p, q)
    assert float(near) <= exact + 1e-9
    flow, direction = flow_critic()
    constant = flow.check().lipschitz
    assert constant is not None
    optimiser = torch.optim.Adam([*flow.parameters(), direction], 0.05)
    best = -1.0
    for _ in range(60):
        optimiser.zero_grad()
        unit = direction / direction.norm()
        value = wasserstein_bound(lambda x: flow(x) @ unit, first, second, constant, p, q)  # noqa: B023
        (-value).backward()
        optimiser.step()
        best = max(best, float(value.detach()))
        assert float(value.detach()) <= exact + 1e-9
    assert best > 0.8 * exact


def test_a_constant_declared_half_is_above_it() -> None:
    first, second, p, q = measures(0)
    unit = second.mean(0) - first.mean(0)
    unit = -unit / unit.norm()
    value = wasserstein_bound(lambda x: 2 * (x @ unit), first, second, 1.0, p, q)
    assert float(value) > transport(first, second, p, q)


def test_refusals() -> None:
    first, second, _, q = measures(0)
    with pytest.raises(InputError, match="positive number"):
        wasserstein_bound(distance_critic(first), first, second, 0.0)
    with pytest.raises(InputError, match="sum to 1"):
        wasserstein_bound(distance_critic(first), first, second, 1.0, None, 2 * q)
