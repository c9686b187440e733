"""The oscillator q̇ = p, ṗ = −q: its energy by five methods, over many steps."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from pnp_recon.networks.flows.registry import integrator
from pnp_recon.networks.flows.separable import SecondOrderField
from scripts.protocol import save_figure

STEP, COUNT = 0.1, 100_000
METHODS = ("euler", "symplectic_euler", "stormer_verlet", "implicit_midpoint")


def field() -> SecondOrderField:
    made = SecondOrderField(2, 1, "identity").double().requires_grad_(False)
    made.weight.fill_(1.0)
    return made


def matrix(method: str, h: float = STEP) -> np.ndarray:
    """One step, which is linear: (2, 2)."""
    with torch.no_grad():
        columns = integrator(method).step(field(), torch.eye(2).double(), h)
    return columns.T.numpy()


def energies(method: str, count: int = COUNT, h: float = STEP) -> np.ndarray:
    """(q² + p²)/(q₀² + p₀²) at the beginning and after each step, from (1, 0); (count + 1,)."""
    step, x = matrix(method, h), np.array([1.0, 0.0])
    found = np.empty(count + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(count + 1):
            found[k] = x @ x
            x = step @ x
    return found


def portrait(method: str, count: int = 120) -> Tensor:
    """Points (count + 1, 2) from (1, 0)."""
    points, made = [torch.tensor([1.0, 0.0]).double()], integrator(method)
    with torch.no_grad():
        for _ in range(count):
            points.append(made.step(field(), points[-1], STEP))
    return torch.stack(points)


def figure(path: Path) -> None:
    drawn, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for method in METHODS:
        left.plot(energies(method, 300), label=method)
        right.plot(*portrait(method).T.numpy(), lw=1)
    left.set(xlabel="step, h = 0.1", ylabel="energy, against its first value", ylim=(0.8, 2))
    left.legend(frameon=False, fontsize=8)
    right.set(xlabel="q", ylabel="p", aspect="equal")
    save_figure(drawn, path)
