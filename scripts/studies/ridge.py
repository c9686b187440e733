"""What a ridge costs that makes deblurring a contraction, in dB, and what it proves.

    python -m scripts.studies.ridge --data BSDS500

Grey 128² crops of three validation pictures, camera shake, σ·255 = 7.65, circular borders,
pnp-hqs with euler_grey at its automatic choice; ridges about mid-grey, and about black, whose
weight gives q = 1/(1 + γm) ≤ 0.999, 0.99 and 0.95, and 0.8 and 0.5 to see where a price begins.
Writes docs/results/ridge.jsonl, and prints the table of docs/theory.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from operators import kernels
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.fidelity import LeastSquares, Ridged
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import table_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Solution, Stopping
from scripts.protocol import RESULTS, Rows, crop

NOISE, SIDE, PICTURES = 7.65, 128, 3
RATES = (None, 0.999, 0.99, 0.95, 0.8, 0.5)
# About the middle of the range, and about black.
CENTERS = (0.5, 0.0)
TOL = 1e-5


def weight_for(rate: float, gamma: float) -> float:
    """The ridge with 1/(1 + γm) = rate."""
    return (1 / rate - 1) / gamma


def run(problem: Problem, rate: float | None, center: float, acceleration: str) -> Solution:
    """pnp-hqs with the coupling of the run without a ridge, so that the ridge alone differs."""
    denoiser = load_denoiser("euler_grey")
    options = {"noise_level": problem.noise_level, "solver": "pnp-hqs", "strength": 1}
    stopping = Stopping(TOL, 20000)
    plain = reconstruct(problem.y, problem.A, denoiser, stopping=Stopping(TOL, 1), **options)
    gamma, level = (plain.parameters[key] for key in ("gamma", "denoiser_level"))
    fidelity = LeastSquares(problem.A, problem.y)
    return reconstruct(
        problem.y,
        problem.A,
        denoiser,
        fidelity=fidelity
        if rate is None
        else Ridged(fidelity, weight_for(rate, gamma) * (1 + 1e-9), center),
        gamma=gamma,
        denoiser_level=level,
        acceleration=acceleration,
        stopping=stopping,
        solver="pnp-hqs",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="BSDS500")
    parser.add_argument("--output", type=Path, default=RESULTS / "ridge.jsonl")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(given.output)
    paths = validation_pictures(given.data)[:: 32 // PICTURES][:PICTURES]
    for index, path in enumerate(paths):
        x = crop(path, SIDE, grey=True)
        kernel = kernels.trajectory(25, 0)
        problem = deblurring(x, kernel, NOISE / 255, table_noise(NOISE, index))
        for rate in RATES:
            for center in CENTERS if rate is not None else CENTERS[:1]:
                for acceleration in ("none", "anderson"):
                    key = {"rate": rate, "center": center, "acceleration": acceleration}
                    if not rows.has(picture=path.stem, **key):
                        found = run(problem, rate, center, acceleration)
                        rows.add(picture=path.stem, **key, **facts(found, x))
    print(table(rows))


def facts(found: Solution, x: torch.Tensor) -> dict[str, object]:
    """What a row says of a run."""
    bar, history = found.certificate.theorem.error_bar, found.history
    wide = None
    if bar is not None:
        wide = bar.bar(
            history.residuals[-1][0],
            history.errors[-1][0],
            x.numel(),
            norm=history.norms[-1][0],
            precision=torch.finfo(x.dtype).eps,
        ).rms_255
    return {
        "q": None if bar is None else bar.constant,
        "psnr": float(psnr(found.image, x)),
        "iterations": found.iterations,
        "status": found.status.name,
        "certified": found.certificate.holds,
        "bar_255": wide,
    }


def table(rows: Rows) -> str:
    """Means over the pictures."""
    lines = [
        "| q at most | centre | PSNR (dB) | price (dB) | iterations | with Anderson | bar/255 |",
        "|---|---|---|---|---|---|---|",
    ]
    free = rows.mean("psnr", rate=None, acceleration="none")
    for rate in RATES:
        for center in CENTERS if rate is not None else CENTERS[:1]:
            key = {"rate": rate, "center": center}
            plain, fast = ({**key, "acceleration": name} for name in ("none", "anderson"))
            level = rows.mean("psnr", **plain)
            cells = ("no ridge", "–") if rate is None else (f"{rate:g}", f"{center:g}")
            price = "–" if rate is None else f"{free - level:.2f}"
            wide = "–" if rate is None else f"{rows.mean('bar_255', **plain):.2g}"
            counts = (f"{rows.mean('iterations', **one):.0f}" for one in (plain, fast))
            lines.append(f"| {' | '.join((*cells, f'{level:.2f}', price, *counts, wide))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
