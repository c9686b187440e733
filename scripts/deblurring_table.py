"""Deblurring of ten BSDS500 test pictures: certified plug-and-play, tuned TV, Wiener.

Circular convolution, two kernels, σ·255 = 2.55 and 7.65; parameters of every method as tuned on
val without BSD68 (`scripts/tune.py`). Rows go to a JSON Lines file, a run that was stopped goes
on; the table is printed and written as Markdown.

    python scripts/deblurring_table.py --data BSDS500 [--grey] [--crop 256]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from baselines import total_variation, wiener
from protocol import LEVELS, Rows, blurred, crop, deblurring_kernels, environment

from operators import Convolution
from pnp_recon import load_denoiser, reconstruct
from pnp_recon.datasets import test_pictures
from pnp_recon.metrics import psnr, ssim
from pnp_recon.solvers import Stopping

METHODS = ("degraded", "Wiener", "tuned TV", "pnp-hqs")


def tuned(path: Path, solver: str, noise: float) -> dict[str, float]:
    """The best parameters that `tune.py` found."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in rows if row["solver"] == solver and row["noise"] == noise]
    return max(rows, key=lambda row: float(row["psnr"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--grey", action="store_true")
    parser.add_argument("--crop", type=int, default=None)
    parser.add_argument("--kernel", default="", help="only kernels whose name starts so")
    parser.add_argument("--tuning", type=Path, default=Path("docs/results/tuning.jsonl"))
    parser.add_argument("--output", type=Path, default=Path("docs/results/deblurring.jsonl"))
    options = parser.parse_args()
    denoiser = load_denoiser("euler_grey" if options.grey else "euler_colour")
    rows = Rows(options.output)
    for name, kernel in deblurring_kernels().items():
        if not name.startswith(options.kernel):
            continue
        for index, path in enumerate(test_pictures(options.data)[::20]):
            x = crop(path, options.crop, options.grey)
            A = Convolution(kernel, tuple(x.shape[1:]), "circular")
            for noise in LEVELS:
                y = blurred(A, x, noise, index)
                for method in METHODS:
                    key = {"kernel": name, "noise": noise, "picture": path.name, "method": method}
                    if rows.has(**key):
                        continue
                    begin, extra = time.perf_counter(), {}
                    if method == "degraded":
                        image = y.clamp(0, 1)
                    elif method == "Wiener":
                        balance = tuned(options.tuning, "wiener", noise)["balance"]
                        image = wiener(kernel, y, balance)
                    elif method == "tuned TV":
                        weight = tuned(options.tuning, "tv", noise)["weight"]
                        image = total_variation(A, y, weight)
                    else:
                        solution = reconstruct(
                            y,
                            A,
                            denoiser,
                            noise_level=noise / 255,
                            solver=method,
                            stopping=Stopping(tol=1e-5, max_iter=500, check_every=1),
                        )
                        image, history = solution.image, solution.history
                        loose = next(k for k in range(500) if max(history.relative(k)) <= 1e-4)
                        extra = {
                            "status": solution.status.name,
                            "certified": solution.certificate.holds,
                            "iterations_1e-4": loose + 1,
                            "seconds_1e-4": history.seconds[loose],
                            "iterations_1e-5": solution.iterations,
                            "sha256": denoiser.card["sha256"],
                        }
                    seconds = time.perf_counter() - begin
                    scores = {"psnr": float(psnr(image, x)), "ssim": float(ssim(image, x))}
                    rows.add(**key, **scores, seconds=seconds, **extra)
                    print(name, noise, path.name, method, scores, f"{seconds:.1f} s", flush=True)
    text = table(rows, options.crop, options.grey)
    options.output.with_suffix(".md").write_text(text)
    print(text)


def table(rows: Rows, size: int | None, grey: bool) -> str:
    """The Markdown table of means."""
    area = "whole pictures" if size is None else f"central {size}² crops"
    hashes = sorted({row["sha256"][:12] for row in rows.rows if "sha256" in row})
    lines = [
        f"Ten BSDS500 test pictures ({'grey' if grey else 'colour'}, {area}), circular blur, mean "
        f"PSNR in dB / SSIM; {environment()}; weights {', '.join(hashes)}.",
        "",
        "| kernel | σ·255 | " + " | ".join(METHODS) + " | above TV |",
        "|---|---|" + "---|" * (len(METHODS) + 1),
    ]
    for name in deblurring_kernels():
        for noise in LEVELS:
            key = {"kernel": name, "noise": noise}
            cells = [
                "{:.2f} / {:.3f}".format(
                    rows.mean("psnr", method=m, **key), rows.mean("ssim", method=m, **key)
                )
                for m in METHODS
            ]
            gain = rows.mean("psnr", method="pnp-hqs", **key)
            gain -= rows.mean("psnr", method="tuned TV", **key)
            lines.append(f"| {name} | {noise:g} | " + " | ".join(cells) + f" | {gain:+.2f} |")
    lines += ["", "| σ·255 | iterations to 1e-4 | seconds | iterations to 1e-5 | seconds |",
              "|---|---|---|---|---|"]  # fmt: skip
    for noise in LEVELS:
        key = {"noise": noise, "method": "pnp-hqs"}
        fields = ("iterations_1e-4", "seconds_1e-4", "iterations_1e-5", "seconds")
        cells = [f"{rows.mean(field, **key):.1f}" for field in fields]
        lines.append(f"| {noise:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
