"""Learned steps that keep a sum or a length, against steps that were only taught to.

SIR, ẋ = −xy, ẏ = xy − y, ż = y, keeps x + y + z; advection u_t + u_x = 0 keeps ‖u‖. Each is learned
from noisy pairs (state, state a while later), by a field that cannot but keep it, and by a free
one, alone and with a penalty on what it loses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pnp_recon.networks.flows.conserving import MassField, TransportField
from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.fields import Field
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.problems.noise import standard_normal

NOISE, PENALTY, RATE = 0.01, 1.0, 3e-2
SIDE = 32
Quantity = Callable[[Tensor], Tensor]


class FreeField(Field):
    """Two layers, of which nothing is proven."""

    def __init__(self, dimension: int, hidden: int = 16) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(dimension, hidden), nn.Linear(hidden, dimension)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.tanh(self.inner(x)))

    def facts(self) -> Facts:
        return Facts(source="a free network")


class FreeFilter(Field):
    """A circular filter, (w ∗ x), with free weights."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(2 * reach + 1))

    def forward(self, x: Tensor) -> Tensor:
        reach = len(self.weights) // 2
        parts = torch.stack([x.roll(-k, -1) for k in range(-reach, reach + 1)])
        return torch.einsum("k,k...->...", self.weights, parts)

    def facts(self) -> Facts:
        return Facts(source="a free filter")


@dataclass(frozen=True)
class Problem:
    """A system that is learned.

    Attributes:
        name, keeps: as the table has them.
        inputs, targets: pairs (n, d), the targets with noise.
        start, truth: a state (d,) and the states (K, d) that follow it.
        quantity: what is kept, of states (…, d).
        models: fresh ones, by name, with the weight of the penalty.
        steps: how many of Adam, enough that all models fit the pairs to the noise.
        seeds: how many draws of the first weights; one where they are zeros.
    """

    name: str
    keeps: str
    inputs: Tensor
    targets: Tensor
    start: Tensor
    truth: Tensor
    quantity: Quantity
    models: dict[str, tuple[Callable[[], Flow], float]]
    steps: int
    seeds: int


@dataclass(frozen=True)
class Row:
    """What a learned step did over all steps of `truth`.

    Attributes:
        states: (K, d).
        drift: largest change of what should be kept.
        error: ‖state − truth‖/‖truth‖ at the end.
        words: what its check says that it keeps.
    """

    states: Tensor
    drift: float
    error: float
    words: str


def sir(x: Tensor) -> Tensor:
    s, i, _ = x.unbind(-1)
    return torch.stack([-s * i, s * i - i, i], -1)


def sir_problem(count: int, pairs: int = 400, h: float = 0.2) -> Problem:
    def later(x: Tensor) -> Tensor:
        for _ in range(8):  # Runge and Kutta's fourth order, far below the noise
            a = sir(x)
            b = sir(x + h / 16 * a)
            c = sir(x + h / 16 * b)
            x = x + h / 48 * (a + 2 * b + 2 * c + sir(x + h / 8 * c))
        return x

    inputs = torch.rand(pairs, 3, dtype=torch.float64) * torch.tensor([3.0, 2.0, 3.0]).double()
    start = torch.tensor([2.5, 0.1, 0.0]).double()
    truth = [later(start)]
    while len(truth) < count:
        truth.append(later(truth[-1]))
    models = {
        "S(x)·1, S skew": (lambda: Flow([MassField(3)], "rk4", [h]), 0.0),
        "free": (lambda: Flow([FreeField(3)], "rk4", [h]), 0.0),
        "free, penalty": (lambda: Flow([FreeField(3)], "rk4", [h]), PENALTY),
    }
    targets = _noisy(later(inputs))
    return Problem("SIR", "sum", inputs, targets, start, torch.stack(truth), _sum, models, 1500, 3)


def advection_problem(count: int, pairs: int = 24, h: float = 1.0) -> Problem:
    """On a circle of `SIDE` points; the wave moves by half a point in each step."""
    frequencies = 2 * math.pi * torch.fft.rfftfreq(SIDE).double()

    def moved(x: Tensor, by: float) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.exp(-1j * by * frequencies), SIDE)

    def smooth(x: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.exp(-2 * frequencies**2), SIDE)

    inputs = 2 * smooth(torch.rand(pairs, SIDE, dtype=torch.float64) - 0.5)
    start = torch.exp(-0.5 * ((torch.arange(SIDE).double() - SIDE / 2) / 2.5) ** 2)
    truth = torch.stack([moved(start, 0.5 * k) for k in range(1, count + 1)])
    models = {
        "skew filter, midpoint": (lambda: Flow([TransportField(3)], "implicit_midpoint", [h]), 0.0),
        "free filter": (lambda: Flow([FreeFilter(3)], "euler", [h]), 0.0),
        "free filter, penalty": (lambda: Flow([FreeFilter(3)], "euler", [h]), PENALTY),
    }
    targets = _noisy(moved(inputs, 0.5))
    return Problem("advection", "length", inputs, targets, start, truth, _length, models, 300, 1)


def learned(problem: Problem, name: str, steps: int, seed: int = 0) -> Row:
    """Trains one model with Adam on all pairs, the rate falling to 0; then it runs alone."""
    make, weight = problem.models[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = make().double()
    optimiser = torch.optim.Adam(flow.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        found = flow(problem.inputs)
        loss = (found - problem.targets).square().mean()
        if weight:
            lost = problem.quantity(found) - problem.quantity(problem.inputs)
            loss = loss + weight * lost.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    states, x = [], problem.start
    with torch.no_grad():
        for _ in range(len(problem.truth)):
            x = flow(x)
            states.append(x)
    run = torch.stack(states)
    drift = float((problem.quantity(run) - problem.quantity(problem.start)).abs().max())
    error = float((run[-1] - problem.truth[-1]).norm() / problem.truth[-1].norm())
    kept = sorted(fact.partition(": ")[2] or fact for fact in flow.check().keeps)
    return Row(run, drift, error, ", ".join(kept) or "nothing")


def problems(count: int) -> list[Problem]:
    """Both, over so many steps; drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return [sir_problem(count), advection_problem(count)]


def _noisy(x: Tensor) -> Tensor:
    return x + NOISE * standard_normal(x, 0, torch.float64)


def _sum(x: Tensor) -> Tensor:
    return x.sum(-1)


def _length(x: Tensor) -> Tensor:
    return x.norm(dim=-1)
