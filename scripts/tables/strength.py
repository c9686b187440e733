"""The automatic strength against the best fixed one of each picture: loss in dB, and its cost.

Central crops of pictures of BSD68 in colour (CBSD68), on which nothing of the rule was tuned, the
kernels of the benchmark, three noise levels, the shipped colour denoiser and total variation. The
best strength is the best of a grid, by PSNR against the truth: nobody without the truth has it.
Writes a row for each case as it is done, and goes on where it was stopped.

    python -m scripts.tables.strength --data BSDS500 [--pictures 4 | --all] [--crop 128]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from pnp_recon import load_denoiser, reconstruct
from pnp_recon.benchmark.suites.problems import KERNELS
from pnp_recon.datasets.splits import bsd68
from pnp_recon.pictures.metrics import psnr
from pnp_recon.problems.noise import benchmark_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import Stopping
from scripts.protocol import RESULTS, crop, environment, read_rows, write_rows

LEVELS = (2.55, 7.65, 12.75)
GRID = tuple(2 ** (k / 2) for k in range(-4, 7))
METHODS = ("euler_colour", "tv")
# The grid is about pictures, whose PSNR is at rest long before the default tolerance.
LOOSE = Stopping(tol=1e-4, max_iter=2000)
FIELDS = (
    "method", "picture", "kernel", "noise", "psnr_auto", "psnr_fixed", "psnr_best", "best",
    "strength", "rule", "trials", "iterations_fixed", "iterations_search", "iterations_auto",
    "seconds_fixed", "seconds_auto", "certified",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4, help="so many, evenly spaced")
    parser.add_argument("--all", action="store_true", help="all pictures: many hours on two cores")
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--output", type=Path, default=RESULTS / "strength.csv")
    options = parser.parse_args()
    paths = list(enumerate(bsd68(options.data)))
    chosen = paths if options.all else paths[:: max(1, len(paths) // options.pictures)]
    priors = {"euler_colour": load_denoiser("euler_colour"), "tv": "tv"}
    rows = read_rows(options.output)
    done = {(row["method"], row["picture"], row["kernel"], row["noise"]) for row in rows}
    for path, index, kernel, noise in cases(chosen):
        x = crop(path, options.crop, False)
        sigma = noise / 255
        draw = benchmark_noise(sigma, index, 0)
        problem = deblurring(x, KERNELS[kernel](), sigma, draw)
        for method in METHODS:
            key = (method, path.stem, kernel, f"{noise:g}")
            if key in done:
                continue
            found = measured(problem, priors[method])
            rows.append(dict(zip(FIELDS[:4], key, strict=True)) | found)
            write_rows(options.output, rows)
            print(*key, {name: found[name] for name in FIELDS[4:10]}, flush=True)
    text = table(rows, options.crop)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def cases(paths: list[tuple[int, Path]]) -> Iterator[tuple[Path, int, str, float]]:
    """All of them, in an order that has pictures and kernels in balance wherever it stops."""
    cells = [(kernel, noise) for noise in LEVELS for kernel in KERNELS]
    for shift in range(len(paths)):
        for place, (kernel, noise) in enumerate(cells):
            index, path = paths[(place + shift) % len(paths)]
            yield path, index, kernel, noise


def measured(problem: Problem, prior: Any) -> dict[str, str]:
    """The columns of one case after its key."""
    truth = problem.truth
    assert truth is not None

    def run(strength: Any, stopping: Stopping | None = None) -> tuple[Any, float, float]:
        begin = time.perf_counter()
        solution = reconstruct(
            problem.y, problem.A, prior,
            noise_level=problem.noise_level, strength=strength, stopping=stopping,
        )  # fmt: skip
        seconds = time.perf_counter() - begin
        return solution, float(psnr(solution.image, truth)), seconds

    run(1, Stopping(max_iter=1))  # imports and the norm of the operator are not timed
    default = Stopping(max_iter=2000)
    fixed, psnr_fixed, seconds_fixed = run(1, default)
    auto, psnr_auto, seconds_auto = run("auto", default)
    best, strength = max((run(value, LOOSE)[1], value) for value in GRID)
    numbers = {
        "psnr_auto": psnr_auto,
        "psnr_fixed": psnr_fixed,
        "psnr_best": best,
        "best": strength,
        "strength": auto.strength.value,
        "rule": auto.strength.rule.value,
        "trials": len(auto.strength.trials),
        "iterations_fixed": fixed.iterations,
        "iterations_search": auto.strength.iterations,
        "iterations_auto": auto.iterations,
        "seconds_fixed": seconds_fixed,
        "seconds_auto": seconds_auto,
        "certified": int(auto.certificate.holds),
    }
    return {key: told(value) for key, value in numbers.items()}


def told(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def table(rows: list[dict[str, str]], size: int) -> str:
    """Markdown: a line for each method and kernel, and all of a method."""
    pictures = len({row["picture"] for row in rows})
    lines = [
        f"{pictures} pictures of CBSD68 ({size}² crops), loss in dB against the best strength of "
        f"each case on a grid from {GRID[0]:g} to {GRID[-1]:g}, factor √2; {environment()}. Cost: "
        "the automatic run, search included, against the run at strength 1, median; an iteration "
        "of the search is one of two pictures.",
        "",
        "| method | kernel | cases | strength 1: mean, worst | auto: mean, worst | "
        "gain over 1, mean | seconds | iterations |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        for kernel in [*KERNELS, "all"]:
            some = [row for row in own if kernel in (row["kernel"], "all")]
            if some:
                lines.append(line(method, kernel, some))
    uncertified = sum(row["certified"] != "1" for row in rows)
    fallen = sum(row["rule"] != "generalised cross-validation" for row in rows)
    lines += [
        "",
        f"{uncertified} of {len(rows)} runs without a certificate; {fallen} not chosen by "
        "cross-validation.",
    ]
    return "\n".join(lines) + "\n"


def line(method: str, kernel: str, rows: list[dict[str, str]]) -> str:
    def column(name: str) -> list[float]:
        return [float(row[name]) for row in rows]

    auto, fixed, best = column("psnr_auto"), column("psnr_fixed"), column("psnr_best")
    # The automatic strength lies between the points of the grid and may beat them: then no loss
    # is counted as a gain.
    lost = [max(b - a, 0.0) for a, b in zip(auto, best, strict=True)]
    before = [max(b - a, 0.0) for a, b in zip(fixed, best, strict=True)]
    gain = mean(a - b for a, b in zip(auto, fixed, strict=True))
    seconds = middle([a / b for a, b in zip(*map(column, ("seconds_auto", "seconds_fixed")),
                                            strict=True)])  # fmt: skip
    names = ("iterations_search", "iterations_auto", "iterations_fixed")
    steps = middle([(2 * s + a) / f for s, a, f in zip(*map(column, names), strict=True)])
    return (
        f"| {method} | {kernel} | {len(rows)} | {mean(before):.2f}, {max(before):.2f} | "
        f"{mean(lost):.2f}, {max(lost):.2f} | {gain:+.2f} | {seconds:.1f} | {steps:.1f} |"
    )


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
