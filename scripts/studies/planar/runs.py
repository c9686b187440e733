"""Training of one network on one data set from one seed, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from scripts.studies.planar.data import draw
from scripts.studies.planar.models import LAYERS, Classifier

POINTS, TEST_POINTS = 500, 4000
STEPS, RATE = 600, 0.02
# Seeds of test points, apart from those of training.
TEST_SEED = 10_000


@dataclass(frozen=True)
class Run:
    """One trained network.

    Attributes:
        loss: J = ½ mean (p − c)² at the end of training.
        accuracy: share of new points on the right side, in [0, 1].
        resting: layers whose step is exactly zero.
        seconds: of training.
    """

    data: str
    model: str
    dimension: int
    seed: int
    loss: float
    accuracy: float
    resting: int
    seconds: float


def train(
    data: str, model: str, seed: int, dimension: int = 2, steps: int = STEPS, layers: int = LAYERS
) -> tuple[Run, Classifier]:
    """Adam on all points at once; the same points and first weights for every rerun of a seed."""
    points, classes = draw(data, POINTS, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Classifier(model, dimension, layers)
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    began = time.perf_counter()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = 0.5 * (net(points) - classes).square().mean()
        loss.backward()
        # Through fifteen layers of a free field gradients may be large: a step is not.
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        net.settle()
    seconds = time.perf_counter() - began
    sizes = getattr(net.flow, "sizes", None)
    resting = 0 if sizes is None else int((sizes().detach() == 0).sum())
    with torch.no_grad():
        new, truth = draw(data, TEST_POINTS, TEST_SEED + seed)
        accuracy = float(((net(new) > 0.5) == (truth > 0.5)).float().mean())
        loss = 0.5 * (net(points) - classes).square().mean()
    made = Run(data, model, dimension, seed, float(loss), accuracy, resting, seconds)
    return made, net
