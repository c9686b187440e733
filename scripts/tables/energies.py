"""Energies beside certified denoisers: as denoisers, and at the certified point.

Every cell is measured as `pnp-bench` measures it, on one thread, and appended to energies.csv, so
that a run that was stopped goes on and a model that comes later joins. `report` writes energies.md.
Methods are names or paths of cards; a name that is not shipped is looked for in
trained_models.

    python -m scripts.tables.energies denoise --data BSDS500
    python -m scripts.tables.energies deblur --data BSDS500 --pictures 20
    python -m scripts.tables.energies inpaint --data BSDS500 --pictures 20
    python -m scripts.tables.energies ct --data ct_slices_256.npz
    python -m scripts.tables.energies report
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pnp_recon.benchmark.cells import Cell, Plan
from pnp_recon.benchmark.choice import EVERYTHING, Choice
from pnp_recon.benchmark.methods.scheduled import PREFIX
from pnp_recon.benchmark.planning import make_plan
from pnp_recon.benchmark.rows import FAILED, Row
from pnp_recon.benchmark.runner import run_cell
from pnp_recon.models.store import is_shipped
from scripts.protocol import RESULTS, ROOT
from scripts.tables.energies_report import report

TABLE = RESULTS / "energies.csv"
APART = ROOT / "trained_models"
COLUMNS = (
    "suite", "problem", "noise", "channels", "picture", "crop", "method", "psnr", "ssim", "seconds",
    "iterations", "status", "certificate", "strength", "sha256", "versions", "revision", "threads",
)  # fmt: skip
GREY = ("euler_grey", "ridge_grey", "energy_grey")
COLOUR = ("euler_colour", "ridge_colour", "energy_colour")
CERTIFIED = (*COLOUR, "tv", f"{PREFIX}energy_colour")
CROP = 128


@dataclass(frozen=True)
class Part:
    """What a task measures: a suite on pictures of so many channels.

    Attributes:
        crop: side of the central crop; `EVERYTHING`: whole pictures.
    """

    suite: str
    channels: int
    methods: tuple[str, ...]
    noise: tuple[float, ...]
    crop: int = CROP
    problems: tuple[str, ...] | None = None


PARTS: dict[str, tuple[Part, ...]] = {
    "denoise": (
        Part("denoise", 3, COLOUR, (5, 15, 25), EVERYTHING),
        Part("denoise", 1, GREY, (5, 15, 25), EVERYTHING),
    ),
    "deblur": (
        Part("deblur", 3, CERTIFIED, (2.55, 7.65, 12.75), problems=("trajectory", "Gaussian")),
    ),
    "inpaint": (Part("inpaint", 3, CERTIFIED, (0.0,), problems=("50",)),),
    "ct": (Part("ct", 1, ("euler_ct", "tv", f"{PREFIX}euler_ct"), (1.0,), EVERYTHING),),
}


def entry(name: str) -> str:
    """A method as the benchmark takes it: models that lie apart by the paths of their cards."""
    head, _, inner = name.rpartition(":")
    apart = APART / f"{inner}.json"
    if not is_shipped(inner) and apart.is_file():
        inner = str(apart)
    return f"{head}:{inner}" if head else inner


def short(method: str) -> str:
    """The name of a method in the table: a card's path by its stem."""
    head, _, inner = method.rpartition(":")
    inner = Path(inner).stem if inner.endswith(".json") else inner
    return f"{head}:{inner}" if head else inner


def plan_of(part: Part, data: Path, methods: list[str] | None, pictures: int | None,
            strength: str | None) -> Plan:  # fmt: skip
    """The first so many pictures, so that a longer run holds the shorter one."""
    choice = Choice(
        suite=part.suite,
        data=data,
        methods=[entry(name) for name in methods or part.methods],
        noise=part.noise,
        images=EVERYTHING,
        grey=part.channels == 1,
        crop=part.crop,
        problems=part.problems,
        strength=None if part.suite == "denoise" else strength,
        threads=1,
        keep=("0",),
    )
    plan = make_plan(choice)
    return replace(plan, pictures=plan.pictures[:pictures])


