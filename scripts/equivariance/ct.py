"""CT from few scans: learned proximal gradient, ordinary (C1) against equivariant, equal width.

50 views of a parallel beam, 10⁴ photons a ray, slices averaged to 128² (pixels of 2 mm). Every run
has the same number of steps. A run is a folder with a checkpoint: killed, it goes on. Its row holds
the final weights' PSNR and SSIM on `val`, on `val` turned by quarter turns and on `val` rotated by
random angles, and the best PSNR that any of its checkpoints had on `val`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path
from typing import Any

import torch
from protocol import Rows
from torch import Tensor

from equivariance.ct_data import TEST_SETS, TESTING, TRAINING, read, scans, training_set
from operators import RayTransform
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledTrainer

SIZES, SEEDS, GROUPS = (5, 10, 20, 50, 136), (0, 1, 2), ("C1", "C4")
SIDE, WIDTH, STEPS, LOOK = 128, 48, 800, 100


def network(group: str, seed: int, width: int = WIDTH) -> UnrolledNetwork:
    torch.manual_seed(seed)
    return UnrolledNetwork(UnrolledConfig(group=group, width=width, gradient="filtered"))


def train(
    data: Path, runs: Path, rows: Rows, group: str, count: int, seed: int, width: int = WIDTH
) -> None:
    """One row; nothing is done where it is there."""
    key = {"group": group, "scans": count, "seed": seed, "steps": STEPS, "width": width}
    if rows.has(**key):
        return
    archive, held = read(data, "train"), read(data, "val")
    everything = list(range(len(held.numbers)))
    A, pairs = scans(archive, training_set(archive, count, seed), SIDE, TRAINING)
    _, validation = scans(held, everything, SIDE, TESTING)
    recipe = UnrolledRecipe(steps=STEPS, seed=seed)
    folder = runs / (f"{group}_{count:03d}_{seed}" + ("" if width == WIDTH else f"_{width}"))
    trainer = UnrolledTrainer(network(group, seed, width), recipe, A, pairs, validation, folder)
    trainer.run(lambda line: print(folder.name, line, flush=True), every=LOOK)
    found: dict[str, Any] = {}
    for name, change in TEST_SETS.items():
        _, test = scans(change(held), everything, SIDE, TESTING)
        found[name] = scores(trainer.average, A, test)
    _, first = scans(archive, training_set(archive, min(count, 13), seed), SIDE, TRAINING)
    found["train"] = scores(trainer.average, A, first)
    with trainer.log.open() as file:
        looks = [float(line["psnr_val"]) for line in csv.DictReader(file)]
    weights = sum(p.numel() for p in trainer.average.parameters())
    rows.add(
        **key,
        parameters=weights,
        best_look=max(looks),
        looks=looks,
        scores=found,
        seconds=trainer.seconds,
        sha256=digest(trainer.average),
    )


@torch.no_grad()
def scores(model: UnrolledNetwork, A: RayTransform, pairs: Pairs) -> dict[str, list[float]]:
    """PSNR and SSIM of each picture in float32, clipped to the window; peak and range: 1."""
    found: dict[str, list[float]] = {"psnr": [], "ssim": []}
    for y, truth in zip(pairs.measurements, pairs.pictures, strict=True):
        image = model(y[None], A).clamp(0, 1)
        found["psnr"].append(round(float(psnr(image, truth[None])), 4))
        found["ssim"].append(round(float(ssim(image, truth[None])), 5))
    return found


def digest(model: torch.nn.Module) -> str:
    state: dict[str, Tensor] = model.state_dict()
    data = b"".join(state[key].numpy().tobytes() for key in sorted(state))
    return hashlib.sha256(data).hexdigest()[:16]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=("run", "baselines", "report", "pictures"))
    parser.add_argument("--data", type=Path, help="ct_slices_256.npz; not for report")
    parser.add_argument("--only", nargs="*", help="runs by name: group, scans, seed: C4_005_0")
    parser.add_argument("--width", type=int, default=WIDTH, help="other widths: a table apart")


def main(options: argparse.Namespace) -> None:
    from equivariance import ct_baselines, ct_pictures, ct_report

    if options.task == "report":
        ct_report.write(options.results, options.images)
        return
    if options.data is None:
        raise SystemExit(f"ct {options.task} needs --data, the archive of CT slices")
    if options.task == "baselines":
        ct_baselines.run(options.data, options.results)
        return
    if options.task == "pictures":
        ct_pictures.draw(options.data, options.runs, options.images)
        return
    rows = Rows(options.results / "equivariance_ct.jsonl")
    for seed in SEEDS:
        for count in SIZES:
            for group in GROUPS:
                if options.only is None or f"{group}_{count:03d}_{seed}" in options.only:
                    runs = options.runs / "equivariance_ct"
                    train(options.data, runs, rows, group, count, seed, options.width)
