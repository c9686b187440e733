"""Training of reversible unrolled networks on all 136 scans, as `equivariance.ct_runs` trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.invertible.unrolled import unrolled_network
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.training.unrolled.recipe import UnrolledRecipe
from pnp_recon.training.unrolled.trainer import UnrolledTrainer
from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import TEST_SETS, TESTING, TRAINING, read, scans
from scripts.studies.equivariance.ct_runs import SIDE, digest, scores

GROUPS, DEPTH, WIDTH, STEPS, LOOKS = ("C1", "C4"), 32, 16, 800, 16
CELLS = ("reversible", "plain")


def configuration(
    group: str, depth: int = DEPTH, width: int = WIDTH, cell: str = CELLS[0]
) -> UnrolledConfig:
    """By default four times the depth of the plain networks; about as many numbers."""
    return UnrolledConfig(group=group, width=width, depth=depth, gradient="filtered", cell=cell)


def network(config: UnrolledConfig, seed: int = 0) -> UnrolledNetwork:
    torch.manual_seed(seed)
    return unrolled_network(config)


def train(
    data: Path,
    runs: Path,
    rows: Rows,
    config: UnrolledConfig,
    steps: int = STEPS,
    seed: int = 0,
) -> None:
    """One row; nothing is done where it is there, and a killed run goes on."""
    names = ("cell", "group", "depth", "width")
    key: dict[str, Any] = {name: getattr(config, name) for name in names}
    key |= {"seed": seed, "steps": steps}
    if rows.has(**key):
        return
    archive, held = read(data, "train"), read(data, "val")
    everything = list(range(len(held.numbers)))
    A, pairs = scans(archive, list(range(len(archive.numbers))), SIDE, TRAINING)
    _, validation = scans(held, everything, SIDE, TESTING)
    folder = runs / "_".join(map(str, key.values()))
    recipe = UnrolledRecipe(steps=steps, seed=seed)
    trainer = UnrolledTrainer(network(config, seed), recipe, A, pairs, validation, folder)
    trainer.run(lambda line: print(folder.name, line, flush=True), every=steps // LOOKS)
    found: dict[str, Any] = {}
    for name, change in TEST_SETS.items():
        found[name] = scores(trainer.average, A, scans(change(held), everything, SIDE, TESTING)[1])
    rows.add(
        **key,
        scans=len(pairs),
        parameters=sum(p.numel() for p in trainer.average.parameters()),
        scores=found,
        seconds=trainer.seconds,
        sha256=digest(trainer.average),
    )
