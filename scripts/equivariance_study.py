"""Whether equivariance pays: trains, measures, and writes docs/results/equivariance_*.

    python scripts/equivariance_study.py rectangles rate     # learning rates, on a seed of its own
    python scripts/equivariance_study.py rectangles run      # five seeds of both networks
    python scripts/equivariance_study.py rectangles run --network equivariant --seed 3
    python scripts/equivariance_study.py rectangles report   # table and figures
    python scripts/equivariance_study.py ct run --data ct_slices_256.npz    # 30 runs
    python scripts/equivariance_study.py ct run --data ct_slices_256.npz --only C4_005_0
    python scripts/equivariance_study.py ct baselines --data ct_slices_256.npz
    python scripts/equivariance_study.py ct report
    python scripts/equivariance_study.py ct pictures --data ct_slices_256.npz    # after `ct run`
    python scripts/equivariance_study.py denoisers run --data BSDS500    # averaged and equivariant
    python scripts/equivariance_study.py inpainting

Every run goes on where it was stopped; rows that are there are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equivariance import ct, denoisers, inpainting, rectangles

DOCS = Path(__file__).parents[1] / "docs"
STUDIES = {"rectangles": rectangles, "ct": ct, "denoisers": denoisers, "inpainting": inpainting}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    studies = parser.add_subparsers(dest="study", required=True)
    for name, module in STUDIES.items():
        study = studies.add_parser(name, help=str(module.__doc__).partition("\n")[0])
        study.add_argument("--results", type=Path, default=DOCS / "results")
        study.add_argument("--images", type=Path, default=DOCS / "images")
        study.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints")
        module.add_arguments(study)
    options = parser.parse_args(arguments)
    STUDIES[options.study].main(options)


if __name__ == "__main__":
    main()
