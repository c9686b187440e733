"""Denoising of coloured rectangles: ordinary and equivariant networks, five runs each.

After Celledoni et al. 2021, "Structure-preserving deep learning", §5.2: they see upright
rectangles only, and are then asked for turned ones.
"""

from __future__ import annotations

import argparse

from scripts.protocol import Rows
from scripts.studies.equivariance.denoiser import NETWORKS
from scripts.studies.equivariance.rectangles_runs import (
    FULL,
    SEEDS,
    SHORT,
    find_rate,
    run,
    tuned,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task", choices=("rate", "run", "report"), help="rate: search; run: rows; report: pages"
    )
    parser.add_argument("--network", choices=tuple(NETWORKS), help="one network only")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--full", action="store_true", help="the paper's 1500 steps of 64")


def main(options: argparse.Namespace) -> None:
    rows = Rows(options.results / "equivariance_rectangles.jsonl")
    runs = options.runs / "rectangles"
    budget = FULL if options.full else SHORT
    if options.task == "rate":
        find_rate(rows, runs)
        print(f"rate {tuned(rows):g}")
    elif options.task == "run":
        for seed in SEEDS if options.seed is None else (options.seed,):
            for name in NETWORKS if options.network is None else (options.network,):
                run(rows, runs, name, seed, budget)
    else:
        from scripts.studies.equivariance.rectangles_report import report

        report(rows, runs, budget, options.results, options.images)
