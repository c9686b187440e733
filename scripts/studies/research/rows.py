"""Runs rows of `trials`.

    python -m scripts.studies.research.rows NAME ... --data BSDS500

Each run adds its line to docs/results/research.csv, in place of an older one of that name. A run
that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from pnp_recon.datasets.folders import TrainingData, load_training_data
from pnp_recon.files import atomic_write
from pnp_recon.training.denoiser.recipe import DenoiserRecipe
from pnp_recon.training.families import refreshed
from pnp_recon.training.trainer import Progress, read_checkpoint
from pnp_recon.training.validation import validation_psnr
from scripts.protocol import RESULTS, ROOT
from scripts.studies.research.training import TrialTrainer
from scripts.studies.research.trials import TRIALS

TABLE = RESULTS / "research.csv"
HELD_OUT = 24
# Steps between two points of a curve.
EVERY = 100


def run(name: str, folder: Path, data: TrainingData, console: Console) -> dict[str, object]:
    """One row of the table."""
    trial = TRIALS[name]
    network = trial.make()
    recipe = trial.settings()
    if trial.of is not None:
        begin = time.perf_counter()
        found = of_trained(network, folder / trial.of, data, recipe)
        return line(name, network, recipe, time.perf_counter() - begin, found)
    trainer = TrialTrainer(network, recipe, data, folder / name, trial.loss)

    def report(progress: Progress) -> None:
        values = " ".join(f"{value:.2f}" for value in progress.psnr.values())
        console.print(f"{name} step {progress.step}: {values} dB", highlight=False)

    trainer.run(report, every=EVERY)
    return line(name, network, recipe, trainer.seconds, trainer.psnr)


def of_trained(
    network: nn.Module, folder: Path, data: TrainingData, recipe: DenoiserRecipe
) -> dict[str, float]:
    """The PSNR of a form of a network that was trained before: its part `net`."""
    inner = network.get_submodule("net")
    inner.load_state_dict(read_checkpoint(folder / "checkpoint.pt")["average"])
    with torch.autocast("cpu", torch.bfloat16):
        return validation_psnr(refreshed(network), data.validation, recipe.validation_levels())


def line(
    name: str,
    network: nn.Module,
    recipe: DenoiserRecipe,
    seconds: float,
    psnr: dict[str, float],
) -> dict[str, object]:
    return {
        "name": name,
        "topic": TRIALS[name].topic,
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": recipe.steps,
        "seconds": round(seconds),
        **{key: round(value, 3) for key, value in psnr.items()},
        "seed": recipe.seed,
        "torch": torch.__version__,
        "revision": revision(),
    }


def revision() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8").stdout.strip()


def record(row: dict[str, object], table: Path = TABLE) -> None:
    """Puts a row into a table, whose order is that of `TRIALS`."""
    rows = {}
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            rows = {old["name"]: old for old in csv.DictReader(file)}
    rows[str(row["name"])] = {key: str(value) for key, value in row.items()}
    fields = list(dict.fromkeys(key for known in rows.values() for key in known))
    lines = [fields, *([rows[n].get(key, "") for key in fields] for n in TRIALS if n in rows)]
    atomic_write(table, "".join(",".join(line) + "\n" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *TRIALS], metavar="NAME")
    parser.add_argument("--data", type=Path, required=True, help="BSDS500")
    parser.add_argument("--runs", type=Path, default=Path("runs/research"))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    console = Console()
    data = load_training_data(given.data, 1, 64, HELD_OUT)
    for name in track(given.names or list(TRIALS), "Trials", console=console):
        record(run(name, given.runs, data, console))


if __name__ == "__main__":
    main()
