"""Gradients through 64 layers: a plain network, a gradient flow, and a symplectic one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from pnp_recon.networks.flows.fields import Field, GradientField, LayerField
from pnp_recon.networks.flows.flow import Flow
from pnp_recon.networks.flows.separable import SymplecticField
from scripts.protocol import save_figure

LAYERS, DIMENSION, STEP = 64, 8, 0.1
Layer = Callable[[Tensor], Tensor]


def networks(layers: int = LAYERS, seed: int = 0) -> dict[str, list[Layer]]:
    """Layers with random weights, as a training begins with, all tanh, in float64."""
    made: dict[str, list[Layer]] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain = [LayerField(DIMENSION).double() for _ in range(layers)]
        for field in plain:  # the usual first weights of a linear layer
            torch.nn.init.kaiming_uniform_(field.weight, a=5**0.5)
        made["plain network, σ(Wx + b)"] = [*plain]
        made["gradient flow, Euler"] = stepped(
            [GradientField(DIMENSION, None, "tanh") for _ in range(layers)], "euler"
        )
        made["symplectic network"] = stepped(
            [SymplecticField(DIMENSION) for _ in range(layers)], "symplectic_euler"
        )
    return made


def stepped(fields: list[Field], method: str) -> list[Layer]:
    return [Flow([field.double()], method, [STEP]) for field in fields]


def stability(layers: list[Layer], x: Tensor) -> Tensor:
    """‖∂x^L/∂x^j‖₂ for j = 0 … L, (L + 1,), the last one 1."""
    points = [x]
    with torch.no_grad():
        for layer in layers:
            points.append(layer(points[-1]))
    product = torch.eye(len(x), dtype=x.dtype)
    norms = [1.0]
    for layer, (before, _) in zip(reversed(layers), reversed(list(pairwise(points))), strict=True):
        slopes = torch.autograd.functional.jacobian(layer, before)
        assert isinstance(slopes, Tensor)
        product = product @ slopes
        norms.append(float(torch.linalg.matrix_norm(product, 2)))
    return torch.tensor(norms[::-1], dtype=torch.float64)


def measured(layers: int = LAYERS) -> dict[str, Tensor]:
    """The norms by network, from one point."""
    x = torch.linspace(-1, 1, DIMENSION, dtype=torch.float64)
    return {name: stability(made, x) for name, made in networks(layers).items()}


def figure(found: dict[str, Tensor], path: Path) -> None:
    drawn, axes = plt.subplots(figsize=(5.4, 3.4))
    for name, norms in found.items():
        axes.semilogy(norms, label=name)
    axes.set(xlabel="layer j", ylabel="‖∂x^L/∂x^j‖")
    axes.legend(frameon=False, fontsize=8)
    save_figure(drawn, path)
