"""What the page needs of the runs: curves, singular values, and the time of a step."""

from __future__ import annotations

import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from pnp_recon.datasets.folders import TrainingData, load_training_data
from pnp_recon.files import atomic_write
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.families import refreshed
from pnp_recon.training.trainer import read_checkpoint
from scripts.studies.research.normalisation import singular_values
from scripts.studies.research.training import TrialTrainer
from scripts.studies.research.trials import TRIALS

CURVES, GAINS, COST = "research_curves.csv", "research_gains.csv", "research_cost.csv"
# Rows whose filters are looked at.
LOOKED_AT = ("small", "features_8", "features_4", "adam", "aol", "sll", "bjorck", "orthogonal")
# Quantiles of the singular values.
QUANTILES = range(0, 101, 5)


def collect(names: list[str], runs: Path, data: Path | None, results: Path) -> None:
    """Writes the three tables beside the rows; times only rows that have none yet."""
    write(results / CURVES, [point for name in names for point in curve(name, runs / name)])
    write(results / GAINS, [gain(name, runs / name) for name in names if name in LOOKED_AT])
    known: dict[str, dict[str, object]] = {}
    if (results / COST).exists():
        with (results / COST).open(newline="", encoding="utf-8") as file:
            known = {row["name"]: dict(row) for row in csv.DictReader(file)}
    missing = [name for name in names if name not in known and TRIALS[name].of is None]
    if missing and data is not None:
        torch.set_num_threads(1)
        pictures = load_training_data(data, 1, 64, 24)
        known |= {name: {"name": name, "ms": round(step_time(name, pictures))} for name in missing}
    write(results / COST, [known[name] for name in TRIALS if name in known])


def write(path: Path, rows: list[dict[str, object]]) -> None:
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    atomic_write(path, "".join(",".join(line) + "\n" for line in lines))


def curve(name: str, run: Path) -> list[dict[str, object]]:
    """Steps and validation PSNR at σ·255 = 25."""
    if not (run / "log.csv").exists():
        return []
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {"name": name, "step": row["step"], "psnr_25": f"{float(row['psnr_25']):.3f}"}
        for row in rows
        if row.get("psnr_25")
    ]


def gain(name: str, run: Path) -> dict[str, object]:
    """Where the singular values of all blocks' filters lie, over frequencies and channels."""
    net = TRIALS[name].make()
    net.load_state_dict(read_checkpoint(run / "checkpoint.pt")["average"])
    net = refreshed(net)
    if not isinstance(net, EulerNet):
        raise TypeError(f"{name} has no Euler blocks to look at")
    net.certify()
    values = torch.cat([singular_values(block) for block in net.flow_blocks()])
    points = torch.quantile(values, torch.tensor(QUANTILES, dtype=values.dtype) / 100)
    return {
        "name": name,
        "rms": f"{float(values.square().mean().sqrt()):.3f}",
        "above": f"{float((values > 0.9).double().mean()):.4f}",
        **{f"q{q:02}": f"{float(point):.3f}" for q, point in zip(QUANTILES, points, strict=True)},
    }


def step_time(name: str, data: TrainingData, steps: int = 8) -> float:
    """Milliseconds of processor time for a step; the mean over some after two to warm up."""
    trial = TRIALS[name]
    with tempfile.TemporaryDirectory() as folder:
        recipe = replace(trial.settings(), steps=steps + 2)
        trainer = TrialTrainer(trial.make(), recipe, data, Path(folder), trial.loss)
        for index in range(steps + 2):
            if index == 2:
                begin = time.process_time()
            trainer.train_step()
    return 1000 * (time.process_time() - begin) / steps
