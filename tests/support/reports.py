"""A run as a report sees it, made up of plain values: nothing is computed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from operators.base import LinearOperator
from pnp_recon import guarantees
from pnp_recon.contracts import PriorRecord
from pnp_recon.report import KernelRecord, Quality, Run, SourceFile
from pnp_recon.solvers import Certificate, Constant, History, Observation, Solution, Status
from pnp_recon.solvers.core.theorem import AveragedMap, Basis, Premise, unproven

ITERATIONS = 40


class Identity(LinearOperator):
    """A picture is its own measurement."""

    def __init__(self) -> None:
        super().__init__("identity", (1, 24, 32), (1, 24, 32), nonnegative=True)

    def _forward_map(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def _transpose_map(self, y: torch.Tensor) -> torch.Tensor:
        return y


def certificate(kind: str) -> Certificate:
    """ "good", "failed" (a law is broken) or "none" (nothing is proven)."""
    if kind == "none":
        return Certificate(unproven("denoiser <b>x</b> declares no constant"))
    passed = Observation("the residual never increases", 0.99, 1.0)
    broken = Observation("the residual stays below its bound", 7.0, 1.0)
    theorem = AveragedMap(
        "PnP-DRS: the iterates converge (Krasnosel'skii–Mann)",
        guarantees.averaged(0.5, "composition"),
        (Constant("‖A‖", 1.0, "exact"), Constant("odd", math.nan, "not known")),
        (Premise("the adjoint is the transpose"), Premise("residuals fall", Basis.CHECKED)),
    )
    return Certificate(theorem, (passed, broken) if kind == "failed" else (passed,))


def make_run(kind: str = "good", **changes: Any) -> Run:
    """A run of a few pixels with a `certificate` of a kind, and `changes` of its fields."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 1, 24, 32, generator=generator)
    steps = range(1, ITERATIONS + 1)
    history = History(
        residuals=[[2.0 / k**1.5] for k in steps],
        norms=[[10.0] for _ in steps],
        errors=[[0.0] for _ in steps],
        bounds=[] if kind == "none" else [[5.0 / math.sqrt(k)] for k in steps],
        checked=[20, 40],
        seconds=[0.1, 0.2],
    )
    solution = Solution(
        picture, Status.CONVERGED, certificate(kind), history, "pnp-drs", {"gamma": 50.0}
    )
    base = Run(
        solution=solution,
        operator=Identity(),
        denoiser=PriorRecord("denoiser", "plain", guarantees.firm("identity")),
        degraded=0.5 * picture + 0.2,
        restored=picture,
        reference=picture.clone(),
        kernel=KernelRecord(
            torch.full((3, 5), 1 / 15), "motion", "estimated", {"length": 5.0}, 0.4, "spectrum"
        ),
        noise_level=0.01,
        boundary="valid",
        files=(SourceFile("input", Path("a <script>.png"), "0" * 64, (1, 24, 32), 8),),
        before=Quality(20.0, 0.5),
        after=Quality(math.inf, 1.0),
        psnr_track=((20, 25.0), (40, 26.0)),
        timings={"reconstruct": 0.2},
    )
    return replace(base, **changes)
