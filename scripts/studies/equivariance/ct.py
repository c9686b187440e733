"""CT from few scans: learned proximal gradient, ordinary (C1) against equivariant, equal width.

50 views of a parallel beam, 10⁴ photons a ray, slices averaged to 128² (pixels of 2 mm). Every run
has the same number of steps. A run is a folder with a checkpoint: killed, it goes on. Its row holds
the final weights' PSNR and SSIM on `val`, on `val` turned by quarter turns and on `val` rotated by
random angles, and the best PSNR that any of its checkpoints had on `val`. `long` asks why the
equivariant network trails where there are many scans (`ct_long`); `models` is about the networks
that are shipped (`ct_models`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.protocol import Rows
from scripts.studies.equivariance.ct_runs import GROUPS, SEEDS, SIZES, WIDTH, train

TASKS = ("run", "long", "baselines", "report", "pictures", "models")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, help="ct_slices_256.npz; not for report")
    parser.add_argument(
        "--only",
        nargs="*",
        help="runs by name (C4_005_0), cases of long ('C4 upright'), or models of models",
    )
    parser.add_argument("--width", type=int, default=WIDTH, help="other widths: a table apart")
    parser.add_argument("--seed", type=int, default=0, help="of long")


def main(options: argparse.Namespace) -> None:
    from scripts.studies.equivariance import (
        ct_baselines,
        ct_long,
        ct_long_report,
        ct_models,
        ct_pictures,
        ct_report,
    )

    if options.task == "report":
        ct_report.write(options.results, options.images)
        ct_long_report.write(options.results, options.images)
        return
    if options.data is None:
        raise SystemExit(f"ct {options.task} needs --data, the archive of CT slices")
    if options.task == "baselines":
        ct_baselines.run(options.data, options.results)
        return
    if options.task == "pictures":
        ct_pictures.draw(options.data, options.runs, options.images)
        return
    if options.task == "models":
        ct_models.run(options.data, options.results, options.only)
        return
    if options.task == "long":
        found = Rows(options.results / "equivariance_ct_long.jsonl")
        for name in options.only or ct_long.CASES:
            ct_long.run(name, options.data, options.runs / "ct_long", found, options.seed)
        return
    rows = Rows(options.results / "equivariance_ct.jsonl")
    for seed in SEEDS:
        for count in SIZES:
            for group in GROUPS:
                if options.only is None or f"{group}_{count:03d}_{seed}" in options.only:
                    runs = options.runs / "equivariance_ct"
                    train(options.data, runs, rows, group, count, seed, options.width)
