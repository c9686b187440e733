"""Optimisers on a function of the plane.

The camel-back function V = 2x² − 1.05x⁴ + x⁶/6 + xy + y² has its least value 0 at the origin. All
start at (−0.5, 0.8), in the well of the origin; counted are steps until V < 10⁻⁶. It is a
demonstration of what the methods are, and says nothing of how fast networks train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from pnp_recon.training.structured.discrete import ItohAbe
from pnp_recon.training.structured.momentum import HeavyBall, Nesterov, Relativistic
from scripts.protocol import save_figure

START = torch.tensor([-0.5, 0.8], dtype=torch.float64)
GOAL, MOST = 1e-6, 4000
# Beyond it a run counts as diverged.
FAR = 1e6


def camel(u: Tensor) -> Tensor:
    """V of points (…, 2)."""
    x, y = u.unbind(-1)
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


@dataclass(frozen=True)
class Method:
    """A row: what it is called, what it is, and the optimiser of a list of parameters."""

    name: str
    words: str
    make: Callable[[list[Tensor]], torch.optim.Optimizer]


METHODS = (
    Method("gradient descent", "h = 0.01", lambda u: torch.optim.SGD(u, 0.01)),
    Method("heavy ball", "h = 0.1, γ = 1, m = 1", lambda u: HeavyBall(u, 0.1, 1.0)),
    Method("Nesterov", "h = 0.01, μ = 0.9", lambda u: Nesterov(u, 0.01, 0.9)),
    Method("Adam", "rate 0.1", lambda u: torch.optim.Adam(u, 0.1)),
    Method("relativistic", "h = 0.01, γ = 4, ε = 1", lambda u: Relativistic(u, 0.01, 4.0, 1.0)),
    Method("Itoh–Abe, small step", "h = 0.01, sweeps", lambda u: ItohAbe(u, 0.01)),
    Method("Itoh–Abe, large step", "h = 5, sweeps", lambda u: ItohAbe(u, 5.0)),
    Method("Itoh–Abe, frugal", "h = 5, sweeps", lambda u: ItohAbe(u, 5.0, "frugal")),
    Method("gradient descent, large step", "h = 5", lambda u: torch.optim.SGD(u, 5.0)),
)


@dataclass(frozen=True)
class Run:
    """Points (K + 1, 2) until V < `GOAL`, and whether it came to that."""

    points: Tensor
    reached: bool

    @property
    def steps(self) -> int:
        return len(self.points) - 1


def run(method: Method, most: int = MOST) -> Run:
    """From `START` until V < `GOAL`, at most so many steps."""
    u = START.clone().requires_grad_()
    optimiser = method.make([u])
    points = [START.clone()]

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = camel(u)
        if torch.is_grad_enabled():
            loss.backward()
        return loss

    while len(points) <= most:
        optimiser.step(closure)
        points.append(u.detach().clone())
        value = float(camel(points[-1]))
        if not value >= GOAL or not float(points[-1].norm()) < FAR:
            break
    return Run(torch.stack(points), 0 <= float(camel(points[-1])) < GOAL)


def page(runs: dict[str, Run], most: int) -> str:
    lines = [
        "# Optimisers on the camel-back function",
        "",
        "Steps from (−0.5, 0.8) until V = 2x² − 1.05x⁴ + x⁶/6 + xy + y² < 10⁻⁶, and the number of "
        "steps at which V rose. Parameters are as given; none was tuned for speed. A sweep of "
        "Itoh–Abe moves each entry once, and evaluates V about a hundred times for it, where it is "
        "frugal three times. A "
        "demonstration: it says nothing of how fast networks train. From "
        "`python -m scripts.studies.optimisers plane`.",
        "",
        "| method | parameters | steps | steps at which V rose |",
        "|---|---|---|---|",
    ]
    for method in METHODS:
        found = runs[method.name]
        rises = int((camel(found.points).diff() > 0).sum())
        if found.reached:
            count = str(found.steps)
        elif float(found.points[-1].norm()) < FAR:
            count = f"not in {most}"
        else:
            count = f"diverges, after {found.steps}"
        lines.append(f"| {method.name} | {method.words} | {count} | {rises} |")
    return "\n".join([*lines, ""])


def figure(runs: dict[str, Run], path: Path) -> None:
    """V against steps, and the ways in the plane."""
    drawn, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    grid = np.stack(np.meshgrid(np.linspace(-0.7, 0.4, 120), np.linspace(-0.4, 0.9, 120)), -1)
    values = camel(torch.from_numpy(grid)).numpy()
    right.contour(grid[..., 0], grid[..., 1], values, 14, colors="0.8", linewidths=0.7)
    for method in METHODS:
        found = runs[method.name]
        if not found.reached:
            continue
        left.loglog(range(1, found.steps + 1), camel(found.points[1:]), label=method.name, lw=1.2)
        right.plot(*found.points.T.numpy(), lw=1.2)
    left.set(xlabel="step", ylabel="V", ylim=(GOAL / 10, None))
    left.legend(frameon=False, fontsize=7)
    right.plot(*START.tolist(), "k.")
    right.set(xlabel="x", ylabel="y", xlim=(-0.7, 0.4), ylim=(-0.4, 0.9))
    save_figure(drawn, path)


def study(most: int, image: Path) -> str:
    """Counts at most so many steps of each method and draws them; the page."""
    runs = {method.name: run(method, most) for method in METHODS}
    figure(runs, image)
    return page(runs, most)
