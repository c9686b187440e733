"""Independent components by orthonormal matrices: three signals, mixed, found again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor, nn

from pnp_recon.training.structured.orthogonal import Mec, Stiefel, defect, orthonormalise
from scripts.protocol import save_figure

SAMPLES, STEPS = 2000, 300


def mixture(whitened: bool = True) -> tuple[Tensor, Tensor]:
    """Seen signals (3, N), and the matrix that mixed them, both whitened or both as mixed.

    A sine, a saw tooth and uniform noise: all with less than normal kurtosis.
    """
    draws = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, SAMPLES, dtype=torch.float64)
    noise = torch.rand(SAMPLES, dtype=torch.float64, generator=draws)
    sources = torch.stack([torch.sin(2 * math.pi * 13 * t), (31 * t) % 1, noise])
    sources = sources - sources.mean(1, keepdim=True)
    sources = sources / sources.std(1, keepdim=True)
    mixing = torch.tensor([[1.0, 0.6, 0.3], [0.4, 1.0, -0.5], [-0.3, 0.5, 1.0]]).double()
    seen = mixing @ sources
    if not whitened:
        return seen, mixing
    values, vectors = torch.linalg.eigh(seen @ seen.T / SAMPLES)
    whitening = (vectors / values.sqrt()) @ vectors.T
    return whitening @ seen, whitening @ mixing


def contrast(u: Tensor, seen: Tensor) -> Tensor:
    """¼ΣE y⁴ of y = Uᵀx: least where y are the sources, if these have less than normal kurtosis.

    Source: Delfosse & Loubaton 1995, for each component; Comon 1994.
    """
    return (u.mT @ seen).pow(4).mean(1).sum() / 4


def crosstalk(u: Tensor, mixing: Tensor) -> float:
    """Largest share of a second source in a component, 0 where all are recovered."""
    shares = (u.mT @ mixing).abs().sort(dim=1, descending=True).values
    found = (u.mT @ mixing).abs().argmax(1)
    if len(found.unique()) < len(found):
        return 1.0
    return float((shares[:, 1] / shares[:, 0]).max())


class Factor(nn.Module):
    """A matrix by torch's parametrisation with orthogonal matrices."""

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(first.clone())
        nn.utils.parametrizations.orthogonal(self, orthogonal_map="cayley")
        self.weight = first


Made = Callable[[Tensor], tuple[Callable[[], Tensor], torch.optim.Optimizer]]


def _own(make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> Made:
    def made(first: Tensor) -> tuple[Callable[[], Tensor], torch.optim.Optimizer]:
        u = first.clone().requires_grad_()
        return lambda: u, make([u])

    return made


def _parametrised(first: Tensor) -> tuple[Callable[[], Tensor], torch.optim.Optimizer]:
    factor = Factor(first)
    return lambda: factor.weight, torch.optim.SGD(factor.parameters(), 0.1)


METHODS: dict[str, Made] = {
    "Euclidean gradient, h = 0.1": _own(lambda u: torch.optim.SGD(u, 0.1)),
    "Stiefel, exp, h = 0.1": _own(lambda u: Stiefel(u, 0.1, "exp")),
    "Stiefel, Cayley, h = 0.1": _own(lambda u: Stiefel(u, 0.1, "cayley")),
    "Stiefel, QR, h = 0.1": _own(lambda u: Stiefel(u, 0.1, "qr")),
    "torch's parametrisation, SGD, h = 0.1": _parametrised,
    "MEC, h = 0.3, γ = 1": _own(lambda u: Mec(u, 0.3, 1.0)),
}


def run(made: Made, steps: int) -> tuple[list[float], list[float], float]:
    """Contrast and defect before each step, and the crosstalk after all."""
    seen, mixing = mixture()
    first = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    orthonormalise(first)
    current, optimiser = made(first)
    values, defects = [], []
    for _ in range(steps):
        optimiser.zero_grad()
        value = contrast(current(), seen)
        value.backward()
        values.append(float(value.detach()))
        defects.append(defect(current()))
        optimiser.step()
    return values, defects, crosstalk(current().detach(), mixing)


def study(steps: int, image: Path) -> str:
    """All methods from one start; draws contrast and defect, and returns the page."""
    found = {name: run(made, steps) for name, made in METHODS.items()}
    settled = min(values[-1] for name, (values, _, _) in found.items() if "Euclid" not in name)
    drawn, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    lines = [
        "# Independent components by orthonormal matrices",
        "",
        "A sine, a saw tooth and uniform noise, mixed and whitened; ¼ΣE y⁴ of y = Uᵀx is made "
        f"small over U with UᵀU = I from one start, {steps} steps. Steps until the contrast is "
        "within 10⁻⁶ of the least that a method found, the largest entry of UᵀU − I over all "
        "steps, and the largest share of a second source in a component. A demonstration. From "
        "`python -m scripts.studies.optimisers ica`.",
        "",
        "| method | steps | defect | crosstalk |",
        "|---|---|---|---|",
    ]
    for k, (name, (values, defects, mixed)) in enumerate(found.items()):
        reached = next((n for n, value in enumerate(values) if value < settled + 1e-6), None)
        count = "–" if "Euclid" in name or reached is None else str(reached)
        lines.append(f"| {name} | {count} | {max(defects):.1e} | {mixed:.3f} |")
        if "Euclid" not in name:
            left.semilogy([max(value - settled, 1e-16) for value in values], f"C{k}", lw=1.2)
        right.semilogy([max(value, 1e-17) for value in defects], f"C{k}", label=name, lw=1.2)
    left.set(xlabel="step", ylabel="contrast above its least", ylim=(1e-12, None), xlim=(0, 80))
    right.set(xlabel="step", ylabel="largest entry of |UᵀU − I|")
    right.legend(frameon=False, fontsize=7)
    save_figure(drawn, image)
    return "\n".join([*lines, ""])
