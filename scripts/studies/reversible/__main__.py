"""Memory and time against depth, and CT networks of four times the depth: trains, measures, writes.

    python -m scripts.studies.reversible memory    # on an idle machine: memory, time, exactness
    python -m scripts.studies.reversible train --data ct_slices_256.npz --runs runs
    python -m scripts.studies.reversible report    # docs/results/reversible.md and its figure

A run goes on where it was stopped; rows that are there are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from scripts.protocol import IMAGES, RESULTS, Rows
from scripts.studies.reversible import memory, report
from scripts.studies.reversible.runs import CELLS, DEPTH, GROUPS, STEPS, WIDTH, configuration, train


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("memory", help="memory, time and exactness of a step against depth")
    training = commands.add_parser("train", help="both groups on 136 scans")
    training.add_argument("--data", type=Path, required=True, help="ct_slices_256.npz")
    training.add_argument("--runs", type=Path, required=True, help="folder of the checkpoints")
    training.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
    training.add_argument("--steps", type=int, default=STEPS, help="of one scan each")
    training.add_argument("--cell", choices=CELLS, default=CELLS[0])
    training.add_argument("--depth", type=int, default=DEPTH, help="iterations")
    training.add_argument("--width", type=int, default=WIDTH, help="channels of a map")
    commands.add_parser("report", help="table and figure from the rows")
    given = parser.parse_args()
    rows = Rows(given.results / "reversible.jsonl")
    torch.set_num_threads(1)
    if given.command == "memory":
        memory.run(rows)
    elif given.command == "train":
        for group in given.groups:
            config = configuration(group, given.depth, given.width, given.cell)
            train(given.data, given.runs, rows, config, given.steps)
    else:
        report.write(given.results, IMAGES)


if __name__ == "__main__":
    main()
