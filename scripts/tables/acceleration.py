"""Anderson acceleration against the plain iteration: iterations to 1e-5, distance of the pictures.

PnP-HQS on two blurs at two noise levels and PnP-DRS on missing pixels, central crops of three
BSDS500 val pictures outside BSD68. The distance is relative to the plain run's picture; both are
within their tolerance of a fixed point.

    python -m scripts.tables.acceleration --data BSDS500 [--crop 128]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from torch import Tensor

from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.masks import table_mask
from pnp_recon.problems.noise import table_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import deblurring, inpainting
from pnp_recon.solvers import Stopping
from scripts.protocol import LEVELS, Rows, crop, deblurring_kernels


def problems(x: Tensor, index: int) -> Iterator[tuple[str, Problem, str]]:
    """Name, problem and solver."""
    for name, kernel in deblurring_kernels().items():
        for level in LEVELS:
            problem = deblurring(x, kernel, level / 255, table_noise(level, index))
            yield f"{name}, σ·255 = {level:g}", problem, "pnp-hqs"
    for missing in (0.5, 0.8):
        known = table_mask(x.shape[-2:], missing, index)
        exact = inpainting(x, known, 0.0, table_noise(0.0, index))
        yield f"{missing:.0%} missing", exact, "pnp-drs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--output", type=Path, default=Path("docs/results/acceleration.jsonl"))
    options = parser.parse_args()
    denoiser = load_denoiser("euler_colour")
    rows = Rows(options.output)
    for index, path in list(enumerate(validation_pictures(options.data)))[2::12]:
        x = crop(path, options.crop, False)
        for name, problem, solver in problems(x, index):
            key = {"problem": name, "picture": path.name}
            if rows.has(**key):
                continue
            row: dict[str, Any] = {}
            pictures = {}
            for way in ("none", "anderson"):
                begin = time.perf_counter()
                solution = reconstruct(
                    problem.y, problem.A, denoiser, acceleration=way, solver=solver,
                    noise_level=problem.noise_level, strength=1,
                    stopping=Stopping(tol=1e-5, max_iter=2000, check_every=1),
                )  # fmt: skip
                pictures[way] = solution.image
                row[f"iterations_{way}"] = solution.iterations
                row[f"seconds_{way}"] = time.perf_counter() - begin
                row[f"psnr_{way}"] = float(psnr(solution.image, x))
                row[f"certified_{way}"] = solution.certificate.holds
            apart = pictures["anderson"] - pictures["none"]
            row["distance"] = float(apart.norm() / pictures["none"].norm())
            rows.add(**key, **row, sha256=denoiser.card["sha256"][:12])
            print(key, row, flush=True)
    text = table(rows, options.crop)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def table(rows: Rows, size: int) -> str:
    names = list(dict.fromkeys(row["problem"] for row in rows.rows))
    lines = [
        f"Three val pictures ({size}² crops, colour, euler_colour), iterations to 1e-5, means over "
        f"pictures; {rows.measured_in()}.",
        "",
        "| problem | plain | Anderson | ratio | PSNR plain | PSNR Anderson | largest distance |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        key = {"problem": name}
        plain, fast = (rows.mean(f"iterations_{way}", **key) for way in ("none", "anderson"))
        sharp = [rows.mean(f"psnr_{way}", **key) for way in ("none", "anderson")]
        apart = max(row["distance"] for row in rows.rows if row["problem"] == name)
        lines.append(
            f"| {name} | {plain:.0f} | {fast:.0f} | {fast / plain:.2f} | {sharp[0]:.2f} | "
            f"{sharp[1]:.2f} | {apart:.1e} |"
        )
    ratios = [row["iterations_anderson"] / row["iterations_none"] for row in rows.rows]
    certified = all(row["certified_none"] and row["certified_anderson"] for row in rows.rows)
    every = "every run certified" if certified else "NOT every run certified"
    middle = f"Median ratio of iterations over all {len(ratios)} runs: {median(ratios):.2f}"
    lines += ["", f"{middle}; {every}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
