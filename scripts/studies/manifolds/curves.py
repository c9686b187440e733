"""A rotation that changes with time, with a jump: as a joint of a moving body has it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from pnp_recon.manifolds import Flat, Rotations
from pnp_recon.manifolds.rotations import product
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import save_figure
from scripts.studies.manifolds.trials import Problem, Row, Way

COUNT, NOISE = 200, 0.3
SPACE = Rotations()
ONE = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)


def truth(count: int = COUNT) -> Tensor:
    """(1, count, 4): a turn about an axis that leans, and a jump of 1.5 in the middle."""
    t = torch.linspace(0, 1, count, dtype=torch.float64)[None]
    zero = torch.zeros_like(t)
    lean = SPACE.exp(ONE.expand(1, count, 4), torch.stack([0.8 * torch.sin(3 * t), zero, zero], -1))
    jump = torch.where(t > 0.5, 1.5, 0.0)
    return SPACE.exp(lean, torch.stack([zero, 0.5 * jump, 5 * t + jump], -1))


def noisy(x: Tensor, seed: int) -> Tensor:
    return SPACE.exp(x, NOISE * standard_normal(x[..., 1:], seed, torch.float64))


def turned(x: Tensor) -> Tensor:
    """Seen from elsewhere: Q ↦ PQ."""
    p = torch.tensor([0.0, 0.6, 0.8, 0.0], dtype=torch.float64)
    return product(p.expand_as(x), x)


def upright(x: Tensor) -> Tensor:
    """Of q and −q the one with w ≥ 0, as files have it."""
    return torch.where(x[..., :1] < 0, -x, x)


def vectors(x: Tensor) -> Tensor:
    """Rotation vectors from the identity."""
    return SPACE.log(ONE.expand_as(x), x)


def from_vectors(v: Tensor) -> Tensor:
    return SPACE.exp(ONE.expand(*v.shape[:-1], 4), v)


def normalised(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


WAYS = (
    Way("rotation vectors, as numbers", Flat(1), vectors, from_vectors),
    Way("quaternions, then normalised", Flat(1), upright, normalised),
    Way("on SO(3)", SPACE),
)


def problems(count: int = COUNT) -> list[Problem]:
    x = truth(count)
    return [Problem("rotations", SPACE, x, partial(noisy, x), turned, WAYS)]


def figure(problem: Problem, rows: list[Row], path: Path) -> None:
    """The error over time, and the rotation as rotation vectors."""
    drawn, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    for name, x, style in (
        ("noisy", rows[0].picture, {"lw": 0, "marker": ".", "ms": 2}),
        ("truth", problem.truth, {"lw": 1}),
    ):
        for axis, part in enumerate(vectors(x)[0].T):
            left.plot(part, color=f"C{axis}", label=name if axis == 0 else None, **style)
    left.set(xlabel="time", ylabel="rotation vector", title="truth, and with noise")
    for row in rows[1:]:
        right.plot(problem.space.distance(row.picture, problem.truth)[0], label=row.way, lw=1)
    right.set(xlabel="time", ylabel="error in radians", title="error")
    right.legend(frameon=False, fontsize=8)
    save_figure(drawn, path)
