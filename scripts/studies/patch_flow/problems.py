"""The few problems of the study: grey crops with camera shake, CT slices of 60 views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import Convolution, LinearOperator, kernels
from pnp_recon import reconstruct
from pnp_recon.datasets.splits import bsd68, validation_pictures
from pnp_recon.problems.noise import validation_generator
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import Stopping
from pnp_recon.solvers.tuning import total_variation_weight
from scripts.protocol import crop
from scripts.tables.ct import Slice, slices

SIDE, LEVELS = 96, (2.55, 7.65)
TUNED_ON, MEASURED_ON = 2, 5
SLICES_TUNED, SLICES_MEASURED = 1, 2
# TV far from its minimum is another method: the start shows through.
TOL, TOL_TV, STEPS = 1e-3, 1e-5, 60


@dataclass(frozen=True, eq=False)
class Case:
    """One measurement with its truth; `noise` as the table says it."""

    problem: str
    noise: float
    picture: str
    A: LinearOperator
    y: Tensor
    truth: Tensor
    noise_level: float
    start: Tensor | None = None

    @property
    def key(self) -> dict[str, Any]:
        return {"problem": self.problem, "noise": self.noise, "picture": self.picture}

    def solve(self, prior: Any, strength: float) -> Any:
        """The solution with a learned prior by its own solver, or with TV where it is None."""
        stopping = Stopping(tol=TOL, max_iter=STEPS)
        if prior is None:
            weight = strength * total_variation_weight(self.noise_level, self.A.norm_bound)
            held = TotalVariation(weight, box=(0, 1))
            stopping = Stopping(tol=TOL_TV, max_iter=3000)
            return reconstruct(self.y, self.A, held, stopping=stopping, start=self.start)
        return reconstruct(
            self.y, self.A, prior, noise_level=self.noise_level, strength=strength,
            stopping=stopping, start=self.start,
        )  # fmt: skip


def deblurring_cases(folder: Path, tuned: bool) -> list[list[Case]]:
    """Central crops under a camera shake, circular; of BSD68, or of val without it to tune on."""
    paths = (
        validation_pictures(folder)[:: 32 // TUNED_ON]
        if tuned
        else bsd68(folder)[:: 68 // MEASURED_ON]
    )
    paths = paths[: TUNED_ON if tuned else MEASURED_ON]
    found = []
    for noise in LEVELS:
        group = []
        for index, path in enumerate(paths):
            x = crop(path, SIDE, grey=True).float()
            A = Convolution(kernels.trajectory(25, 0), x.shape[1:], boundary="circular")
            drawn = torch.randn(x.shape, generator=validation_generator(index))
            y = A.A(x) + noise / 255 * drawn
            group.append(Case("deblurring", noise, path.stem, A, y, x, noise / 255))
        found.append(group)
    return found


def ct_cases(archive: Path, tuned: bool) -> list[list[Case]]:
    """Scans of scripts/tables/ct.py: its slices to tune on, the first ones of its table."""
    chosen = slices(archive, "train" if tuned else "val")
    count = SLICES_TUNED if tuned else SLICES_MEASURED
    group = []
    for index, values in chosen[:: max(1, len(chosen) // count)][:count]:
        scan = Slice(values, index)
        start = scan.A.initial_guess(scan.y).clamp(0, 1)
        group.append(Case("CT", 1.0, str(index), scan.A, scan.y, scan.u, scan.noise, start))
    return [group]
