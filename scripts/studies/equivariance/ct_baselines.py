"""Methods without training on scans, for the CT study: FBP, total variation, certified PnP.

The photon counts weigh the rays (weighted least squares); each method's parameters are searched
on slices of `train` (`ct_data.tuning_set`), the table is of `val`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import RayTransform
from pnp_recon import reconstruct
from pnp_recon.fidelity import WeightedLeastSquares
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.scans import hounsfield_window
from pnp_recon.solvers import Stopping
from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import (
    INCIDENT,
    TEST_SETS,
    TESTING,
    read,
    scans,
    tuning_set,
)

SIDE = 128
TUNING_SLICES, TUNING_NOISE = 2, 2
GRIDS: dict[str, list[dict[str, float]]] = {
    "FBP": [{"cutoff": c} for c in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)],
    "TV": [{"strength": s} for s in (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)],
    "PnP (euler_ct)": [{"level": a, "strength": s} for a in (4, 5, 7, 10) for s in (0.5, 1.0, 2.0)],
}


def weights(A: RayTransform, y: Tensor) -> Tensor:
    """Inverse variances of measurements in the window: the photons behind each ray."""
    window = hounsfield_window()
    floor = torch.full((1, *A.image_shape), window.low, dtype=y.dtype)
    line_integrals = y * window.width + A.A(floor)
    return window.weights(INCIDENT * torch.exp(-line_integrals))


def restore(
    method: str, A: RayTransform, y: Tensor, point: dict[str, float], tol: float
) -> tuple[Tensor, dict[str, Any]]:
    if method == "FBP":
        return A.fbp(y, "hann", point["cutoff"]), {}
    fidelity = WeightedLeastSquares(A, y, weights(A, y))
    solution = reconstruct(
        y,
        A,
        "tv" if method == "TV" else "euler_ct",
        fidelity=fidelity,
        strength=point["strength"],
        stopping=Stopping(tol=tol, max_iter=1000),
        start=A.initial_guess(y).clamp(0, 1),
        denoiser_level=None if method == "TV" else point["level"] / 255,
    )
    guarantee = solution.certificate.guarantee
    return solution.image, {
        "iterations": solution.iterations,
        "status": solution.status.name,
        "averagedness": guarantee.averagedness,
    }


def record(
    rows: Rows,
    key: dict[str, Any],
    point: dict[str, float],
    A: RayTransform,
    y: Tensor,
    truth: Tensor,
    tol: float,
) -> None:
    if rows.has(**key, **point):
        return
    image, details = restore(key["method"], A, y, point, tol)
    image = image.clamp(0, 1)
    found = {"psnr": float(psnr(image, truth)), "ssim": float(ssim(image, truth))}
    rows.add(**key, **point, **found, **details)
    print(key, point, found, details, flush=True)


def best(rows: Rows, method: str) -> dict[str, float]:
    """The point with the highest mean PSNR on the tuning slices."""
    return max(GRIDS[method], key=lambda point: rows.mean("psnr", method=method, **point))


def run(data: Path, results: Path) -> None:
    tuning = Rows(results / "equivariance_ct_tuning.jsonl")
    rows = Rows(results / "equivariance_ct_baselines.jsonl")
    train = read(data, "train")
    chosen = tuning_set(train)[:: 12 // TUNING_SLICES]
    A, pairs = scans(train, chosen, SIDE, TUNING_NOISE)
    for index, number in enumerate(chosen):
        y, truth = pairs.measurements[index, None], pairs.pictures[index, None]
        for method, grid in GRIDS.items():
            for point in grid:
                key = {"slice": train.numbers[number], "method": method}
                # Total variation far from its minimum is another method: the start shows.
                record(tuning, key, point, A, y, truth, 1e-4 if method == "TV" else 1e-3)
    val = read(data, "val")
    for name, change in TEST_SETS.items():
        A, pairs = scans(change(val), list(range(len(val.numbers))), SIDE, TESTING)
        for index, number in enumerate(val.numbers):
            y, truth = pairs.measurements[index, None], pairs.pictures[index, None]
            for method in GRIDS:
                key = {"set": name, "slice": number, "method": method}
                record(rows, key, best(tuning, method), A, y, truth, 1e-5)
