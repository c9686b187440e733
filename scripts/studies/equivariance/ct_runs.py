"""Runs of learned proximal gradient on few scans, and the rows that they leave behind."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from operators import RayTransform
from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.pictures.metrics import psnr, ssim
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledRecipe, UnrolledTrainer
from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import (
    TEST_SETS,
    TESTING,
    TRAINING,
    read,
    scans,
    training_set,
)

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
    with trainer.log.open(encoding="utf-8") as file:
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
