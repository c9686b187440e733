"""Super-resolution on CBSD68: bicubic interpolation, total variation, certified plug-and-play.

Central 96² crops in colour, circularly blurred with a Gaussian on the large grid, every f-th pixel
kept from the first one on, white noise added, in the manner of DPIR (Zhang et al. 2021). Of the
four kernels picture i meets the one of number i mod 4. Every strength is found from the data,
nothing is tuned on these pictures. A run that was stopped goes on; `report` writes the page.

    python -m scripts.tables.super_resolution run --data BSDS500 --pictures 12
    python -m scripts.tables.super_resolution report
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import Downsampling, kernels
from pnp_recon import reconstruct
from pnp_recon.datasets.splits import PictureFolder
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.problems.noise import table_noise
from scripts.protocol import RESULTS, crop, environment, read_rows

TABLE = RESULTS / "super_resolution.csv"
SIDE, SIZE = 96, 25
WIDTHS = (0.7, 1.2, 1.6, 2.0)
FACTORS, LEVELS = (2, 3), (0.0, 2.55, 7.65)
# Method -> prior and solver of `reconstruct`; bicubic interpolation is none.
METHODS: dict[str, tuple[str, str] | None] = {
    "bicubic": None,
    "tv": ("tv", "auto"),
    "euler_colour": ("euler_colour", "pnp-drs"),
    "energy_colour": ("energy_colour", "auto"),
}
FIELDS = (
    "picture", "index", "factor", "width", "noise", "method", "psnr", "ssim", "seconds",
    "iterations", "status", "certificate", "holds", "strength", "environment",
)  # fmt: skip
HEAD = """Super-resolution on CBSD68: {count} pictures, central 96² crops in colour, a circular
blur with a Gaussian of {widths} pixels (picture i meets kernel i mod 4), every f-th
pixel kept from the first one on, white noise. Mean PSNR in dB and SSIM over the whole crop, data
neither clipped nor rounded. Bicubic: Keys' interpolation at the right places. `tv`, `euler_colour`
(`pnp-drs`, prox in closed form) and `energy_colour` (`descent`) know kernel and noise level; the
strengths are found from each picture's data, nothing is tuned on these pictures. Certified: by the
theorem of the run, and converged. Rows are in super_resolution.csv."""
FOOT = """Published figures are means over whole pictures and other kernels; none is comparable with
these crops."""


def keys(t: Tensor) -> Tensor:
    """Keys' cubic, a = −½."""
    t = t.abs()
    near, far = (1.5 * t - 2.5) * t**2 + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


def interpolated(y: Tensor, factor: int) -> Tensor:
    """y on the large grid, circular, where pixel i lies at f·i."""
    for dim in (-2, -1):
        n = y.shape[dim]
        place = torch.arange(factor * n)[:, None] / factor - torch.arange(n)
        weights = keys((place + n / 2) % n - n / 2).to(y)
        y = torch.movedim(torch.movedim(y, dim, -1) @ weights.T, -1, dim)
    return y


def measured(x: Tensor, index: int, factor: int, level: float, method: str) -> dict[str, Any]:
    """One row without its key."""
    width = WIDTHS[index % len(WIDTHS)]
    A = Downsampling(kernels.gaussian(width, SIZE), factor, x.shape[1:], "circular")
    clean = A.A(x)
    y = clean + level / 255 * table_noise(level, index)(clean)
    begin, chosen = time.perf_counter(), METHODS[method]
    row: dict[str, Any] = {}
    if chosen is None:
        image = interpolated(y, factor)
    else:
        prior, solver = chosen
        solution = reconstruct(y, A, prior, solver=solver, noise_level=level / 255, strength="auto")
        image = solution.image
        row = {
            "iterations": solution.iterations,
            "status": solution.status.name,
            "certificate": solution.certificate.label,
            "holds": solution.certificate.holds,
            "strength": solution.strength.value if solution.strength else "",
        }
    image = image.clamp(0, 1)
    return {
        **row,
        "psnr": f"{float(psnr(image, x)):.4f}",
        "ssim": f"{float(ssim(image, x)):.5f}",
        "seconds": f"{time.perf_counter() - begin:.2f}",
    }


