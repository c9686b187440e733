"""`python -m scripts.studies.reversible train --data … --runs …`"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from scripts.protocol import Rows
from scripts.studies.reversible.runs import GROUPS, train

ROWS = Path("docs/results/reversible.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.studies.reversible")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train on 136 scans; resumes, skips what is done")
    training.add_argument("--data", type=Path, required=True, help="ct_slices_256.npz")
    training.add_argument("--runs", type=Path, required=True, help="folder of the checkpoints")
    training.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for group in GROUPS:
        train(given.data, given.runs, Rows(given.rows), group)


if __name__ == "__main__":
    main()
