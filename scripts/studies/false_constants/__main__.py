"""How often a run contradicts a denoiser whose declared constant is false; writes
docs/results/false_constants.*.

    python -m scripts.studies.false_constants run [--each 2] [--base TV]
    python -m scripts.studies.false_constants report

A run goes on where it was stopped: rows that are there are not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from scripts.protocol import RESULTS, Rows
from scripts.studies.false_constants.maps import BASES
from scripts.studies.false_constants.report import report
from scripts.studies.false_constants.runs import cases, measure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--each", type=int, default=2, help="runs of a base, kind and size")
    parser.add_argument("--base", choices=list(BASES), help="only runs with this one")
    parser.add_argument("--limit", type=int, help="at most so many runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    rows = Rows(options.results / "false_constants.jsonl")
    if options.what == "report":
        report(rows, options.results / "false_constants.md")
        return
    torch.set_num_threads(1)
    wanted = [case for case in cases(options.each) if options.base in (None, case.base)]
    for case in wanted[: options.limit]:
        if not rows.has(**vars(case)):
            rows.add(**measure(case))


if __name__ == "__main__":
    main()
