"""Why an equivariant network trails its twin where there are many scans: longer runs, and controls.

All 136 scans, five times the steps of the study. Beside the twins: twice the width; the
dihedral group; the ordinary network that also sees every scan turned by quarter turns, which takes
the upright patient from it and leaves all its freedom; the equivariant network whose last
filters of each iteration are free, so that it may learn which way is up; and learned primal-dual.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pnp_recon.networks.configs import UnrolledConfig
from pnp_recon.networks.equivariant import Group, GroupConv, scalars
from pnp_recon.networks.unrolled import UnrolledNetwork
from pnp_recon.training.unrolled.trainer import Pairs, UnrolledRecipe, UnrolledTrainer
from scripts.protocol import Rows
from scripts.studies.equivariance.ct_data import TEST_SETS, TESTING, TRAINING, Archive, read, scans
from scripts.studies.equivariance.ct_runs import SIDE, digest, scores

STEPS, LOOK = 4000, 250
# Training scans whose PSNR is measured.
SHOWN = 13


@dataclass(frozen=True)
class Case:
    """A network of the long study.

    Attributes:
        config: of the network.
        said: what the table calls it.
        turned: whether it also trains on every slice turned by 90°, 180° and 270°.
        upright: whether the last filters of each iteration are not tied by the group.
    """

    config: UnrolledConfig
    said: str
    turned: bool = False
    upright: bool = False


_BASE = UnrolledConfig(group="C1", width=48, gradient="filtered")

CASES = {
    "C1": Case(_BASE, "ordinary"),
    "C4": Case(replace(_BASE, group="C4"), "equivariant (C4)"),
    "C1 turned": Case(_BASE, "ordinary, trained on turned scans, too", turned=True),
    "C4 upright": Case(replace(_BASE, group="C4"), "C4, last filters free", upright=True),
    "D4": Case(replace(_BASE, group="D4"), "equivariant (D4)"),
    "C1 96": Case(replace(_BASE, width=96), "ordinary"),
    "C4 96": Case(replace(_BASE, group="C4", width=96), "equivariant (C4)"),
    "C4 96 upright": Case(
        replace(_BASE, group="C4", width=96), "C4, last filters free", upright=True
    ),
    "C1 primal-dual": Case(replace(_BASE, scheme="primal-dual"), "ordinary, primal-dual"),
    "C4 primal-dual": Case(
        replace(_BASE, group="C4", scheme="primal-dual"), "equivariant (C4), primal-dual"
    ),
}


def network(case: Case, seed: int = 0) -> UnrolledNetwork:
    """The network with its first weights."""
    torch.manual_seed(seed)
    made = UnrolledNetwork(case.config)
    if case.upright:
        none = Group(1)
        for update in made.updates:
            width, target = case.config.width, update.target.channels
            last = GroupConv(
                scalars(none, width), scalars(none, target), case.config.kernel_size, bias=False
            )
            with torch.no_grad():
                last.weight.mul_(0.1)
            update.layers[-1] = last
    return made


def quarter_turns(archive: Archive) -> list[Archive]:
    """The slices turned by 90°, 180° and 270°; noise of their own follows from other numbers."""
    return [
        Archive(torch.rot90(archive.slices, k, (2, 3)), [n + 1000 * k for n in archive.numbers])
        for k in (1, 2, 3)
    ]


def run(name: str, data: Path, runs: Path, rows: Rows, seed: int = 0) -> None:
    """One row; nothing is done where it is there."""
    case = CASES[name]
    key: dict[str, Any] = {"case": name, "seed": seed, "steps": STEPS}
    if rows.has(**key):
        return
    archive, held = read(data, "train"), read(data, "val")
    everything = list(range(len(archive.numbers)))
    A, pairs = scans(archive, everything, SIDE, TRAINING)
    if case.turned:
        more = [scans(turn, everything, SIDE, TRAINING)[1] for turn in quarter_turns(archive)]
        pairs = Pairs(
            torch.cat([p.measurements for p in (pairs, *more)]),
            torch.cat([p.pictures for p in (pairs, *more)]),
        )
    tested = list(range(len(held.numbers)))
    _, validation = scans(held, tested, SIDE, TESTING)
    folder = runs / f"{name.replace(' ', '_')}_{seed}"
    recipe = UnrolledRecipe(steps=STEPS, seed=seed)
    trainer = UnrolledTrainer(network(case, seed), recipe, A, pairs, validation, folder)
    trainer.run(lambda line: print(folder.name, line, flush=True), every=LOOK)
    found = {}
    for test, change in TEST_SETS.items():
        found[test] = scores(trainer.average, A, scans(change(held), tested, SIDE, TESTING)[1])
    shown = Pairs(pairs.measurements[:SHOWN], pairs.pictures[:SHOWN])
    found["train"] = scores(trainer.average, A, shown)
    rows.add(
        **key,
        parameters=sum(p.numel() for p in trainer.average.parameters()),
        scores=found,
        looks=looks(trainer.log),
        seconds=trainer.seconds,
        sha256=digest(trainer.average),
    )


def looks(log: Path) -> list[float]:
    """PSNR on `val` after every `LOOK` steps, from the log of a run."""
    with log.open(encoding="utf-8") as file:
        return [round(float(line["psnr_val"]), 4) for line in csv.DictReader(file)]
