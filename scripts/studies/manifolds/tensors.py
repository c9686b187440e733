"""A field of diffusion tensors: a bent bundle of fibres in a region that has no direction."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Ellipse
from torch import Tensor

from pnp_recon.manifolds import Flat, PositiveDefinite
from pnp_recon.manifolds.spd import exp_euclidean, log_euclidean
from pnp_recon.problems.noise import standard_normal
from scripts.protocol import save_figure
from scripts.studies.manifolds.trials import Problem, Row, Way

# Diffusivities in 10⁻³ mm²/s, weightings in 10³ s/mm².
ALONG, ACROSS, AROUND = 1.7, 0.3, 0.7
SIDE, NOISE = 24, 0.35
WEIGHTING, RECEIVER, FLOOR = 1.0, 0.05, 0.05
SPACE = PositiveDefinite()


def truth(side: int = SIDE) -> Tensor:
    """(side, side, 3, 3)."""
    place = torch.linspace(0, 1, side, dtype=torch.float64)
    x, y = place.expand(side, side), place.flip(0)[:, None].expand(side, side)
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    along = torch.stack([-angle.sin(), angle.cos(), torch.zeros_like(angle)], -1)
    outer = along[..., :, None] * along[..., None, :]
    one = torch.eye(3, dtype=torch.float64)
    bundle = ((radius > 0.5) & (radius < 0.9))[..., None, None]
    return torch.where(bundle, ACROSS * one + (ALONG - ACROSS) * outer, AROUND * one)


def log_normal(x: Tensor, seed: int) -> Tensor:
    """Normal noise in the tangent space of each tensor, in its own metric."""
    white = standard_normal(x, seed, torch.float64)
    # Of variance 1 in every direction of the symmetric matrices.
    symmetric = (white + white.mT) / 2
    factor = torch.linalg.cholesky(x)
    return SPACE.exp(x, NOISE * factor @ symmetric @ factor.mT)


def directions(count: int = 12) -> Tensor:
    """(count, 3), a spiral over the half sphere."""
    k = torch.arange(count, dtype=torch.float64)
    height, turn = 1 - (k + 0.5) / count, math.pi * (1 + math.sqrt(5)) * k
    flat = (1 - height.square()).sqrt()
    return torch.stack([flat * turn.cos(), flat * turn.sin(), height], -1)


def measured(x: Tensor, seed: int) -> Tensor:
    """Tensors fitted to signals exp(−b gᵀDg) with Rician noise; eigenvalues raised to `FLOOR`."""
    g = directions()
    signal = torch.exp(-WEIGHTING * torch.einsum("ka,...ab,kb->...k", g, x, g))
    pair = RECEIVER * standard_normal(torch.stack([signal, signal]), seed, torch.float64)
    seen = torch.hypot(signal + pair[0], pair[1])
    upper = torch.triu_indices(3, 3)
    double = torch.where(upper[0] == upper[1], 1.0, 2.0).double()
    design = WEIGHTING * double * g[:, upper[0]] * g[:, upper[1]]
    fitted = torch.einsum("pk,...k->...p", torch.linalg.pinv(design), -seen.log())
    full = torch.zeros_like(x)
    full[..., upper[0], upper[1]] = fitted
    full[..., upper[1], upper[0]] = fitted
    w, frame = torch.linalg.eigh(full)
    return (frame * w.clamp_min(FLOOR)[..., None, :]) @ frame.mT


def congruent(x: Tensor) -> Tensor:
    """Other axes and units: A ↦ BABᵀ."""
    b = torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]], dtype=torch.float64)
    moved = b @ x @ b.mT
    return (moved + moved.mT) / 2


WAYS = (
    Way("entries, as numbers", Flat(2)),
    Way("logarithms, as numbers", Flat(2), log_euclidean, exp_euclidean),
    Way("affine-invariant", SPACE),
)


def problems(side: int = SIDE) -> list[Problem]:
    field = truth(side)
    more = {
        "Frobenius": lambda x: float((x - field).square().sum((-2, -1)).mean().sqrt()),
        "log det": lambda x: float((x.logdet() - field.logdet()).mean()),
        "least": lambda x: float(torch.linalg.eigvalsh(x).min()),
    }
    return [
        Problem(name, SPACE, field, partial(draw, field), congruent, WAYS, more)
        for name, draw in (("log-normal", log_normal), ("Rician", measured))
    ]


def ellipse(place: tuple[float, float], x: Tensor, colour: Any = None) -> Ellipse:
    """The part of a tensor (3, 3) in the plane; hue is the direction, paler where it has none."""
    w, frame = torch.linalg.eigh(x[:2, :2])
    angle = math.atan2(float(frame[1, 1]), float(frame[0, 1]))
    if colour is None:
        colour = mpl.colors.hsv_to_rgb(((angle / math.pi) % 1, 1 - float(w[0] / w[1]), 0.85))
    height, width = (0.65 * w.sqrt()).tolist()
    return Ellipse(place, width, height, angle=math.degrees(angle), facecolor=colour)


def figure(problem: Problem, rows: list[Row], path: Path) -> None:
    """A corner of the field, where the bundle bends."""
    titles = ["truth", *(f"{row.way}\nerror {row.errors[0]:.3f}" for row in rows)]
    fields = [problem.truth, *(row.picture for row in rows)]
    drawn, grid = plt.subplots(1, len(fields), figsize=(2.9 * len(fields), 3.5))
    for axes, title, x in zip(grid, titles, fields, strict=True):
        part = x[4:20, 6:22] if len(x) > 20 else x
        side = len(part)
        for i in range(side):
            for j in range(side):
                axes.add_patch(ellipse((j, side - 1 - i), part[i, j]))
        axes.set(xlim=(-1, side), ylim=(-1, side), aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
    save_figure(drawn, path)


def swelling(path: Path, count: int = 9) -> None:
    """Between two thin tensors at a right angle, straight and along the geodesic."""
    one = torch.eye(3, dtype=torch.float64)
    ends = [ACROSS * one.clone() for _ in range(2)]
    ends[0][0, 0], ends[1][1, 1] = ALONG, ALONG
    t = torch.linspace(0, 1, count, dtype=torch.float64)
    pair = [end.expand(count, 3, 3) for end in ends]
    drawn, (left, right) = plt.subplots(1, 2, figsize=(8.4, 2.6), width_ratios=(2, 1))
    for row, (name, space) in enumerate((("geodesic", SPACE), ("straight", Flat(2)))):
        x = space.geodesic(*pair, t)
        for k in range(count):
            left.add_patch(ellipse((k, row), x[k], f"C{row}"))
        right.plot(t, x.det() / x[0].det(), color=f"C{row}", label=name)
    left.set(xlim=(-0.7, count - 0.3), ylim=(-0.7, 1.7), aspect="equal", xticks=[])
    left.set_yticks([0, 1], ["geodesic", "straight"])
    right.set(xlabel="t", ylabel="determinant", ylim=(0, None))
    right.legend(frameon=False, fontsize=8)
    save_figure(drawn, path)
