"""Counts how often heuristics are right, and writes docs/results/heuristics.md.

    python -m scripts.studies.heuristics zingers
    python -m scripts.studies.heuristics middle --photographs BSDS500 --slices ct_slices_256.npz
    python -m scripts.studies.heuristics palettes --photographs BSDS500

Each part takes a few minutes of one core and replaces its own rows; --quick takes few cases, for a
test, and belongs into another --results.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from scripts.protocol import RESULTS, environment, read_rows, write_rows
from scripts.studies.heuristics import middle, palettes, zingers

HEAD = """# How often heuristics are right

What `pnp_recon` tells from data without a proof, counted by `python -m scripts.studies.heuristics`.
"""
PARTS = {"zingers": zingers, "middle": middle, "palettes": palettes}
NEEDED = {"zingers": (), "middle": ("photographs", "slices"), "palettes": ("photographs",)}


def page(rows: Sequence[dict[str, str]]) -> str:
    """The rows of each part that was run, under what its module says."""
    lines = [HEAD]
    for part, module in PARTS.items():
        here = [row for row in rows if row["part"] == part]
        if not here:
            continue
        title, _, words = str(module.__doc__).strip().partition("\n\n")
        lines += [f"## {title.rstrip('.')}", "", words, ""]
        lines += [f"Measured with {here[0]['versions']}.", ""]
        lines += ["| what | found |", "|---|---|"]
        lines += [f"| {row['what']} | {row['found']} |" for row in here]
        lines += [""]
    return "\n".join(lines)


def record(results: Path, part: str, found: Iterable[tuple[str, str]]) -> None:
    """Puts what a part found in the place of its rows, and writes the page."""
    path = results / "heuristics.csv"
    rows = [row for row in read_rows(path) if row["part"] != part]
    for what, words in found:
        print(f"{what}: {words}", flush=True)
        rows.append({"part": part, "what": what, "found": words, "versions": environment()})
    write_rows(path, rows)
    (results / "heuristics.md").write_text(page(rows), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--photographs", type=Path, help="folder of BSDS500")
    parser.add_argument("--slices", type=Path, help="ct_slices_256.npz")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="few cases")
    given = parser.parse_args(argv)
    for name in NEEDED[given.part]:
        if getattr(given, name) is None:
            parser.error(f"{given.part} needs --{name}")
    torch.set_num_threads(1)
    if given.part == "zingers":
        found = zingers.measure(given.quick)
    elif given.part == "middle":
        found = middle.measure(given.photographs, given.slices, given.quick)
    else:
        found = palettes.measure(given.photographs, given.quick)
    record(given.results, given.part, found)


if __name__ == "__main__":
    main()