def run(data: Path, pictures: int, table: Path) -> None:
    """Appends what is missing, all methods of a picture together."""
    known = read_rows(table)
    names = ("picture", "factor", "noise", "method")
    done = {tuple(row[name] for name in names) for row in known}
    paths = sorted(PictureFolder(data, "bsd68").paths)[:pictures]
    with table.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        if not known:
            writer.writeheader()
        for index, path in enumerate(paths):
            x = crop(path, SIDE, grey=False)
            for factor in FACTORS:
                for level in LEVELS:
                    for method in METHODS:
                        if (path.name, str(factor), f"{level:g}", method) in done:
                            continue
                        row = {
                            "picture": path.name,
                            "index": index,
                            "factor": factor,
                            "width": WIDTHS[index % len(WIDTHS)],
                            "noise": f"{level:g}",
                            "method": method,
                            "environment": environment(),
                            **measured(x, index, factor, level, method),
                        }
                        writer.writerow(row)
                        stream.flush()
                        shown = ("factor", "noise", "method", "psnr", "seconds")
                        print(path.name, *(row[name] for name in shown), flush=True)


def report(rows: list[dict[str, str]]) -> str:
    """The page: means over the pictures that every method has."""
    cells: dict[tuple[str, str], dict[str, dict[str, dict[str, str]]]] = defaultdict(dict)
    for row in rows:
        cells[row["factor"], row["noise"]].setdefault(row["picture"], {})[row["method"]] = row
    lines = [
        f"| Scale | σ·255 | {' | '.join(METHODS)} | energy − bicubic | energy − tv | certified |",
        "|---|---|" + "---:|" * (len(METHODS) + 3),
    ]
    counts = set()
    for (factor, noise), found in sorted(
        cells.items(), key=lambda item: tuple(map(float, item[0]))
    ):
        whole = [methods for methods in found.values() if set(methods) == set(METHODS)]
        if not whole:
            continue
        counts.add(len(whole))

        def mean(method: str, field: str, whole: list[Any] = whole) -> float:
            return sum(float(one[method][field]) for one in whole) / len(whole)

        def gap(other: str, whole: list[Any] = whole) -> str:
            gaps = [float(w["energy_colour"]["psnr"]) - float(w[other]["psnr"]) for w in whole]
            middle = sum(gaps) / len(gaps)
            spread = math.sqrt(sum((g - middle) ** 2 for g in gaps) / max(len(gaps) - 1, 1))
            return f"{middle:+.2f} ± {spread:.2f}"

        solved = [one[method] for one in whole for method in METHODS if METHODS[method]]
        held = sum(one["holds"] == "True" and one["status"] == "CONVERGED" for one in solved)
        shown = (f"{mean(m, 'psnr'):.2f} / {mean(m, 'ssim'):.3f}" for m in METHODS)
        lines.append(
            f"| ×{factor} | {noise} | {' | '.join(shown)} | {gap('bicubic')} | {gap('tv')} "
            f"| {held} of {len(solved)} |"
        )
    times = (
        f"{method} {sum(float(r['seconds']) for r in rows if r['method'] == method) / n:.1f} s"
        for method in METHODS
        if (n := sum(r["method"] == method for r in rows))
    )
    count = " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "no"
    head = HEAD.format(count=count, widths=", ".join(map(str, WIDTHS)))
    where = rows[-1]["environment"] if rows else ""
    return "\n\n".join(
        (head, "\n".join(lines), f"Mean time, trials included, on a busy machine ({where}): "
         f"{', '.join(times)}.", FOOT)
    ) + "\n"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("run", "report"))
    parser.add_argument("--data", type=Path, help="BSDS500")
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    if options.task == "run":
        if options.data is None:
            parser.error("--data is missing")
        torch.set_num_threads(1)
        run(options.data, options.pictures, options.table)
    page = report(read_rows(options.table))
    options.table.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
