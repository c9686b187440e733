"""Strengths of an energy from a window of the data beside those from all of it.

Colour pictures of BSDS500 val outside BSD68, whole, with borders that are not seen; one thread.

    python -m scripts.tables.strength_window --data BSDS500
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from operators import kernels
from pnp_recon.datasets.folders import load_float
from pnp_recon.datasets.splits import validation_pictures
from pnp_recon.models.load import load_energy
from pnp_recon.problems.noise import command_noise
from pnp_recon.problems.problem import Problem
from pnp_recon.problems.simulate import deblurring
from pnp_recon.solvers import SOLVERS, Stopping
from pnp_recon.solvers.choice import configured
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.strength.rule import weighing_of
from pnp_recon.strength.search import automatic
from pnp_recon.strength.window import window

KERNELS = {
    "trajectory 0": kernels.trajectory(25, 0),
    "trajectory 1": kernels.trajectory(25, 1),
    "trajectory 902": kernels.trajectory(25, 902),
    "Gaussian 1.6 px": kernels.gaussian(1.6),
    "disc 3 px": kernels.disk(3.0),
}
# Picture, kernel, noise·255.
CASES = (
    (3, "trajectory 0", 2.55), (20, "trajectory 1", 7.65), (7, "trajectory 902", 2.55),
    (11, "Gaussian 1.6 px", 2.55), (14, "trajectory 1", 2.55), (25, "disc 3 px", 7.65),
    (28, "trajectory 0", 12.75), (31, "trajectory 902", 7.65),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="BSDS500")
    pictures = validation_pictures(parser.parse_args().data)
    torch.set_num_threads(1)
    prior = load_energy("energy_colour")

    def strength(problem: Problem) -> tuple[float, float]:
        begin = time.process_time()
        found = automatic(
            problem,
            lambda given, value: configured(prior, SOLVERS["descent"], given, Knobs(value)),
            Stopping(),
            weighing=weighing_of("energy"),
        )
        return found.value, time.process_time() - begin

    print("| picture | kernel | σ·255 | all data | CPU s | window | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for index, name, noise in CASES:
        x = load_float(pictures[index], grey=False)
        problem = deblurring(x, KERNELS[name], noise / 255, command_noise(0), "valid")
        part = window(problem)
        assert part is not None
        whole, within = strength(problem), strength(part)
        print(
            f"| {pictures[index].stem} | {name} | {noise} | {whole[0]} | {whole[1]:.1f} | "
            f"{within[0]} | {within[1]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
