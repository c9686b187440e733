"""Continuous flows by torchdiffeq: gradients by back-propagation and by the adjoint equation.

x ↦ By(T) + b, ẏ = f(y), y(0) = x with zeros for what is augmented. The adjoint solves an equation
of its own, so that its gradient differs from that of back-propagation by the tolerance; the
discrete costates of `training.control.gradients` do not differ at all.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor, nn

from pnp_recon.problems.noise import standard_normal
from scripts.protocol import save_figure

HIDDEN, POINTS = 32, 100


class Continuous(nn.Module):
    """A network that is the solution of an equation.

    Args:
        dimension: d of inputs and outputs.
        augmented: zeros that are added to them.
        second_order: the zeros are d velocities, and the network accelerates: ẋ = v, v̇ = f(x, v).
        tol: relative and absolute tolerance of Dormand and Prince's method.
        adjoint: gradients by the adjoint equation, in the memory of one point.
        hidden: width of f, with tanh.
    """

    def __init__(
        self,
        dimension: int,
        augmented: int = 0,
        second_order: bool = False,
        *,
        tol: float = 1e-6,
        adjoint: bool = False,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        self.zeros = dimension if second_order else augmented
        size = dimension + self.zeros
        self.net = nn.Sequential(
            nn.Linear(size, hidden),
            nn.Tanh(),
            nn.Linear(hidden, dimension if second_order else size),
        )
        self.second_order, self.tol, self.adjoint = second_order, tol, adjoint
        self.dimension, self.evaluations = dimension, 0

    def field(self, y: Tensor) -> Tensor:
        self.evaluations += 1
        slope: Tensor = self.net(y)
        return torch.cat([y[..., self.dimension :], slope], -1) if self.second_order else slope

    def forward(self, x: Tensor, times: Tensor | None = None) -> Tensor:
        """The states (len(times), …, d) at the given times, from 0; without them the one at 1."""
        import torchdiffeq

        solve = torchdiffeq.odeint_adjoint if self.adjoint else torchdiffeq.odeint
        y = torch.cat([x, x.new_zeros(*x.shape[:-1], self.zeros)], -1)
        grid = x.new_tensor([0.0, 1.0]) if times is None else times
        extra = {"adjoint_params": tuple(self.parameters())} if self.adjoint else {}
        found = solve(_Field(self), y, grid, rtol=self.tol, atol=self.tol, **extra)
        states: Tensor = found[..., : self.dimension]
        return states[-1] if times is None else states


class _Field(nn.Module):
    """The field with the time that torchdiffeq hands on, which it does not depend on."""

    def __init__(self, network: Continuous) -> None:
        super().__init__()
        self.network = [network]  # no child: its parameters are handed on by themselves

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.network[0].field(y)


def gradient(tol: float, adjoint: bool) -> Tensor:
    """Of ‖N(x) − Rx‖², R a turn, by all weights, flat; in float64, the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Continuous(2, tol=tol, adjoint=adjoint).double()
    with torch.no_grad():  # a field that bends, so that there are errors to see
        for parameter in network.parameters():
            parameter.mul_(3)
    x = standard_normal(torch.zeros(20, 2, dtype=torch.float64), 0)
    value = (network(x) - x.flip(-1)).square().sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(network.parameters()))])


def gap(tol: float) -> float:
    """Relative distance of the two gradients."""
    plain, adjoint = gradient(tol, False), gradient(tol, True)
    return float((plain - adjoint).norm() / plain.norm())


# ---- the oscillator ------------------------------------------------------------------------


@dataclass(frozen=True)
class Oscillator:
    """q̇ = p, ṗ = −q, learned from `times` (K,) that need not be regular.

    Attributes:
        loss: mean square error on the training points, by step.
        error: on new points, at 50 regular times.
        seconds: processor time of a step with back-propagation, and with the adjoint.
        states: (50, 2), one new point.
        times: those of training.
    """

    loss: list[float]
    error: float
    seconds: tuple[float, float]
    states: Tensor
    times: Tensor


def exact(x: Tensor, times: Tensor) -> Tensor:
    """(len(times), …, 2)."""
    q, p = x.unbind(-1)
    c, s = torch.cos(times)[:, None], torch.sin(times)[:, None]
    return torch.stack([c * q + s * p, c * p - s * q], -1)


