"""How deep a certified denoiser has to be: its steps on a simplex decide.

    python -m scripts.studies.depth run --data BSDS500         # trains and measures, minutes
    python -m scripts.studies.depth controls --data BSDS500    # of the depths that came out
    python -m scripts.studies.depth report

Begins as `euler_grey`. Stage one: relative steps s ≥ 0 with Σ s = T, projected after every step of
the optimiser. Blocks whose step is zero are left out, exactly; the rest trains on with free steps.
Controls: the first blocks instead of the chosen ones, for the same steps, and a network of that
depth from nothing. Rows that are there are not made again; a stopped training goes on.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from pnp_recon.datasets.folders import TrainingData, load_training_data
from pnp_recon.datasets.splits import bsd68
from pnp_recon.networks.euler import EulerNet
from pnp_recon.training.denoiser.network import build_network
from pnp_recon.training.denoiser.trainer import DenoiserTrainer
from scripts.protocol import RESULTS, Rows
from scripts.studies.depth.measure import measure, table, trained
from scripts.studies.depth.networks import ShareNet, keep
from scripts.studies.depth.training import freed, from_nothing, on_simplex

TOTALS = (4.0, 2.0, 1.0)
# Steps on the simplex, of what is left, and of a network from nothing.
LENGTHS = (500, 1000, 6000)


def beginning() -> EulerNet:
    """`euler_grey`, its weights free again."""
    network = copy.deepcopy(trained("euler_grey")).float().train().requires_grad_(True)
    for block in network.flow_blocks():
        block.calibrate()
    return network


def averaged(trainer: DenoiserTrainer) -> EulerNet:
    """The mean of the weights, which is what is measured."""
    return cast(EulerNet, trainer.average)


def study(
    rows: Rows,
    data: TrainingData,
    test: list[Path],
    runs: Path,
    totals: tuple[float, ...],
    lengths: tuple[int, int, int],
) -> None:
    first, second, _ = lengths
    if not rows.has(name="euler_grey"):
        measure(rows, "euler_grey", trained("euler_grey"), test, stage="shipped")
    for total in totals:
        tag = f"simplex_{total:g}"
        trainer = on_simplex(ShareNet(beginning()), total, first, data, runs / tag)
        kept = trainer.network.kept()
        facts = {"total": total, "kept": kept}
        measure(rows, tag, keep(averaged(trainer), kept), test, stage="simplex", **facts)
        if len(kept) == len(trainer.network.blocks):
            continue  # nothing is left out
        left = freed(trainer.network.pruned(), second, data, runs / f"{tag}_freed")
        measure(rows, f"{tag}_freed", averaged(left), test, stage="freed", **facts)


def controls(
    rows: Rows,
    data: TrainingData,
    test: list[Path],
    runs: Path,
    lengths: tuple[int, int, int],
) -> None:
    """For each depth that was chosen: the first blocks, and a network from nothing."""
    first, second, whole = lengths
    depths = sorted({len(r["kept"]) for r in rows.rows if r["stage"] == "freed"})
    for depth in depths:
        chosen = list(range(depth))
        control = freed(keep(beginning(), chosen), first + second, data, runs / f"first_{depth}")
        measure(rows, f"first_{depth}", averaged(control), test, stage="first blocks", kept=chosen)
    for depth in depths:
        config = replace(beginning().config, blocks=depth)
        fresh = from_nothing(build_network(config, 0), whole, data, runs / f"fresh_{depth}")
        measure(rows, f"fresh_{depth}", averaged(fresh), test, stage="from nothing")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("task", choices=("run", "controls", "report"))
    parser.add_argument("--data", type=Path, help="BSDS500; not for report")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=Path("runs/depth"), help="checkpoints")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    options = parser.parse_args(arguments)
    rows = Rows(options.results / "adaptive_depth.jsonl")
    if options.task != "report":
        if options.data is None:
            raise SystemExit(f"{options.task} needs --data, the folder of BSDS500")
        torch.set_num_threads(1)
        data = load_training_data(options.data, 1, 64)
        test = bsd68(options.data)[: 1 if options.quick else None]
        totals, lengths = ((0.01,), (3, 2, 2)) if options.quick else (TOTALS, LENGTHS)
        if options.task == "run":
            study(rows, data, test, options.runs, totals, lengths)
        else:
            controls(rows, data, test, options.runs, lengths)
    text = table(rows)
    (options.results / "adaptive_depth.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
