"""Curves of certified and attacked accuracy, and adversarial examples as pictures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from pnp_recon.networks.classifier import Classifier
from scripts.studies.robust.attacks import Logits, attack
from scripts.studies.robust.measure import ATTACK_SEED, Row

COLOURS = {"dense": "#1f6fb4", "conv": "#2a9d5c", "ResNet": "#d9541e", "pipeline": "#7a4fa3"}
# Radii that are tried for the nearest adversarial example.
STEP, FURTHEST = 0.05, 3.0


def curves(rows: Sequence[Row], path: Path) -> None:
    """Mean over the seeds: proven accuracy as lines, what attacks leave dashed."""
    figure, axes = plt.subplots(figsize=(6, 3.8))
    for model, colour in COLOURS.items():
        own = [row for row in rows if row.model == model]
        if not own:
            continue
        radii = sorted({row.radius for row in own})
        for key, style in (("certified", "-"), ("attacked", "--")):
            means = [
                statistics.mean(getattr(row, key) for row in own if row.radius == radius)
                for radius in radii
            ]
            if any(means):
                words = f"{model}, {'proven' if key == 'certified' else 'under attack'}"
                axes.plot(radii, means, style, color=colour, marker=".", label=words)
    axes.set(xlabel="radius ε, Euclidean, pictures in [0, 1]", ylabel="accuracy", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def examples(
    networks: Mapping[str, Logits], x: Tensor, labels: Tensor, path: Path, count: int = 6
) -> None:
    """Digits, and the nearest picture found that each network takes for another digit."""
    right = torch.stack([net(x).argmax(1) == labels for net in networks.values()]).all(0)
    chosen = [
        int((right & (labels == digit)).nonzero()[0, 0])
        for digit in range(10)
        if bool((right & (labels == digit)).any())
    ][:count]
    figure, grid = plt.subplots(
        1 + len(networks), len(chosen), figsize=(1.5 * len(chosen), 1.9 * (1 + len(networks))),
        squeeze=False,
    )  # fmt: skip
    for column, index in enumerate(chosen):
        _picture(grid[0][column], x[index], f"{int(labels[index])}")
        for row, (name, net) in enumerate(networks.items(), 1):
            point, radius = nearest(net, x[index : index + 1], labels[index : index + 1])
            found = int(net(point).argmax(1))
            words = f"{found} at {radius:.2f}"
            if isinstance(net, Classifier):
                words += f"\nnone below {float(net.decide(x[index : index + 1]).radii):.2f}"
            _picture(grid[row][column], point[0], words)
            if column == 0:
                grid[row][0].set_ylabel(name, fontsize=9)
    grid[0][0].set_ylabel("digit", fontsize=9)
    _save(figure, path)


def nearest(net: Logits, x: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """The misclassified point of the smallest radius that was tried, and its distance."""
    radius = STEP
    while radius <= FURTHEST:
        found = attack(net, x, labels, radius, torch.Generator().manual_seed(ATTACK_SEED), 30, 4)
        if bool(found.fooled):
            return found.points, float((found.points - x).norm())
        radius += STEP
    return x, 0.0


def _picture(axes: plt.Axes, picture: Tensor, words: str) -> None:
    axes.imshow(picture[0], cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.set_title(words, fontsize=8)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout(pad=0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
