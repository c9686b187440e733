"""Structured optimisers: what each keeps, and twins that do not."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.conserving import canonical
from pnp_recon.training.structured.momentum import (
    HeavyBall,
    Nesterov,
    Relativistic,
    heavy_ball,
    relativistic,
)
from scripts.studies.optimisers.plane import START, camel

H, GAMMA = 0.1, 0.7
Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Made = Callable[[list[Tensor]], torch.optim.Optimizer]
SLOPE = torch.func.grad(camel)


def nesterov(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    p = 0.9 * p - H * SLOPE(u + 0.9 * p)
    return u + p, p


def ball(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    return heavy_ball(u, p, SLOPE(u), H, GAMMA, 2.0)


def slow(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    return relativistic(u, p, SLOPE(u), H, GAMMA, 0.5)


def late(u: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Explicit Euler: the position moves by the momentum before."""
    return u + H * p, (1 - H * GAMMA) * p - H * SLOPE(u)


def defect(step: Step, factor: float) -> float:
    """Largest entry of JᵀΩJ − factor·Ω over a few points."""
    omega, worst = canonical(4), 0.0
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        x = torch.randn(4, dtype=torch.float64, generator=draws)
        j = torch.func.jacrev(lambda z: torch.cat(step(z[:2], z[2:])))(x)
        worst = max(worst, float((j.T @ omega @ j - factor * omega).abs().max()))
    return worst


def test_two_shrink_the_form_by_one_factor_and_two_do_not() -> None:
    assert defect(ball, 1 - H * GAMMA) < 1e-13
    assert defect(slow, 1 / (1 + H * GAMMA)) < 1e-13
    assert defect(nesterov, 0.9) > 1e-2
    assert defect(late, 1 - H * GAMMA) > 1e-2


@pytest.mark.parametrize("name", ["ball", "slow"])
def test_the_energy_falls_by_the_friction_and_not_by_half_of_it(name: str) -> None:
    """dH/dt = −γ⟨p, ∇T(p)⟩ as h → 0; some sources print half of it."""

    def kinetic(p: Tensor) -> Tensor:
        return p @ p / 4 if name == "ball" else (p @ p + 0.5).sqrt()

    u, p, h = torch.tensor([0.4, -0.3]).double(), torch.tensor([0.8, 0.5]).double(), 1e-6
    if name == "ball":
        after = heavy_ball(u, p, SLOPE(u), h, GAMMA, 2.0)
    else:
        after = relativistic(u, p, SLOPE(u), h, GAMMA, 0.5)
    rate = float(kinetic(after[1]) + camel(after[0]) - kinetic(p) - camel(u)) / h
    expected = -GAMMA * float(p @ torch.func.grad(kinetic)(p))
    assert rate == pytest.approx(expected, rel=1e-4)
    assert rate != pytest.approx(expected / 2, rel=0.2)


def run(made: Made, steps: int) -> list[Tensor]:
    u = START.clone().requires_grad_()
    optimiser, points = made([u]), [START.clone()]

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = camel(u)
        if torch.is_grad_enabled():
            loss.backward()
        return loss

    for _ in range(steps):
        optimiser.step(closure)
        points.append(u.detach().clone())
    return points


def test_heavy_ball_and_nesterov_are_those_of_torch() -> None:
    ours = run(lambda u: HeavyBall(u, 0.1, 1.0), 30)[-1]
    theirs = run(lambda u: torch.optim.SGD(u, 0.01, momentum=0.9), 30)[-1]
    torch.testing.assert_close(ours, theirs, atol=1e-14, rtol=0)
    ours = run(lambda u: Nesterov(u, 0.01, 0.9), 30)
    # torch keeps u + μp in the parameters.
    theirs = run(lambda u: torch.optim.SGD(u, 0.01, momentum=0.9, nesterov=True), 30)[-1]
    ahead = ours[-1] + 0.9 * (ours[-1] - ours[-2])
    torch.testing.assert_close(ahead, theirs, atol=1e-14, rtol=0)


def test_relativistic_steps_are_shorter_than_h_and_heavy_ones_are_not() -> None:
    def longest(points: list[Tensor]) -> float:
        return float(torch.stack(points).diff(dim=0).norm(dim=1).max())

    assert longest(run(lambda u: Relativistic(u, 0.02, 0.1, 1e-6), 40)) < 0.02
    assert longest(run(lambda u: HeavyBall(u, 0.02, 0.1, 0.01), 40)) > 0.02


def test_what_cannot_be_is_refused() -> None:
    u = [torch.zeros(2, requires_grad=True)]
    with pytest.raises(InputError, match="closure"):
        Nesterov(u, 0.1).step()
    for made in (
        lambda: Nesterov(u, math.inf),
        lambda: Relativistic(u, 0.1, math.nan),
        lambda: HeavyBall(u, 0.1, 11.0),
        lambda: HeavyBall(u, 0.0, 1.0),
        lambda: Nesterov(u, 0.1, 1.0),
        lambda: Relativistic(u, 0.1, -1.0),
        lambda: Relativistic(u, 0.1, 1.0, 0.0),
    ):
        with pytest.raises(InputError, match="expected"):
            made()