def oscillator(steps: int, irregular: bool = True, count: int = 20) -> Oscillator:
    """Adam with the rate 0.01, as in the source."""
    regular = torch.linspace(0, 2 * math.pi, 50)
    times = torch.linspace(0, 2 * math.pi, count)
    if irregular:
        inner = torch.sigmoid(standard_normal(torch.zeros(count - 1), 5)) * 2 * math.pi
        times = torch.cat([torch.zeros(1), inner.sort().values])
    start = standard_normal(torch.zeros(POINTS, 2), 1)
    seconds = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Continuous(2, tol=1e-4)
    target = exact(start, times)
    for adjoint in (False, True):
        network.adjoint = adjoint
        begin = time.process_time()
        for _ in range(3):
            (network(start, times) - target).square().mean().backward()
        seconds.append((time.process_time() - begin) / 3)
    network.adjoint = False
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(steps):
        loss = (network(start, times) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    fresh = standard_normal(torch.zeros(POINTS, 2), 2)
    with torch.no_grad():
        found = network(fresh, regular)
        error = float((found - exact(fresh, regular)).square().mean())
    return Oscillator(losses, error, (seconds[0], seconds[1]), found[:, 0], times)


# ---- what a flow of the line cannot do ------------------------------------------------------


def crossing(network: Continuous, steps: int = 100) -> float:
    """Least mean square error met in learning −1 ↦ 1, 1 ↦ −1.

    A flow of the line keeps the order of points, so that no such network is better than 1.
    """
    x = torch.tensor([[-1.0], [1.0]])
    optimiser = torch.optim.Adam(network.parameters(), 3e-2)
    best = math.inf
    for _ in range(steps):
        loss = (network(x) + x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        best = min(best, float(loss.detach()))
    return best


def crossings(steps: int) -> dict[str, float]:
    """Of a plain flow of the line, one with an entry more, and one of second order."""
    kinds = {"plain": (0, False), "augmented": (1, False), "second order": (0, True)}
    found = {}
    for name, (augmented, second) in kinds.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Continuous(1, augmented, second, tol=1e-3, hidden=8)
        found[name] = crossing(network, steps)
    return found


# ---- weights that flow on O(d) --------------------------------------------------------------


def turned(w: Tensor, skew: Tensor, h: float) -> Tensor:
    """A step of Ẇ = WΩ on O(d): W(I − hΩ/2)⁻¹(I + hΩ/2), a rotation to rounding (Cayley)."""
    eye = torch.eye(len(w), dtype=w.dtype, device=w.device)
    return w @ torch.linalg.solve(eye - h / 2 * skew, eye + h / 2 * skew)


class OdeToOde(nn.Module):
    """ẋ = |Wx|, Ẇ = W(WᵀN − NᵀW) with a learned N and W(0) = I (after Choromanski et al. 2020)."""

    def __init__(self, dimension: int, steps: int) -> None:
        super().__init__()
        self.target = nn.Parameter(torch.randn(dimension, dimension) / dimension**0.5)
        self.steps = steps

    def weights(self, cayley: bool = True) -> list[Tensor]:
        """W⁰ … W^{K−1}; without Cayley's step by Euler's."""
        w = torch.eye(len(self.target), dtype=self.target.dtype)
        found, h = [], 1 / self.steps
        for _ in range(self.steps):
            found.append(w)
            skew = w.T @ self.target - self.target.T @ w
            w = turned(w, skew, h) if cayley else w + h * w @ skew
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) to (…, d)."""
        for w in self.weights():
            x = x + (x @ w.T).abs() / self.steps
        return x


def defect(w: Tensor) -> float:
    """‖WᵀW − I‖."""
    eye = torch.eye(len(w), dtype=w.dtype)
    return float((w.T @ w - eye).norm().detach())


def figure(gaps: dict[float, float], found: Oscillator, path: Path) -> None:
    drawn, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    left.loglog(list(gaps), list(gaps.values()), "o-", label="adjoint against back-propagation")
    left.loglog(list(gaps), list(gaps), ":", color="grey", label="the tolerance itself")
    left.set(xlabel="tolerance", ylabel="relative distance of gradients")
    left.legend(frameon=False, fontsize=8)
    regular = torch.linspace(0, 2 * math.pi, 50)
    right.plot(regular, found.states[:, 0], label="q, learned")
    right.plot(regular, found.states[:, 1], label="p, learned")
    truth = exact(standard_normal(torch.zeros(POINTS, 2), 2)[:1], regular)[:, 0]
    right.plot(regular, truth, "k:", lw=1)
    right.plot(found.times, torch.zeros_like(found.times), "k|", label="times of training")
    right.set(xlabel="t", ylabel="a new point; dotted: exact")
    right.legend(frameon=False, fontsize=8)
    save_figure(drawn, path)
