"""Whether equivariance pays: trains, measures, and writes docs/results/equivariance_*.

    python -m scripts.studies.equivariance rectangles rate     # learning rates, on an own seed
    python -m scripts.studies.equivariance rectangles run      # five seeds of both networks
    python -m scripts.studies.equivariance rectangles run --network equivariant --seed 3
    python -m scripts.studies.equivariance rectangles report   # table and figures
    python -m scripts.studies.equivariance ct run --data ct_slices_256.npz    # 30 runs
    python -m scripts.studies.equivariance ct run --data ct_slices_256.npz --only C4_005_0
    python -m scripts.studies.equivariance ct baselines --data ct_slices_256.npz
    python -m scripts.studies.equivariance ct long --data ct_slices_256.npz   # why it trails
    python -m scripts.studies.equivariance ct long --data ct_slices_256.npz --only "C4 96" --seed 1
    python -m scripts.studies.equivariance ct report
    python -m scripts.studies.equivariance ct models --data ct_slices_256.npz # those shipped
    python -m scripts.studies.equivariance ct pictures --data ct_slices_256.npz    # after `ct run`
    python -m scripts.studies.equivariance denoisers run --data BSDS500   # and averaged
    python -m scripts.studies.equivariance inpainting

Every run goes on where it was stopped; rows that are there are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.protocol import IMAGES, RESULTS
from scripts.studies.equivariance import ct, denoisers, inpainting, rectangles

STUDIES = {"rectangles": rectangles, "ct": ct, "denoisers": denoisers, "inpainting": inpainting}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    studies = parser.add_subparsers(dest="study", required=True)
    for name, module in STUDIES.items():
        study = studies.add_parser(name, help=str(module.__doc__).partition("\n")[0])
        study.add_argument("--results", type=Path, default=RESULTS)
        study.add_argument("--images", type=Path, default=IMAGES)
        study.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints")
        module.add_arguments(study)
    options = parser.parse_args(arguments)
    STUDIES[options.study].main(options)


if __name__ == "__main__":
    main()
