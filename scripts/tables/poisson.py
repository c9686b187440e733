"""Counts under a blur: Kullback–Leibler against weighted and plain least squares.

    python -m scripts.tables.poisson > docs/results/poisson.md

Two crops of the bundled photographs are blurred, scaled to a peak and counted, with a little
background. Every row is a run with its automatic settings.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from torch import Tensor

from operators import Convolution
from operators.kernels import linear_motion
from pnp_recon import reconstruct
from pnp_recon.fidelity import Fidelity, KullbackLeibler, WeightedLeastSquares
from pnp_recon.pictures import read_picture
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import table_counts
from pnp_recon.solvers import Stopping

SAMPLES = Path("data/samples")
CROPS = (("camera.png", 150, 200), ("coffee.png", 120, 180))
SIDE, PEAKS, BACKGROUND = 96, (50.0, 200.0), 1.0
METHODS = (
    ("total variation", "tv", "auto"),
    ("PnP-HQS, euler_grey", "euler_grey", "pnp-hqs"),
    ("PnP-PGD, euler_grey", "euler_grey", "pnp-pgd"),
    ("descent, energy_grey", "energy_grey", "auto"),
)
FIDELITIES = ("Kullback–Leibler", "weighted least squares", "least squares")


def crop(name: str, row: int, column: int) -> Tensor:
    pixels = read_picture(SAMPLES / name).pixels[..., row : row + SIDE, column : column + SIDE]
    return pixels.mean(1, keepdim=True).float()


def run(x: Tensor, peak: float, fidelity: str, prior: str, solver: str) -> tuple[float, float]:
    """PSNR in dB, and CPU seconds."""
    blur = Convolution(linear_motion(9, 30).to(x), (1, SIDE, SIDE), boundary="circular")
    A = peak * blur
    y = table_counts(0)(A.A(x) + BACKGROUND).float()
    start = ((y - BACKGROUND) / peak).clamp(0, 1)
    held: Fidelity | None = None
    level = None
    if fidelity == FIDELITIES[0]:
        held, data = KullbackLeibler(A, y, BACKGROUND), y
    else:
        data = y - BACKGROUND
        if fidelity == FIDELITIES[1]:
            held = WeightedLeastSquares(A, data, 1 / y.clamp_min(1))
        else:
            level = float(y.mean()) ** 0.5
    begin = time.process_time()
    solution = reconstruct(
        data,
        A,
        prior,
        solver=solver,
        fidelity=held,
        noise_level=level,
        start=start,
        stopping=Stopping(max_iter=400, time_limit=120),
    )
    return float(psnr(solution.image, x)), time.process_time() - begin


def main() -> None:
    torch.set_num_threads(1)
    pictures = [crop(*where) for where in CROPS]
    print("# Counts under a blur\n")
    print(f"Mean PSNR in dB and CPU seconds over {len(pictures)} crops of {SIDE}² pixels, motion")
    print(f"of 9 pixels, background {BACKGROUND:g}, automatic settings; `{__spec__.name}`.\n")
    heads = [f"peak {peak:g}" for peak in PEAKS]
    print("| prior | fidelity | " + " | ".join(heads) + " |")
    print("|---|---|" + "---|" * len(PEAKS))
    for name, prior, solver in METHODS:
        for fidelity in FIDELITIES:
            cells = []
            for peak in PEAKS:
                found = [run(x, peak, fidelity, prior, solver) for x in pictures]
                quality, seconds = (statistics.mean(column) for column in zip(*found, strict=True))
                cells.append(f"{quality:.2f} ({seconds:.0f} s)")
            print(f"| {name} | {fidelity} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
