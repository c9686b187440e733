"""Deep limits: what training finds with 4 to 64 layers, with a norm over depth and without.

Points are turned by an angle that grows with their radius, by a network ż = tanh(Kz + b) of T = 3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor, nn

from pnp_recon.networks.flows.fields import LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.problems.noise import standard_normal
from pnp_recon.training.control.depth import depth_norm, distance, refined
from pnp_recon.training.control.successive import approximate
from scripts.protocol import save_figure

DEPTHS, TOTAL, WEIGHT = (4, 8, 16, 32, 64), 3.0, 1e-2
# Layers of the same weights, from nothing, or from the next shallower network.
WAYS = ("refined", "from nothing")


@dataclass(frozen=True)
class Trained:
    """A network of the study.

    Attributes:
        loss: the misfit alone.
        norm: ‖θ‖² in H¹.
        flow: the network.
    """

    loss: float
    norm: float
    flow: Flow


def pairs(count: int = 60) -> tuple[Tensor, Tensor]:
    x = standard_normal(torch.zeros(count, 2, dtype=torch.float64), 3)
    angle = 0.6 * x.norm(dim=1)
    c, s = angle.cos(), angle.sin()
    return x, torch.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], 1)


def begun(layers: int, seed: int = 0) -> Flow:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Flow(
            [LayerField(2) for _ in range(layers)], "euler", [TOTAL / layers] * layers
        ).double()


def misfit(flow: Flow) -> Tensor:
    x, y = pairs()
    return (flow(x) - y).square().sum(1).mean()


def train(flow: Flow, weight: float, steps: int) -> Trained:
    """L-BFGS on misfit + weight·‖θ‖²."""
    parameters = list(flow.parameters())
    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=steps,
        max_eval=2 * steps,
        tolerance_grad=1e-8,
        tolerance_change=1e-14,
        history_size=30,
        line_search_fn="strong_wolfe",
    )

    def value() -> Tensor:
        optimiser.zero_grad()
        total = misfit(flow)
        if weight:
            total = total + weight * depth_norm(layers(flow))
        total.backward()
        return total

    optimiser.step(value)
    with torch.no_grad():
        return Trained(float(misfit(flow)), float(depth_norm(layers(flow))), flow)


def layers(flow: Flow) -> list[nn.Module]:
    return list(flow.fields)


def limits(weight: float, way: str, steps: int, depths: tuple[int, ...] = DEPTHS) -> list[Trained]:
    """A network of each depth."""
    found: list[Trained] = []
    for depth in depths:
        start = refined(found[-1].flow) if found and way == WAYS[0] else begun(depth, depth)
        found.append(train(start, weight, steps))
    return found


def gaps(found: list[Trained]) -> list[float]:
    """‖θ^(2K) − θ^(K)‖ in L² over depth, each against the next."""
    return [distance(a.flow, b.flow) for a, b in itertools.pairwise(found)]


def successive(proximities: tuple[float, ...], steps: int) -> dict[str, list[float]]:
    """Losses of the method of successive approximations, 8 layers, by how it was made."""
    x, y = pairs()

    def loss(z: Tensor) -> Tensor:
        return (z - y).square().sum(1).mean()

    found: dict[str, list[float]] = {}
    for proximity in proximities:
        for safe in (True, False):
            flow = begun(8)
            values = [float(misfit(flow).detach())]
            for _ in range(steps):
                values.append(approximate(flow, x, loss, proximity, safe=safe).after)
            name = f"ρ = {proximity:g}" + (", doubled where the loss rises" if safe else "")
            found[name] = values
    return found


def figure(found: dict[tuple[float, str], list[Trained]], path: Path) -> None:
    """An entry of K by depth, for every number of layers."""
    drawn, grid = plt.subplots(1, 3, figsize=(10.2, 3.2))
    shown = [(WEIGHT, WAYS[1]), (0.0, WAYS[1])]
    for axes, key in zip(grid, shown, strict=False):
        for trained in found[key]:
            fields: Any = trained.flow.fields
            entries = [float(field.weight.detach()[0, 1]) for field in fields]
            count = len(entries)
            axes.step([k / count for k in range(count + 1)], [*entries, entries[-1]], where="post")
        axes.set(xlabel="depth t", ylabel="an entry of the weights", title=f"λ = {key[0]:g}")
    grid[0].legend(
        [f"K = {len(t.flow.fields)}" for t in found[shown[0]]], frameon=False, fontsize=7
    )
    for (weight, way), some in found.items():
        counts = [len(trained.flow.fields) for trained in some]
        style = "o-" if way == WAYS[0] else "s--"
        grid[2].loglog(counts[:-1], gaps(some), style, label=f"λ = {weight:g}, {way}")
        grid[2].set_xticks(counts[:-1], [str(count) for count in counts[:-1]])
    grid[2].minorticks_off()
    grid[2].set(xlabel="K", ylabel="‖θ^(2K) − θ^(K)‖ in L²")
    grid[2].legend(frameon=False, fontsize=7)
    save_figure(drawn, path)
