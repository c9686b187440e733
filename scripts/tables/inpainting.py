"""Inpainting of missing pixels on ten BSDS500 val pictures: tuned TV, certified plug-and-play.

Random pixels are missing (50 % and 80 %), the known ones carry no noise. The weight of vectorial TV
and the level of the denoiser are searched on other val pictures; none of BSD68 is touched. Rows go
to JSON Lines files, a run that was stopped goes on.

    python -m scripts.tables.inpainting tune  --data BSDS500
    python -m scripts.tables.inpainting table --data BSDS500
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.problems.masks import table_mask
from pnp_recon.problems.noise import table_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import inpainting
from pnp_recon.proximal import TotalVariation
from pnp_recon.solvers import Stopping
from scripts.protocol import Rows, crop

MISSING = (0.5, 0.8)
METHODS = ("filled", "TV", "pnp-hqs", "pnp-drs")
GRIDS: dict[str, list[dict[str, float]]] = {
    "filled": [{}],
    "TV": [{"weight": w} for w in (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)],
    "pnp-hqs": [{"level": a, "gamma": 1e3} for a in (3.0, 5.0, 7.0)],
    "pnp-drs": [{"level": a, "gamma": 100.0} for a in (5.0, 7.0, 10.0, 14.0)],
}


def solve(
    method: str, point: dict[str, float], problem: Problem, tol: float
) -> tuple[Tensor, dict[str, Any]]:
    if method == "filled":
        return problem.first_guess(), {}
    y, A = problem.y, problem.A
    stopping = Stopping(tol=tol, max_iter=3000)
    if method == "TV":
        prior = TotalVariation(point["weight"], "vectorial", box=(0, 1))
        solution = reconstruct(y, A, prior, stopping=stopping)
        return solution.image, {"iterations": solution.iterations}
    denoiser = load_denoiser("euler_colour")
    solution = reconstruct(
        y,
        A,
        denoiser,
        solver=method,
        noise_level=0.0,
        denoiser_level=point["level"] / 255,
        gamma=point["gamma"],
        acceleration="anderson",
        stopping=stopping,
    )
    assert not solution.certificate.contradicted, solution.certificate.verdict
    return solution.image, {
        "iterations": solution.iterations,
        "status": solution.status.name,
        "certified": solution.certificate.holds,
        "sha256": denoiser.card["sha256"][:12],
    }


def best(rows: Rows, method: str, missing: float) -> dict[str, float]:
    """The point of the grid with the highest mean PSNR on the tuning pictures."""
    key = {"method": method, "missing": missing}
    return max(GRIDS[method], key=lambda point: rows.mean("psnr", **key, **point))


def record(rows: Rows, x: Tensor, index: int, key: dict[str, Any], point: dict[str, float],
           tol: float) -> None:  # fmt: skip
    if rows.has(**key, **point):
        return
    known = table_mask(x.shape[-2:], key["missing"], index)
    problem = inpainting(x, known, 0.0, table_noise(0.0, index))
    begin = time.perf_counter()
    image, extra = solve(key["method"], point, problem, tol)
    seconds = time.perf_counter() - begin
    image = image.clamp(0, 1)
    scores = {"psnr": float(psnr(image, x)), "ssim": float(ssim(image, x))}
    rows.add(**key, **point, **scores, seconds=seconds, **extra)
    print(key, point, {k: round(v, 3) for k, v in scores.items()}, f"{seconds:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("tune", "table"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=None, help="of the table; tuning takes 128")
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    tuning = Rows(options.results / "inpainting_tuning.jsonl")
    rows = Rows(options.results / "inpainting.jsonl")
    paths = validation_pictures(options.data)
    if options.task == "tune":
        for index, path in list(enumerate(paths))[1::6]:
            x = crop(path, 128, False)
            for missing in MISSING:
                for method in METHODS:
                    for point in GRIDS[method]:
                        key = {"picture": path.name, "missing": missing, "method": method}
                        # TV far from its minimum is another method: the start shows through.
                        tol = 1e-5 if method == "TV" else 3e-4
                        record(tuning, x, index, key, point, tol)
        for missing in MISSING:
            print(missing, {method: best(tuning, method, missing) for method in METHODS})
        return
    for index, path in list(enumerate(paths))[::3][:10]:
        x = crop(path, options.crop, False)
        for missing in MISSING:
            for method in METHODS:
                key = {"picture": path.name, "missing": missing, "method": method}
                record(rows, x, index, key, best(tuning, method, missing), 1e-5)
    text = table(rows, tuning, options.crop)
    (options.results / "inpainting.md").write_text(text, encoding="utf-8")
    print(text)


def table(rows: Rows, tuning: Rows, size: int | None) -> str:
    """Means, and mean and standard deviation of the gain over TV."""
    area = "whole pictures" if size is None else f"central {size}² crops"
    lines = [
        f"Ten BSDS500 val pictures outside BSD68 (colour, {area}), random missing pixels, no "
        f"noise, PSNR in dB / SSIM; {rows.measured_in()}.",
        "",
        "| missing | method | parameters | PSNR / SSIM | above TV | iterations to 1e-5 |",
        "|---|---|---|---|---|---|",
    ]
    for missing in MISSING:
        for method in METHODS:
            key = {"missing": missing, "method": method}
            found = [np.array([r["psnr"] for r in rows.rows
                               if r["method"] == m and r["missing"] == missing])
                     for m in (method, "TV")]  # fmt: skip
            gain = found[0] - found[1]
            over = "" if method == "TV" else f"{gain.mean():+.2f} ± {gain.std():.2f}"
            point = ", ".join(f"{k} {v:g}" for k, v in best(tuning, method, missing).items())
            steps = "" if method == "filled" else f"{rows.mean('iterations', **key):.0f}"
            lines.append(
                f"| {missing:.0%} | {method} | {point} | {found[0].mean():.2f} / "
                f"{rows.mean('ssim', **key):.3f} | {over} | {steps} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
