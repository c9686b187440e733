"""Phases as a radar interferometer has them: a ramp that wraps, a bowl, a fault; and a tame one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from pnp_recon.manifolds import Circle, Flat
from pnp_recon.manifolds.circle import phase
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import save_figure
from scripts.studies.manifolds.trials import Problem, Row, Way

SIDE, NOISE = 64, 0.7
TAME = 0.1  # of the angles of the wrapped picture, and of its noise


def angles(side: int = SIDE) -> Tensor:
    """True angles (side, side) in radians, not wrapped."""
    x = torch.linspace(0, 1, side, dtype=torch.float64).expand(side, side)
    y = x.T
    bowl = 5 * torch.exp(-((x - 0.35) ** 2 + (y - 0.4) ** 2) / 0.03)
    fault = 2.0 * (y > 0.55 + 0.3 * x)
    return 7 * x + 4 * y + bowl + fault - 6


def noisy(truth: Tensor, level: float, seed: int) -> Tensor:
    """Wrapped normal noise."""
    return truth * phase(level * standard_normal(truth.real, seed, torch.float64))


def shifted(x: Tensor) -> Tensor:
    """A constant is added to all angles."""
    return x * phase(torch.tensor(3.0, dtype=torch.float64))


def as_vectors(x: Tensor) -> Tensor:
    return torch.view_as_real(x)


def from_vectors(x: Tensor) -> Tensor:
    z = torch.view_as_complex(x.contiguous())
    return z / z.abs()


WAYS = (
    Way("raw angles, as numbers", Flat(), torch.angle, phase),
    Way("complex numbers, then normalised", Flat(1), as_vectors, from_vectors),
    Way("on the circle", Circle()),
)


def problems(side: int = SIDE) -> list[Problem]:
    wrapped, tame = phase(angles(side)), phase(TAME * angles(side))
    circle = Circle()
    return [
        Problem("wrapped", circle, wrapped, partial(noisy, wrapped, NOISE), shifted, WAYS),
        Problem("half circle", circle, tame, partial(noisy, tame, TAME * NOISE), shifted, WAYS),
    ]


def figure(problem: Problem, rows: list[Row], path: Path) -> None:
    """Colour is the phase; below it, the error of each way."""
    titles = ["truth", *(row.way for row in rows)]
    fields = [problem.truth, *(row.picture for row in rows)]
    widths = [1.0] * len(fields) + [0.06]
    size = (2.2 * len(fields) + 0.8, 4.9)
    drawn, grid = plt.subplots(2, len(widths), figsize=size, width_ratios=widths)
    for column, (title, x) in enumerate(zip(titles, fields, strict=True)):
        top, below = grid[0, column], grid[1, column]
        hue = top.imshow(x.angle().numpy(), cmap="twilight", vmin=-torch.pi, vmax=torch.pi)
        top.set_title(title.replace(", ", ",\n"), fontsize=9)
        error = problem.space.distance(x, problem.truth)
        amount = below.imshow(error.numpy(), cmap="magma", vmin=0, vmax=1.5)
        below.set_title(f"error {problem.error(x):.3f}" if column else "", fontsize=9)
        for axes in (top, below):
            axes.set(xticks=[], yticks=[])
    drawn.colorbar(hue, cax=grid[0, -1], label="phase", ticks=[-3, 0, 3])
    drawn.colorbar(amount, cax=grid[1, -1], label="error in radians")
    grid[1, 0].set_visible(False)
    save_figure(drawn, path)
