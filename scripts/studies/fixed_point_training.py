"""What training at the fixed point brings.

    python -m scripts.studies.fixed_point_training RUN --data BSDS500

Writes docs/results/research_fixed_point_training.csv: the validation of a run of
`pnp-train fixed-point --init euler_colour`, and before it, at step 0, that of euler_colour.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from pnp_recon.datasets.folders import load_training_data
from pnp_recon.files import atomic_write
from pnp_recon.models.load import load_network
from pnp_recon.training.denoiser.recipe import VALIDATION_LEVELS
from pnp_recon.training.fixed_point.trainer import restoration_psnr
from pnp_recon.training.validation import validation_psnr
from scripts.protocol import RESULTS

TABLE = RESULTS / "research_fixed_point_training.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder of pnp-train fixed-point")
    parser.add_argument("--data", type=Path, required=True, help="BSDS500")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures = load_training_data(given.data, 3, 64, 0).validation
    network = load_network("euler_colour")[0]
    with torch.autocast("cpu", torch.bfloat16):
        before = validation_psnr(network, pictures, VALIDATION_LEVELS)
    before |= restoration_psnr(network, pictures)
    with (given.run / "log.csv").open(newline="", encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    lines = [["step", "seconds", *before], ["0", "0", *(f"{v:.3f}" for v in before.values())]]
    for row in log:
        values = [f"{float(row[key]):.3f}" for key in before]
        lines.append([row["step"], f"{float(row['seconds']):.0f}", *values])
    atomic_write(TABLE, "".join(",".join(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