class Table:
    """The rows on disk, appended one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        with path.open(newline="", encoding="utf-8") as file:
            self.rows = list(csv.DictReader(file))
        self.known = {self._key(row) for row in self.rows}

    def has(self, plan: Plan, cell: Cell) -> bool:
        return self._key(key_of(plan, cell)) in self.known

    def add(self, fields: dict[str, str]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(fields)
        self.rows.append(fields)
        self.known.add(self._key(fields))

    def seconds(self, cell: Cell) -> float | None:
        """Of the method in the suite, in the mean of what is there."""
        found = [
            float(row["seconds"])
            for row in self.rows
            if (row["suite"], row["method"]) == (cell.suite, short(cell.method)) and row["seconds"]
        ]
        return sum(found) / len(found) if found else None

    @staticmethod
    def _key(row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row[name] for name in COLUMNS[:7])


def key_of(plan: Plan, cell: Cell) -> dict[str, str]:
    found = (
        cell.suite, cell.degradation.name, f"{cell.degradation.noise:g}", str(plan.channels),
        cell.picture, str(plan.crop or ""), short(cell.method),
    )  # fmt: skip
    return dict(zip(COLUMNS, found, strict=False))


def fields_of(plan: Plan, cell: Cell, row: Row) -> dict[str, str]:
    number = {name: getattr(row, name) for name in ("psnr", "ssim", "iterations")}
    return {
        **key_of(plan, cell),
        **{name: "" if value is None else str(value) for name, value in number.items()},
        "seconds": "" if row.seconds is None else f"{row.seconds:.3f}",
        "status": row.status,
        "certificate": row.certificate,
        "strength": str(row.parameters.get("strength", "")),
        "sha256": row.model_sha256[:12],
        "versions": row.versions,
        "revision": row.revision,
        "threads": str(row.threads),
    }


def in_order(plan: Plan, table: Table) -> Iterator[Cell]:
    """What is to do, one cell of every method that has no time yet first: the estimate's basis."""
    todo = [cell for cell in plan.cells() if not table.has(plan, cell)]
    first = {cell.method: cell for cell in reversed(todo) if table.seconds(cell) is None}
    yield from first.values()
    rest = [cell for cell in todo if cell not in first.values()]
    expected = sum(table.seconds(cell) or 0.0 for cell in rest)
    print(f"{plan.suite}: {len(rest)} cells left, about {expected / 60:.1f} minutes", flush=True)
    yield from rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=(*PARTS, "report"))
    parser.add_argument("--data", type=Path, help="BSDS500, or an archive of CT slices")
    parser.add_argument("--methods", nargs="+", help="default: those of the task")
    parser.add_argument("--pictures", type=int, help="the first N; default: all")
    parser.add_argument("--channels", type=int, choices=(1, 3), help="of denoising; default: both")
    parser.add_argument("--strength", help="auto, tuned or a number; default: of `pnp-bench`")
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    if options.task == "report":
        options.table.with_suffix(".md").write_text(
            report(Table(options.table).rows), encoding="utf-8"
        )
        return
    if options.data is None:
        parser.error("--data is missing")
    torch.set_num_threads(1)
    table = Table(options.table)
    for part in PARTS[options.task]:
        if options.channels not in (None, part.channels):
            continue
        plan = plan_of(part, options.data, options.methods, options.pictures, options.strength)
        for cell in in_order(plan, table):
            row = run_cell(plan, cell).row
            if row.status == FAILED:  # not kept, so that it is tried again
                print("failed:", *cell.key[1:4], short(cell.method), row.message, flush=True)
                continue
            table.add(fields_of(plan, cell, row))
            print(
                *cell.key[1:4],
                short(cell.method),
                f"{row.psnr:.2f} dB, {row.seconds:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
