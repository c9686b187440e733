"""Kernels that were estimated from the picture, against the true ones.

    python -m scripts.tables.blind_kernels --data BSDS500            # goes on where it stopped
    python -m scripts.tables.blind_kernels --data BSDS500 report

Each of the 32 pictures of BSDS500 val that are not in BSD68, whole and grey, is blurred by a seeded
trajectory of 13 to 35 pixels (no wrap-around: the valid part is kept), noise of 2.55/255 is added,
nothing is rounded. The estimator knows neither the kernel's size nor the noise. Both kernels then
restore the picture by the same total variation, and the squared errors are divided (Levin, Weiss,
Durand & Freeman 2009: at the best shift, 15 pixels cut off at every border; here within 5 pixels,
in quarters of a pixel). The estimator was tuned on train pictures and other trajectories.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from operators.kernels import trajectory
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.estimation.kernel import estimate_kernel
from pnp_recon.estimation.kernel.judge import deconvolved
from pnp_recon.estimation.kernel.tidy import likeness
from pnp_recon.pictures.colour import to_grey
from pnp_recon.pictures.files import read_picture
from pnp_recon.problems.noise import table_scan_noise
from scripts.protocol import RESULTS, environment, read_rows, write_rows

TABLE, CONFIDENCE = RESULTS / "blind.csv", RESULTS / "blind_confidence.csv"
USABLE = 3.0  # a ratio below this
NOISE = 2.55 / 255
SIZES = tuple(range(13, 37, 2))
CROP, SHIFT = 15, 5
COLUMNS = (
    "picture", "size", "seed", "ratio", "psnr_true", "psnr_estimated", "psnr_blurred", "confidence",
    "agreement", "steepness", "likeness", "found", "seconds", "versions",
)  # fmt: skip


def blurred_picture(path: Path, index: int) -> tuple[Tensor, Tensor, Tensor, int, int]:
    """Blurred and true picture (H, W), the kernel, its side and seed."""
    seed, side = 100 + index, SIZES[index * 5 % len(SIZES)]
    kernel = trajectory(side, seed)
    sharp = to_grey(read_picture(path).pixels)
    y = functional.conv2d(sharp, kernel.flip(0, 1)[None, None])
    y = y + NOISE * table_scan_noise(seed)(y)
    radius = side // 2
    return y[0, 0], sharp[0, 0, radius:-radius, radius:-radius], kernel, side, seed


def squared_error(restored: Tensor, truth: Tensor) -> float:
    """Mean squared error at the best shift."""
    whole = range(-SHIFT, SHIFT + 1)
    errors = {(y, x): _shifted_error(restored, truth, y, x) for y in whole for x in whole}
    down, right = min(errors, key=lambda place: errors[place])
    quarters = [step / 4 for step in range(-3, 4)]
    near = [(down + y, right + x) for y in quarters for x in quarters]
    inside = [place for place in near if max(map(abs, place)) <= SHIFT]
    return min(_shifted_error(restored, truth, y, x) for y, x in inside)


def _shifted_error(restored: Tensor, truth: Tensor, down: float, right: float) -> float:
    moved = _moved(_moved(restored, down, truth.shape[0]).T, right, truth.shape[1]).T
    inner = truth[CROP : truth.shape[0] - CROP, CROP : truth.shape[1] - CROP]
    return float((moved - inner).square().mean())


def _moved(picture: Tensor, shift: float, length: int) -> Tensor:
    """Rows CROP + shift …, by cubic convolution (Keys 1981)."""
    base = math.floor(shift)
    t = shift - base
    if t == 0:
        return picture[CROP + base : length - CROP + base]
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    first = CROP + base - 1
    rows = [w * picture[first + i : first + i + length - 2 * CROP] for i, w in enumerate(weights)]
    return torch.stack(rows).sum(dim=0)


def measure(path: Path, index: int) -> dict[str, str]:
    y, truth, kernel, side, seed = blurred_picture(path, index)
    start = time.process_time()
    estimate = estimate_kernel(y[None, None])
    seconds = time.process_time() - start
    right = squared_error(deconvolved(y, kernel, NOISE), truth)
    ours = squared_error(deconvolved(y, estimate.kernel.float(), NOISE), truth)
    numbers = {
        "ratio": ours / right,
        "psnr_true": -10 * math.log10(right),
        "psnr_estimated": -10 * math.log10(ours),
        "psnr_blurred": -10 * math.log10(squared_error(y, truth)),
        "confidence": estimate.confidence,
        "agreement": estimate.agreement,
        "steepness": estimate.steepness,
        "likeness": likeness(kernel, estimate.kernel.float()),
        "seconds": seconds,
    }
    row = {key: f"{value:.3f}" for key, value in numbers.items()}
    row |= {"picture": path.stem, "size": str(side), "seed": str(seed), "versions": environment()}
    return row | {"found": str(estimate.kernel.shape[0])}


def report(rows: list[dict[str, str]], more: Sequence[str] = ()) -> str:
    """The page, from the rows of the table, and `more` lines at its end."""
    ratios = [float(row["ratio"]) for row in rows]
    sure = [float(row["ratio"]) for row in rows if float(row["confidence"]) >= 0.5]
    doubted = [float(row["ratio"]) for row in rows if float(row["confidence"]) < 0.5]

    def below(values: list[float]) -> str:
        return f"{sum(value < 3 for value in values)} of {len(values)}"

    def mean(column: str) -> float:
        return statistics.mean(float(row[column]) for row in rows)

    seconds = statistics.median(float(row["seconds"]) for row in rows)
    lines = [
        "# Kernels from the photograph",
        "",
        "`python -m scripts.tables.blind_kernels --data BSDS500`, then `report`. "
        f"{len(rows)} pictures of BSDS500 `val` outside BSD68, grey, whole; trajectories of 13 to "
        "35 pixels with the seeds in [blind.csv](blind.csv), noise 2.55/255. The estimator is told "
        "neither size nor noise. Ratio: squared error with the estimated kernel by that with the "
        "true one, both restored by the same total variation; best shift within 5 pixels in "
        "quarters, 15 pixels cut off. Nothing was tuned on these pictures.",
        "",
        "![Blurred pictures, kernels and estimates](../images/blind_kernels.png)",
        "",
        "| cases | median ratio | below 3 |",
        "|---|---|---|",
        f"| all | {statistics.median(ratios):.2f} | {below(ratios)} |",
    ]
    for name, values in (("confidence ≥ 0.5, used", sure), ("below, refused", doubted)):
        if values:
            lines.append(f"| {name} | {statistics.median(values):.2f} | {below(values)} |")
    lines += [
        "",
        f"Mean PSNR: blurred {mean('psnr_blurred'):.2f} dB, estimated kernel "
        f"{mean('psnr_estimated'):.2f}, true kernel {mean('psnr_true'):.2f}. Median time of an "
        f"estimate: {seconds:.1f} CPU seconds on one shared core.",
        "",
        "| picture | true side | found side | ratio | confidence | likeness of the kernels |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: float(row["ratio"])):
        columns = ("picture", "size", "found", "ratio", "confidence", "likeness")
        lines.append("| " + " | ".join(row[column] for column in columns) + " |")
    return "\n".join([*lines, "", *more, rows[0]["versions"] + ".", ""])


def section(rows: list[dict[str, str]]) -> list[str]:
    """The lines about it of the page that `blind_kernels` writes."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        blurred = "kernel usable" if float(row["ratio"] or 0) < USABLE else "kernel wrong"
        group = f"blurred, {blurred}" if row["ratio"] else "sharp"
        groups.setdefault(group, []).append(float(row["confidence"]))
    lines = [
        "## How often the confidence is right",
        "",
        "`python -m scripts.tables.blind_confidence --data BSDS500`: crops of 200² pixels of the "
        "same pictures with other kernels (9 to 27 pixels), and crops that are not blurred (plain, "
        "JPEG of quality 90 and 75, noise of 2.55/255), [each](blind_confidence.csv). Usable: "
        "ratio below 3.",
        "",
        "| crops | number | taken (confidence ≥ 0.5) |",
        "|---|---|---|",
    ]
    for group, values in sorted(groups.items()):
        lines.append(f"| {group} | {len(values)} | {sum(value >= 0.5 for value in values)} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", nargs="?", choices=("measure", "report"), default="measure")
    parser.add_argument("--data", type=Path, required=True, help="folder of BSDS500")
    parser.add_argument("--count", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(1)  # the seconds of the table are those of one core
    rows = read_rows(TABLE)
    if args.task == "measure":
        for index, path in enumerate(validation_pictures(args.data)[: args.count]):
            if any(row["picture"] == path.stem for row in rows):
                continue
            row = measure(path, index)
            print(path.stem, row["size"], row["ratio"], row["confidence"], flush=True)
            rows.append({name: row[name] for name in COLUMNS})
            write_rows(TABLE, rows)
    judged = read_rows(CONFIDENCE)
    page = report(rows, section(judged) if judged else ())
    (RESULTS / "blind.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
