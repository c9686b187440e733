"""Pendulums of one and two rods, learned from noisy pairs: an energy, against free networks.

All models see the same pairs of states (u, p) a while apart (`RodField`), and have about as many
parameters. The learned energy steps by Gonzalez' discrete gradient, which keeps it and the rods;
free fields by Runge and Kutta's fourth order, as they are or with the rods put right after a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor, nn

from pnp_recon.networks.flows.conserving import RodField
from pnp_recon.networks.flows.discrete_gradients import Gonzalez
from pnp_recon.networks.flows.registry import integrator
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import save_figure

STEP, FINE = 0.1, 20
NOISE, RATE = 1e-3, 3e-3
WIDTH, BATCH = 48, 128
STARTS, PAIRS, TESTS = 60, 20, 10
COUNT, STEPS, SEEDS = 200, 400, 3
MODELS = ("learned H, Gonzalez", "free, RK4", "free, RK4, rods put right")
SYSTEMS = {"pendulum": 1, "double pendulum": 2}
Move = Callable[[Tensor], Tensor]


def energy(x: Tensor) -> Tensor:
    """H of one or two rods; lengths, masses and gravity are 1, and u = (1, 0) hangs."""
    if x.shape[-1] == 3:
        return x[..., 2].square() / 2 - x[..., 0]
    u, v, p, q = x[..., :2], x[..., 2:4], x[..., 4], x[..., 5]
    along, across = (u * v).sum(-1), u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    moved = (p.square() + 2 * q.square() - 2 * p * q * along) / (2 * (1 + across.square()))
    return moved - 2 * u[..., 0] - v[..., 0]


def starts(count: int, rods: int) -> Tensor:
    """States (count, 3·rods): angles to ±1.2 from hanging, momenta to ±0.5."""
    turns = 2.4 * torch.rand(count, rods, dtype=torch.float64) - 1.2
    momenta = torch.rand(count, rods, dtype=torch.float64) - 0.5
    return torch.cat([torch.stack([turns.cos(), turns.sin()], -1).flatten(1), momenta], 1)


@torch.no_grad()
def truth(x: Tensor, count: int) -> Tensor:
    """The states (count + 1, n, d) at every `STEP`, by fine steps: right to about 1e-8."""
    field, method, states = RodField(energy), integrator("rk4"), [x]
    for _ in range(count):
        for _ in range(FINE):
            x = method.step(field, x, STEP / FINE)
        states.append(x)
    return torch.stack(states)


@dataclass(frozen=True)
class Data:
    """Pairs (n, d) with noise, and true states (count + 1, tests, d) of other starts."""

    before: Tensor
    after: Tensor
    test: Tensor


def data(rods: int, count: int, small: bool = False) -> Data:
    """Drawn from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rods)
        seen = truth(starts(4 if small else STARTS, rods), 2 if small else PAIRS)
        test = truth(starts(TESTS, rods), count)
    seen = seen + NOISE * standard_normal(seen, 0, torch.float64)
    return Data(seen[:-1].flatten(0, 1), seen[1:].flatten(0, 1), test)


def layers(rods: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3 * rods, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(),
        nn.Linear(WIDTH, outputs),
    ).double()  # fmt: skip


def lengths(x: Tensor) -> Tensor:
    """|uᵢ|, (…, rods)."""
    return x[..., : x.shape[-1] // 3 * 2].unflatten(-1, (-1, 2)).norm(dim=-1)


def put_right(x: Tensor) -> Tensor:
    """The nearest state whose rods have their length."""
    by = lengths(x).repeat_interleave(2, -1)
    return torch.cat([x[..., : by.shape[-1]] / by, x[..., by.shape[-1] :]], -1)


@dataclass(frozen=True)
class Run:
    """What a learned step did, over time: medians over the test starts, each (count + 1,).

    Attributes:
        error: ‖state − truth‖.
        drift: |H − H₀| of the true energy.
        rods: worst change of a length over all starts and times.
        parameters: how many were learned.
    """

    error: Tensor
    drift: Tensor
    rods: float
    parameters: int


def learned(rods: int, name: str, held: Data, steps: int, seed: int) -> Run:
    """Trains with Adam on all pairs, the rate falling to 0; then it runs alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        structured = name == MODELS[0]
        net = layers(rods, 1 if structured else 3 * rods)
        move, loss = _energetic(net) if structured else _free(net, name == MODELS[2])
        optimiser = torch.optim.Adam(net.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            chosen = torch.randint(len(held.before), (BATCH,))
            optimiser.zero_grad()
            off = loss(held.before[chosen], held.after[chosen])
            (off / STEP).square().mean().backward()
            optimiser.step()
            schedule.step()
    states = [held.test[0]]
    with torch.no_grad():
        for _ in range(len(held.test) - 1):
            states.append(move(states[-1]))
    run = torch.stack(states)
    error = (run - held.test).norm(dim=-1).nan_to_num(torch.inf)
    drift = (energy(run) - energy(run[0])).abs().nan_to_num(torch.inf)
    off_rods = float((lengths(run) - 1).abs().nan_to_num(torch.inf).max())
    count = sum(part.numel() for part in net.parameters())
    return Run(error.median(1).values, drift.median(1).values, off_rods, count)


def _energetic(net: nn.Sequential) -> tuple[Move, Callable[[Tensor, Tensor], Tensor]]:
    field, method = RodField(lambda x: net(x)[..., 0]), Gonzalez()
    return (
        lambda x: method.step(field, x, STEP),
        lambda before, after: method.residual(field, before, after, STEP),
    )


def _free(net: nn.Sequential, right: bool) -> tuple[Move, Callable[[Tensor, Tensor], Tensor]]:
    method = integrator("rk4")

    def move(x: Tensor) -> Tensor:
        found = method.step(net, x, STEP)
        return put_right(found) if right else found

    return move, lambda before, after: after - move(before)


def figure(found: dict[str, dict[str, list[Run]]], path: Path) -> None:
    """Error and drift over time: medians over the seeds."""
    drawn, grid = plt.subplots(2, len(found), figsize=(8.4, 5.4), squeeze=False)
    for column, (system, models) in enumerate(found.items()):
        for name, runs in models.items():
            for row, values in enumerate(("error", "drift")):
                curve = torch.stack([getattr(run, values) for run in runs]).median(0).values
                times = STEP * torch.arange(len(curve))
                grid[row, column].semilogy(times[1:], curve[1:].clamp(1e-16, 1e3), label=name)
        grid[0, column].set(title=system, ylabel="error of the state")
        grid[1, column].set(xlabel="time", ylabel="drift of the true energy")
    grid[0, 0].legend(frameon=False, fontsize=8)
    save_figure(drawn, path)
