"""Counts under a blur: what to solve for photon noise, by peak and kernel.

Central crops in grey, blurred with borders that are not seen, counted at a peak (expected counts
where the picture is 1), everything automatic. The default of `pnp-deblur --noise poisson` was
chosen among these methods on pictures of val without BSD68 (`--split val`); the page is about
pictures of BSD68. Prints rows as they are done, and the page at the end.

    python -m scripts.tables.poisson --data BSDS500 --methods 2 > docs/results/poisson.md
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators.kernels import disk, linear_motion
from pnp_recon import reconstruct
from pnp_recon.datasets.splits import bsd68
from pnp_recon.estimation.photons import photon_variance
from pnp_recon.fidelity import KullbackLeibler, WeightedLeastSquares
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import table_counts
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import counted_deblurring
from pnp_recon.solvers import Solution, Stopping
from scripts.protocol import crop

PEAKS = (20.0, 200.0, 2000.0)
KERNELS: dict[str, Callable[[], Tensor]] = {
    "motion 11": lambda: linear_motion(11, 30, dtype=torch.float64),
    "disk 3": lambda: disk(3, dtype=torch.float64),
}
SIDE = 112
LIMITS = Stopping(max_iter=400, time_limit=120)

Method = Callable[[Problem, float], dict[str, Any]]
ENERGY = {"prior": "energy_grey"}
# Name -> arguments of `reconstruct` for counts/peak and the peak.
METHODS: dict[str, Method] = {
    "weighted by neighbours, energy": lambda p, peak: {
        "fidelity": WeightedLeastSquares(p.A, p.y, 1 / photon_variance(p.y, peak)), **ENERGY
    },
    "Kullback–Leibler, total variation": lambda p, peak: {
        "fidelity": KullbackLeibler(p.A, p.y, 0.0, peak), "prior": "tv", "strength": "auto"
    },
    "Kullback–Leibler, energy": lambda p, peak: {
        "fidelity": KullbackLeibler(p.A, p.y, 0.0, peak, 1.0), **ENERGY
    },
    "weighted by each count, energy": lambda p, peak: {
        "fidelity": WeightedLeastSquares(p.A, p.y, peak**2 / (peak * p.y).clamp_min(1)), **ENERGY
    },
    "least squares, energy": lambda p, _: {"noise_level": p.noise(), **ENERGY},
}  # fmt: skip


def val_only(folder: Path) -> list[Path]:
    """Pictures of val that are not in BSD68, in the order of their names."""
    held = {path.name for path in bsd68(folder)}
    return [path for path in sorted((folder / "val").glob("*.jpg")) if path.name not in held]


def solved(problem: Problem, start: Tensor, arguments: dict[str, Any]) -> Solution:
    return reconstruct(problem.y, problem.A, start=start, stopping=LIMITS, **arguments)


def measured(path: Path, index: int, kernel: Tensor, peak: float, methods: list[str]) -> list[str]:
    """PSNR of the counts, and PSNR and certificate of each method."""
    x = crop(path, SIDE, True)
    problem = counted_deblurring(x, kernel.to(x), peak, 0.0, table_counts(index), "valid")
    rows, columns = (slice(taps // 2, -(taps // 2)) for taps in kernel.shape)
    truth = x[..., rows, columns]
    found = [f"{float(psnr(problem.y.clamp(0, 1), truth)):.4f}"]
    start = problem.A.initial_guess(problem.y).clamp(0, 1)
    for name in methods:
        solution = solved(problem, start, METHODS[name](problem, peak))
        quality = float(psnr(solution.image.clamp(0, 1)[..., rows, columns], truth))
        found.append(f"{quality:.4f}{'' if solution.certificate.holds else '*'}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("bsd68", "val"), default="bsd68")
    parser.add_argument("--pictures", type=int, default=2, help="so many, evenly spaced")
    parser.add_argument("--methods", type=int, default=len(METHODS), help="the first so many")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = bsd68(options.data) if options.split == "bsd68" else val_only(options.data)
    chosen = list(enumerate(paths))[:: math.ceil(len(paths) / options.pictures)]
    methods = list(METHODS)[: options.methods]
    table: dict[str, list[str]] = {name: [] for name in ("the counts", *methods)}
    for peak in PEAKS:
        for label, kernel in KERNELS.items():
            rows = []
            for index, path in chosen:
                rows.append(measured(path, index, kernel(), peak, methods))
                print(f"{peak:g}", label, path.stem, *rows[-1], file=sys.stderr, flush=True)
            for name, cells in zip(table, zip(*rows, strict=True), strict=True):
                mean = statistics.mean(float(cell.rstrip("*")) for cell in cells)
                table[name].append(f"{mean:.2f}{'*' if any('*' in cell for cell in cells) else ''}")
    where = "BSD68" if options.split == "bsd68" else "val without BSD68"
    print(page(table, len(chosen), where))


def page(table: dict[str, list[str]], count: int, where: str) -> str:
    heads = [f"peak {peak:g}, {kernel}" for peak in PEAKS for kernel in KERNELS]
    lines = [
        "# Counts under a blur",
        "",
        f"Mean PSNR in dB over {count} pictures of {where}, central {SIDE}² crops in grey, borders "
        "not seen,",
        "automatic settings; without a star every run is certified, by descent for the energy and "
        "by a saddle",
        "point for total variation. The peak is what is expected to be counted where the picture "
        "is 1 (white).",
        "The first method is the default of `pnp-deblur --noise poisson`, the second its "
        f"`--method tv`. `{__spec__.name}`.",
        "",
        "| method | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
        *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in table.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
