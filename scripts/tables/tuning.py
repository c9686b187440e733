"""Searches the automatic choice: denoiser level and coupling of each solver, weight of TV.

On centre crops of BSDS500 val without BSD68 only, motion blur 15 px at 30° and circular borders.
The best points are what `pnp_recon/solvers/tuning.py` states; all of them go to
`docs/results/tuning.jsonl`.

    python -m scripts.tables.tuning --data BSDS500 [--pictures 4] [--crop 128]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from operators import Convolution, kernels
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import table_noise
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Stopping
from scripts.protocol import Rows, crop
from scripts.tables.baselines import total_variation, wiener

NOISE = (1.0, 2.55, 7.65, 12.75, 25.0)
WEIGHTS = (3e-4, 4e-4, 5e-4, 6.5e-4, 8e-4, 1e-3, 1.3e-3, 2.7e-3, 3.3e-3, 4e-3, 5e-3, 6e-3)
BALANCES = (0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
# Denoiser levels·255 and factors c of γ = c·(level/noise)².
GRIDS = {"pnp-hqs": ((10, 14, 20), (3.5, 5.5, 8.0)), "pnp-drs": ((9, 12, 16), (1.1, 1.7, 2.5))}


def candidates(solver: str, noise: float) -> list[tuple[float, float]]:
    """(level·255, coupling)."""
    if solver == "pnp-pgd":
        return [(factor * noise, 1.9) for factor in (1.0, 1.5, 2.0, 3.0)]
    levels, factors = GRIDS[solver]
    return [(level, c * (level / noise) ** 2) for level in levels for c in factors]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="euler_colour")
    parser.add_argument("--solvers", default="pnp-drs,pnp-hqs,pnp-pgd,tv,wiener")
    parser.add_argument("--noise", default=",".join(map(str, NOISE)))
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--output", type=Path, default=Path("docs/results/tuning.jsonl"))
    options = parser.parse_args()
    denoiser = load_denoiser(options.model)
    grey = denoiser.channels == 1
    paths = validation_pictures(options.data)[:: 32 // options.pictures][: options.pictures]
    x = torch.cat([crop(path, options.crop, grey) for path in paths])
    kernel = kernels.linear_motion(15, 30)
    A = Convolution(kernel, tuple(x.shape[1:]), "circular")
    rows = Rows(options.output)
    for noise in map(float, options.noise.split(",")):
        drawn = [
            deblurring(one[None], kernel, noise / 255, table_noise(noise, i))
            for i, one in enumerate(x)
        ]
        y = torch.cat([problem.y for problem in drawn])
        for solver in options.solvers.split(","):
            best: tuple[float, dict[str, float]] = (-1.0, {})
            grid: list[dict[str, float]]
            if solver == "tv":
                grid = [{"weight": weight} for weight in WEIGHTS]
            elif solver == "wiener":
                grid = [{"balance": balance} for balance in BALANCES]
            else:
                grid = [{"level": a, "coupling": b} for a, b in candidates(solver, noise)]
            for point in grid:
                if solver == "tv":
                    image = total_variation(A, y, point["weight"])
                elif solver == "wiener":
                    image = wiener(kernel, y, point["balance"])
                else:
                    step = {"step": point["coupling"] / A.norm_bound**2}
                    solution = reconstruct(
                        y,
                        A,
                        denoiser,
                        noise_level=noise / 255,
                        strength=1,
                        solver=solver,
                        denoiser_level=min(point["level"], 50.0) / 255,
                        stopping=Stopping(tol=3e-4, max_iter=60),
                        **(step if solver == "pnp-pgd" else {"gamma": point["coupling"]}),
                    )
                    image = solution.image
                score = float(psnr(image, x).mean())
                rows.add(model=options.model, noise=noise, solver=solver, psnr=score, **point)
                best = max(best, (score, point), key=lambda pair: pair[0])
            print(f"σ·255 = {noise:g}  {solver:8s} {best[0]:.2f} dB  {best[1]}", flush=True)


if __name__ == "__main__":
    main()
