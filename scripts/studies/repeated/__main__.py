"""Which DnCNN breaks a picture when it is applied again and again, and which does not.

    python -m scripts.studies.repeated --data BSDS500     # trains and measures, minutes

Networks of one level, σ·255 = 15 and 38.25, with and without batch normalisation, a deeper one and
one that trains longer, measured along their training; beside them `dncnn_grey`, which is blind to
the level, and `euler_grey`, which takes no two pictures further apart. Rows that are there are not
made again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from pnp_recon import load_denoiser
from pnp_recon.datasets.folders import load_training_data
from pnp_recon.datasets.splits import test_pictures
from scripts.protocol import IMAGES, RESULTS, Rows, crop
from scripts.studies.repeated.networks import PATCH, TRIALS, Trial, level_noise, train
from scripts.studies.repeated.orbits import SHOWN, Map, orbit
from scripts.studies.repeated.report import draw, orbit_file, table

SHIPPED = ("euler_grey", "dncnn_grey")
LEVELS = (15.0, 38.25)
SIDE, PICTURES = 48, 2


def clean_pictures(data: Path, count: int = PICTURES) -> Tensor:
    """Central crops of test pictures, (B, 1, SIDE, SIDE)."""
    paths = test_pictures(data)[:: 200 // count][:count]
    return torch.cat([crop(path, SIDE, True) for path in paths])


def measure(
    rows: Rows, runs: Path, apply: Map, clean: Tensor, applications: int, **key: object
) -> None:
    """Adds a row, and beside the weights the pictures of the orbit, which the figure shows."""
    if rows.has(**key):
        return
    level = float(str(key["level"]))
    y = clean + level_noise(tuple(clean.shape), level)
    found = orbit(apply, y, clean, applications)
    rows.add(
        **key,
        applied=found.applied,
        norms=found.norms,
        psnr=found.psnr,
        steps=found.steps,
        quotient=found.quotient,
        lost=found.lost,
    )
    runs.mkdir(parents=True, exist_ok=True)
    torch.save(torch.cat([clean[:1], y[:1], *found.pictures]), orbit_file(runs, **key))
    print(key, found.norms, found.psnr, found.quotient, found.lost, flush=True)


def shipped(rows: Rows, runs: Path, clean: Tensor, applications: int) -> None:
    for name in SHIPPED:
        denoiser = load_denoiser(name)
        for level in LEVELS:
            apply = partial(denoiser, sigma=level / 255)
            measure(rows, runs, apply, clean, applications, model=name, level=level)


def study(
    rows: Rows,
    data: Path,
    runs: Path,
    trials: tuple[Trial, ...] = TRIALS,
    applications: int = SHOWN[-1],
) -> None:
    clean = clean_pictures(data)
    pictures = load_training_data(data, 1, PATCH)
    shipped(rows, runs, clean, applications)
    for trial in trials:
        for step, network in train(trial, pictures, runs / trial.name, print).items():
            key = {"model": trial.name, "level": trial.level, "trained": step}
            measure(rows, runs, network, clean, applications, **key)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, help="BSDS500; without it the rows are shown anew")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--runs", type=Path, default=Path("runs/repeated"), help="weights")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = Rows(options.results / "repeated.jsonl")
    if options.data is not None and options.quick:
        small = Trial(25.0, True, depth=4, width=8, kept=(1, 2))
        study(rows, options.data, options.runs, (small,), 3)
    elif options.data is not None:
        study(rows, options.data, options.runs)
    text = table(rows)
    (options.results / "repeated.md").write_text(text, encoding="utf-8")
    draw(rows, options.runs, options.images / "repeated.png")
    print(text)


if __name__ == "__main__":
    main()
