"""Gradients by costates against back-propagation, with the right partner of a tableau or not."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

import torch
from torch import Tensor

from pnp_recon.networks.flows.fields import LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.tableaux import TABLEAUX
from pnp_recon.problems.noise import standard_normal
from pnp_recon.training.control import gradients


def loss(z: Tensor) -> Tensor:
    return (z - 1).square().sum()


def distance(method: str) -> float:
    """Relative, of the gradient by all weights of six layers in three dimensions, float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = Flow([LayerField(3) for _ in range(6)], method, [0.5] * 6).double()
    x = standard_normal(torch.zeros(10, 3, dtype=torch.float64), 0)
    found = gradients.costates(flow, x, loss)
    plain = torch.autograd.grad(loss(flow(x)), list(flow.parameters()))
    difference = [a - b for a, b in zip(found.parameters.values(), plain, strict=True)]
    return float(_flat(difference).norm() / _flat(list(plain)).norm())


WEIGHTED = tuple(name for name, made in TABLEAUX.items() if all(made.weights))


def table(names: Sequence[str] = WEIGHTED) -> list[tuple[str, float, float]]:
    """Tableau, distance with its partner, distance with the tableau itself in its place."""
    rows = []
    for name in names:
        with mock.patch.object(gradients, "partner", lambda tableau: tableau.matrix):
            wrong = distance(name)
        rows.append((name, distance(name), wrong))
    return rows


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
