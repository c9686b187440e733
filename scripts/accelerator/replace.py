"""Puts a newly trained model in the place of the shipped one if every table says so.

    python -m scripts.accelerator.replace OUT/models/NAME.json --runs RUN ... [--to trained_models]

Tables are the validation figures that both cards have, and runs of `pnp-bench` with both models
(`--methods NAME,OUT/models/NAME.json`), in which a model is known by the hash of its weights: the
mean PSNR of every suite, problem and level. A single lower figure keeps the shipped model, and so
does a picture of which only the old one has a figure. Without `--to` nothing is written.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pnp_recon.benchmark import table
from pnp_recon.errors import PnPReconError
from pnp_recon.files import atomic_write
from pnp_recon.models.card import read_fields
from pnp_recon.models.store import find_card

# What cards call their figures on held-out pictures: PSNR in dB.
FIGURES = (("validation", "psnr_db"), ("figures", "bsd68"))


@dataclass(frozen=True)
class Cell:
    """A figure of both models."""

    what: str
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether the new model is at least as good; never where a figure is no number."""
        return self.after >= self.before


def of_cards(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Cell]:
    found = []
    for outer, inner in FIGURES:
        old, new = (card.get(outer, {}).get(inner, {}) for card in (before, after))
        found += [Cell(f"card, {inner} {key}", old[key], new[key]) for key in old if key in new]
    return found


def of_run(folder: Path, before: str, after: str) -> list[Cell]:
    """Mean PSNR over the pictures that both models have, by suite, problem and level.

    Pictures on which the new model was not run, or failed, have a cell without a number.
    """
    held: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in table.read(folder / "results.csv"):
        if row.model_sha256 in (before, after) and row.measured and row.psnr is not None:
            cell = f"{row.suite}, {row.problem or 'noise'} {row.noise:g}"
            held[cell][row.model_sha256][row.picture] = row.psnr
    found = []
    for what, models in held.items():
        common = models[before].keys() & models[after].keys()
        if common:
            means = [fmean(models[m][picture] for picture in common) for m in (before, after)]
            found.append(Cell(f"{what} ({len(common)} pictures)", *means))
        if lost := models[before].keys() - models[after].keys():
            mean = fmean(models[before][picture] for picture in lost)
            found.append(Cell(f"{what} ({len(lost)} pictures, old only)", mean, math.nan))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("card", type=Path, help="the card of the new model")
    parser.add_argument("--than", help="the model that it is compared with; by default its name")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="runs of pnp-bench")
    parser.add_argument("--to", type=Path, help="folder of the model that is replaced")
    given = parser.parse_args(argv)
    try:
        return compare(given)
    except PnPReconError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def compare(given: argparse.Namespace) -> int:
    """Prints the tables, and writes the model where all are for it.

    Returns:
        0 where they are, 1 where the shipped model stays.
    """
    after, before = read_fields(given.card), read_fields(find_card(given.than or given.card.stem))
    cells = of_cards(before, after)
    for run in given.runs:
        found = of_run(run, before["sha256"], after["sha256"])
        if not found:
            print(f"{run} has no row of both models")
            return 1
        cells += found
    for cell in cells:
        sign = "" if cell.kept else "   lower"
        print(f"{cell.what:50} {cell.before:8.3f} {cell.after:8.3f}{sign}")
    if not given.runs or not cells or not all(cell.kept for cell in cells):
        print("the shipped model stays" + ("" if given.runs else ": no run was given"))
        return 1
    print("every table is for the new model")
    if given.to is not None:
        name = before["name"]
        for suffix in (".safetensors", ".json"):
            atomic_write(given.to / f"{name}{suffix}", given.card.with_suffix(suffix).read_bytes())
        print(
            f"{given.to / name}.json is the new model's; its figures in docs/ are to be made anew"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
