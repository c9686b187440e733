"""How far reconstructions leave the total of their data, and what it costs to keep it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from operators import kernels, parallel_beam
from pnp_recon import reconstruct
from pnp_recon.kspace.phantom import head
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import benchmark_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import benchmark_tomography, deblurring
from pnp_recon.solvers import Stopping
from scripts.protocol import ROOT, crop

SIDE, SIGMA = 64, 7.65 / 255
PICTURES = ("camera", "chelsea", "coffee")
SCANS = {"scan, 60 views, 1 % noise": (60, 0.01), "scan, 15 views, 5 % noise": (15, 0.05)}
PRIORS = ("energy_grey", "ridge_grey", "tv", "euler_grey")
# Those that run again with `keep_total`.
KEPT = ("energy_grey", "euler_grey")


@dataclass(frozen=True)
class Row:
    """One reconstruction.

    Attributes:
        off: |Σ A x − Σ y| in standard deviations of the noise of Σ y.
        mean: the same as a part of Σ y.
        psnr: of the picture in [0, 1].
    """

    problem: str
    prior: str
    off: float
    mean: float
    psnr: float


def problems(side: int = SIDE) -> Iterator[tuple[str, Problem]]:
    """Three pictures under a motion blur, and a head phantom scanned twice."""
    for index, name in enumerate(PICTURES):
        x = crop(ROOT / "data/samples" / f"{name}.png", side, grey=True).float()
        draw = benchmark_noise(SIGMA, index)
        yield name, deblurring(x, kernels.linear_motion(15, 30), SIGMA, draw)
    for name, (views, share) in SCANS.items():
        yield name, benchmark_tomography(head(side), parallel_beam(views, side), share, 0)


def measured(quick: bool = False) -> list[Row]:
    """Every prior on every problem, and those of `KEPT` again with the total kept."""
    rows = []
    for name, problem in problems(24 if quick else SIDE):
        for prior in ("euler_grey",) if quick else PRIORS:
            rows.append(_row(name, problem, prior, False, quick))
            if prior in KEPT:
                rows.append(_row(name, problem, prior, True, quick))
    return rows


def _row(name: str, problem: Problem, prior: str, keep: bool, quick: bool) -> Row:
    stopping = Stopping(1e-4, 3 if quick else 100)
    given = {"noise_level": problem.noise_level, "strength": 1.0, "stopping": stopping}
    found = reconstruct(problem.y, problem.A, prior, keep_total=keep, **given)  # type: ignore[arg-type]
    total = float(problem.y.double().sum())
    off = abs(float(problem.A.A(found.image.double()).sum()) - total)
    assert problem.noise_level is not None
    assert problem.truth is not None
    deviation = problem.noise_level * math.sqrt(problem.y.numel())
    quality = float(psnr(found.image.clamp(0, 1), problem.truth.to(torch.float32)))
    words = f"{prior}, keep_total" if keep else prior
    return Row(name, words, off / deviation, off / total, quality)


def lines(rows: list[Row]) -> list[str]:
    """The table."""
    head_line = "| problem | prior | off, in noise | off, of the total | PSNR |"
    made = [head_line, "|---|---|---|---|---|"]
    made += [
        f"| {row.problem} | {row.prior} | {row.off:.2g} | {row.mean:.1e} | {row.psnr:.2f} |"
        for row in rows
    ]
    return made
