"""Decision regions, moved points, and the points layer by layer; one animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import animation
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from scripts.studies.planar.data import draw
from scripts.studies.planar.models import Classifier

COLOURS = ("#1f6fb4", "#d9541e")
REACH = 1.25


def regions(axes: Axes, net: Classifier, points: Tensor, classes: Tensor) -> None:
    """The probability over the plane, and points of both classes on it."""
    side = torch.linspace(-REACH, REACH, 121)
    grid = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1)
    with torch.no_grad():
        values = net(grid.reshape(-1, 2)).view(121, 121)
    levels = torch.linspace(0, 1, 11).tolist()
    colours = mpl.colors.LinearSegmentedColormap.from_list("two", [COLOURS[0], "white", COLOURS[1]])
    axes.contourf(side, side, values, levels, cmap=colours, alpha=0.5)
    axes.contour(side, side, values, [0.5], colors="black", linewidths=0.8)
    scatter(axes, points, classes)
    bare(axes, REACH)


def scatter(axes: Axes, points: Tensor, classes: Tensor) -> None:
    for label, colour in enumerate(COLOURS):
        held = points[classes == label]
        axes.scatter(held[:, 0], held[:, 1], s=5, color=colour, linewidths=0)


def bare(axes: Axes, reach: float) -> None:
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")


def moved(axes: Axes, net: Classifier, points: Tensor, classes: Tensor, layer: int = -1) -> None:
    """Where the points are after `layer` layers, and at the end the line that parts them."""
    with torch.no_grad():
        states = net.flow.trajectory(net.lift(points))  # type: ignore[operator, union-attr]
    state = states[layer]
    reach = 1.1 * float(max(s[:, :2].abs().max() for s in (states[0], state)))
    scatter(axes, state[:, :2], classes)
    if layer in (-1, len(states) - 1) and net.dimension == 2:
        weight, bias = net.out.weight.detach()[0], float(net.out.bias.detach())
        normal = weight / weight.norm()
        foot = -bias / float(weight.norm()) * normal
        along = torch.stack([-normal[1], normal[0]])
        ends = torch.stack([foot - 3 * reach * along, foot + 3 * reach * along])
        axes.plot(ends[:, 0], ends[:, 1], color="black", linewidth=0.8)
    bare(axes, reach)


def overview(nets: dict[tuple[str, str], Classifier], path: Path, seed: int) -> None:
    """Decision regions: a row for each data set, a column for each network."""
    rows = list(dict.fromkeys(data for data, _ in nets))
    columns = list(dict.fromkeys(model for _, model in nets))
    size = (1.7 * len(columns), 1.8 * len(rows))
    figure, grid = plt.subplots(len(rows), len(columns), figsize=size, squeeze=False)
    for (data, model), net in nets.items():
        axes = grid[rows.index(data)][columns.index(model)]
        regions(axes, net, *draw(data, 300, seed))
        if data == rows[0]:
            axes.set_title(model, fontsize=9)
        if model == columns[0]:
            axes.set_ylabel(data, fontsize=9)
    save(figure, path)


def layers(nets: dict[str, Classifier], data: str, path: Path, seed: int) -> None:
    """Points after chosen layers: a row for each network, the last column with the parting line."""
    chosen = (0, 3, 6, 9, 12, 15)
    figure, grid = plt.subplots(
        len(nets), len(chosen), figsize=(1.7 * len(chosen), 1.8 * len(nets)), squeeze=False
    )
    points, classes = draw(data, 300, seed)
    for row, (model, net) in enumerate(nets.items()):
        for column, layer in enumerate(chosen):
            moved(grid[row][column], net, points, classes, layer)
            if row == 0:
                grid[row][column].set_title(f"layer {layer}", fontsize=9)
        grid[row][0].set_ylabel(model, fontsize=9)
    save(figure, path)


def film(net: Classifier, data: str, path: Path, seed: int, between: int = 3) -> None:
    """An animated GIF of the points on their way through the layers."""
    points, classes = draw(data, 300, seed)
    with torch.no_grad():
        states: Sequence[Tensor] = net.flow.trajectory(net.lift(points))  # type: ignore[operator, union-attr]
    reach = 1.05 * float(max(state[:, :2].abs().max() for state in states))
    figure, axes = plt.subplots(figsize=(3.2, 3.4))

    def show(frame: int) -> list[object]:
        layer, part = divmod(frame, between)
        state = states[layer]
        if part:
            state = state + (states[layer + 1] - state) * part / between
        axes.clear()
        scatter(axes, state[:, :2], classes)
        axes.set_title(f"layer {layer}", fontsize=9)
        bare(axes, reach)
        return []

    frames = [*range(between * (len(states) - 1) + 1), *[between * (len(states) - 1)] * 8]
    path.parent.mkdir(parents=True, exist_ok=True)
    made = animation.FuncAnimation(figure, show, frames=frames)  # type: ignore[arg-type]
    made.save(path, writer=animation.PillowWriter(fps=10), dpi=90)
    plt.close(figure)


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout(pad=0.4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