def test_the_numbers_of_a_group_are_checked() -> None:
    u = torch.zeros(2, requires_grad=True)
    HeavyBall([{"params": [u], "lr": 0.5}], 0.1, 1.0)  # the twin: hγ = ½
    for group, made in (
        ({"lr": 2.0}, lambda groups: HeavyBall(groups, 0.1, 1.0)),
        ({"momentum": 1.5}, lambda groups: Nesterov(groups, 0.1)),
        ({"softening": 0.0}, lambda groups: Relativistic(groups, 0.1, 1.0)),
        ({"damping": -1.0}, lambda groups: Relativistic(groups, 0.1, 1.0)),
    ):
        with pytest.raises(InputError, match="expected"):
            made([{"params": [u], **group}])


def complex_steps(made: Made, as_pairs: bool) -> Tensor:
    """Ten steps on ‖Mz − c‖² of complex z, or of the pairs of real numbers that z is."""
    m, c = torch.tensor([[1, 2j], [0.5, 1 - 1j]]).cdouble(), torch.tensor([1 + 1j, -2j]).cdouble()
    z = torch.tensor([0.3 - 0.4j, 0.2j]).cdouble()
    u = (torch.view_as_real(z) if as_pairs else z).clone().requires_grad_()
    optimiser = made([u])

    def closure() -> Tensor:
        optimiser.zero_grad()
        z = torch.view_as_complex(u) if as_pairs else u
        loss = (m @ z - c).abs().square().sum()
        loss.backward()
        return loss

    for _ in range(10):
        optimiser.step(closure)
    return u.detach() if as_pairs else torch.view_as_real(u.detach())


@pytest.mark.parametrize(
    "made",
    [
        lambda u: HeavyBall(u, 0.1, 1.0),
        lambda u: Nesterov(u, 0.01),
        lambda u: Relativistic(u, 0.02, 0.1, 1e-2),
    ],
)
def test_complex_parameters_are_pairs_of_real_ones(made: Made) -> None:
    whole, pairs = (complex_steps(made, as_pairs) for as_pairs in (False, True))
    torch.testing.assert_close(whole, pairs, atol=1e-13, rtol=0)


def test_the_length_of_a_complex_momentum_is_not_the_sum_of_its_squares() -> None:
    p = torch.tensor([3j, 3.0]).cdouble()  # squares that sum to 0
    moved, _ = relativistic(torch.zeros_like(p), p, torch.zeros_like(p), H, 0.0, 1e-6)
    assert float(moved.norm()) < H
    assert float((H * p / (p.square().sum() + 1e-6).sqrt()).norm()) > 100 * H  # the twin


def test_a_refused_step_leaves_the_parameters_where_they_were() -> None:
    u = torch.ones(2, requires_grad=True)
    made = Nesterov([u], 0.1)

    def closure() -> torch.Tensor:
        made.zero_grad()
        loss = u.square().sum()
        loss.backward()
        return loss

    made.step(closure)
    held = u.detach().clone()
    with pytest.raises(InputError, match="closure"):
        made.step()
    assert torch.equal(u, held)
    made.step(closure)  # the twin: a step that is none of the refused ones moves them
    assert not torch.equal(u, held)


def test_parameters_without_gradients_rest() -> None:
    used, unused = (torch.ones(2, requires_grad=True) for _ in range(2))
    for made in (HeavyBall([used, unused], 0.1, 1.0), Relativistic([used, unused], 0.1, 1.0)):
        made.zero_grad()
        used.square().sum().backward()
        made.step()
        assert torch.equal(unused, torch.ones(2))


@pytest.mark.parametrize("kind", [HeavyBall, Nesterov, Relativistic])
def test_a_stored_state_goes_on_as_if_it_had_not_stopped(kind: type) -> None:
    def made(u: Tensor) -> torch.optim.Optimizer:
        return kind([u], 0.02) if kind is Nesterov else kind([u], 0.02, 1.0)

    def step(optimiser: torch.optim.Optimizer, u: Tensor) -> None:
        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = camel(u)
            loss.backward()
            return loss

        optimiser.step(closure)

    through = START.clone().requires_grad_()
    optimiser = made(through)
    for _ in range(3):
        step(optimiser, through)
    halted, bare = (through.detach().clone().requires_grad_() for _ in range(2))
    again, without = made(halted), made(bare)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    step(optimiser, through), step(again, halted), step(without, bare)
    assert torch.equal(through, halted)
    assert not torch.equal(through, bare)  # the twin: without the state
