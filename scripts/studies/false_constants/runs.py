"""Runs with denoisers that declare 0.99 and expand: which of them are contradicted, and by what."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from operators import Convolution, Inpainting, LinearOperator, kernels
from pnp_recon import guarantees, reconstruct
from pnp_recon.priors.denoiser import wrap
from pnp_recon.solvers import Stopping
from pnp_recon.solvers.pnp.challenge import Challenge
from pnp_recon.solvers.pnp.examining import DeclaredConstant
from scripts.studies.false_constants.maps import ALPHA, BASES, KINDS, LEVEL, SIDE

SIZES = (0.01, 0.05, 0.5)
SOLVERS = ("pnp-pgd", "pnp-hqs", "pnp-drs", "red")
ACCELERATIONS = ("none", "anderson")
PROBLEMS = ("blur", "inpainting", "denoising")
NOISE = 0.02


@dataclass(frozen=True)
class Case:
    """One run."""

    base: str
    kind: str
    size: float
    solver: str
    acceleration: str
    problem: str
    seed: int


def cases(each: int) -> list[Case]:
    """Every base, kind and size, `each` times: solvers, accelerations and problems take turns.

    A size of zero is the twin, whose declaration is true.
    """
    ways = [(s, a, p) for s in SOLVERS for a in ACCELERATIONS for p in PROBLEMS]
    found: list[Case] = []
    for base in BASES:
        for kind in KINDS:
            for size in (0.0, *SIZES):
                if size == 0 and kind == "turned":
                    continue  # u and v overlap with the rest of the map: true up to 0.1 % only
                for _ in range(each):
                    # 7 and 24 have no common factor: all ways come before one comes again.
                    way = ways[7 * len(found) % len(ways)]
                    found.append(Case(base, kind, size, *way, seed=len(found)))
    return found


def picture(seed: int) -> Tensor:
    """A picture (1, 1, SIDE, SIDE) of blocks on a ramp."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand(1, 1, 6, 6, generator=generator).repeat_interleave(SIDE // 6, 2)
    ramp = torch.linspace(0, 1, SIDE)[:, None]
    return 0.75 * blocks.repeat_interleave(SIDE // 6, 3) + 0.25 * ramp


def operator(problem: str, seed: int) -> LinearOperator:
    if problem == "blur":
        return Convolution(kernels.gaussian(1.5, 7), (1, SIDE, SIDE), "circular")
    mask = torch.ones(1, SIDE, SIDE)
    if problem == "inpainting":
        generator = torch.Generator().manual_seed(seed)
        mask = (torch.rand(1, SIDE, SIDE, generator=generator) < 0.5).float()
    return Inpainting(mask)


@dataclass
class Watch:
    """What the challenge of a run cost, and what it found."""

    seconds: float = 0.0
    challenge: Challenge | None = None


@contextmanager
def watched() -> Iterator[Watch]:
    """Times the challenges of the runs inside."""
    watch, confronted = Watch(), DeclaredConstant._confronted

    def timed(self: DeclaredConstant, *given: Any, **named: Any) -> DeclaredConstant:
        begin = time.perf_counter()
        found = confronted(self, *given, **named)
        watch.seconds += time.perf_counter() - begin
        watch.challenge = found.challenge
        return found

    with patch.object(DeclaredConstant, "_confronted", timed):
        yield watch


def measure(case: Case, max_iter: int = 100) -> dict[str, Any]:
    """The row of a run: contradicted by the iterates' laws, by the challenge, and the cost."""
    function = KINDS[case.kind](BASES[case.base], case.size, case.seed)
    declared = guarantees.averaged(ALPHA, "declared in a study")
    denoiser = wrap(lambda x, sigma: function(x), case.base, declared)
    A = operator(case.problem, case.seed)
    generator = torch.Generator().manual_seed(case.seed)
    y = A.A(picture(case.seed))
    y = y + NOISE * torch.randn(y.shape, generator=generator)
    begin = time.perf_counter()
    with watched() as watch:
        solution = reconstruct(
            y,
            A,
            denoiser,
            noise_level=NOISE,
            strength=1,
            solver=case.solver,
            acceleration=case.acceleration,
            denoiser_level=LEVEL,
            stopping=Stopping(max_iter=max_iter),
        )
    seconds = time.perf_counter() - begin
    challenge = watch.challenge
    assert challenge is not None
    assert challenge.worst is not None
    laws = [item for item in solution.certificate.observed if item.law != challenge.words]
    assert len(laws) + 1 == len(solution.certificate.observed)
    return {
        **vars(case),
        "iterations": solution.iterations,
        "status": solution.status.name,
        "laws": any(not item.passed for item in laws),
        "challenge": float(challenge.worst.max()) > 1,
        "ratio": round(float(challenge.worst.max()), 6),
        "pairs": challenge.pairs,
        "calls": challenge.calls,
        "seconds": round(seconds, 3),
        "share": round(watch.seconds / seconds, 3),
    }
