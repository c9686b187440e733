"""Rows of `trials` at the fixed point.

    python -m scripts.studies.research.fixed_points NAME ... --data BSDS500

Deblurring by PnP-HQS of held-out pictures with each row's network, at the best of a few levels and
couplings for each problem. Each run adds its line to docs/results/research_fixed_points.csv, in
place of an older one of that name.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from operators import kernels
from pnp_recon.datasets.folders import load_training_data
from pnp_recon.pictures.crops import centre_crop
from pnp_recon.problems.noise import validation_generator
from pnp_recon.solvers.tuning import coupling
from pnp_recon.training.families import refreshed
from pnp_recon.training.fixed_point.exercises import Blurred, Exercise, blurred
from pnp_recon.training.fixed_point.trainer import restored
from pnp_recon.training.trainer import read_checkpoint
from scripts.protocol import RESULTS
from scripts.studies.research.rows import HELD_OUT, record, revision
from scripts.studies.research.trials import TRIALS

TABLE = RESULTS / "research_fixed_points.csv"
PICTURES, SIDE = 4, 128
# Name, kernel, σ·255.
PROBLEMS = (
    ("motion at 7.65", kernels.linear_motion(15, 30), 7.65),
    ("Gaussian at 2.55", kernels.gaussian(1.6), 2.55),
    ("Gaussian at 12.75", kernels.gaussian(1.6), 12.75),
)
# Levels of networks that are told one, σ·255; couplings c of γ = c (level/σ)².
LEVELS = (7.0, 14.0)
COUPLINGS = (3.3, 4.4, 5.5, 7.7)


def trained(name: str, folder: Path) -> nn.Module:
    """The averaged weights of a row, whose norms belong to them."""
    network = TRIALS[name].make()
    network.load_state_dict(read_checkpoint(folder / name / "checkpoint.pt")["average"])
    return refreshed(network)


def levels_of(name: str) -> tuple[float, ...]:
    """A network that was trained at one level runs at it."""
    recipe = TRIALS[name].settings()
    lowest, highest = recipe.sigma_min * 255, recipe.sigma_max * 255
    return (highest,) if math.isclose(lowest, highest) else LEVELS


def exercise(data: Blurred, noise: float, level: float, c: float) -> Exercise:
    gamma = coupling(c, level / 255, noise / 255)
    return Exercise("blur", data, noise / 255, level / 255, gamma, 1.0)


@torch.no_grad()
def best(name: str, network: nn.Module, pictures: list[Tensor]) -> dict[str, object]:
    """The best mean PSNR of each problem, and at which level and coupling it was found."""
    found: dict[str, object] = {}
    for title, kernel, noise in PROBLEMS:
        scores = []
        for level, c in itertools.product(levels_of(name), COUPLINGS):
            values = []
            for index, picture in enumerate(pictures):
                clean = centre_crop(picture, SIDE)[None].float() / 255
                generator = validation_generator(index)
                data = blurred(clean, [kernel], noise / 255, generator)
                image = restored(network, exercise(data, noise, level, c))
                values.append(-10 * math.log10(float(F.mse_loss(image, clean))))
            scores.append((sum(values) / len(values), level, c))
        psnr, level, c = max(scores)
        found |= {title: f"{psnr:.3f}", f"{title}_at": f"level {level:g} c {c:g}"}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=TRIALS, metavar="NAME")
    parser.add_argument("--data", type=Path, required=True, help="BSDS500")
    parser.add_argument("--runs", type=Path, default=Path("runs/research"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures = load_training_data(given.data, 1, 64, HELD_OUT).validation[:: HELD_OUT // PICTURES]
    for name in track(given.names, "Rows", console=Console()):
        found = best(name, trained(name, given.runs), pictures)
        record({"name": name, **found, "revision": revision()}, TABLE)


if __name__ == "__main__":
    main()
