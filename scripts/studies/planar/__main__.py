"""python -m scripts.studies.planar: trains all networks, writes the table and the figures."""

from __future__ import annotations

import statistics
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import torch
import typer

from scripts.protocol import IMAGES, RESULTS, read_rows, write_rows
from scripts.studies.planar import figures
from scripts.studies.planar.data import DATA
from scripts.studies.planar.models import MODELS, Classifier
from scripts.studies.planar.runs import STEPS, Run, train

# One dimension less and one more than the plane, where the number of dimensions decides: an
# interval inside another class cannot be freed on a line, nor a disc in the plane.
OTHERS = (("donut1d", 1), ("donut2d", 3))


def main(
    seeds: Annotated[int, typer.Option(help="Every network is trained from this many seeds.")] = 5,
    steps: Annotated[int, typer.Option(help="A training takes this many steps.")] = STEPS,
    quick: Annotated[bool, typer.Option(help="One seed and a few steps, to try it out.")] = False,
    results: Annotated[Path, typer.Option(help="The table is written here.")] = RESULTS,
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Compares networks on points of the plane; a run that is in the table is not made again."""
    if quick:
        seeds, steps = 1, min(steps, 5)
    torch.set_num_threads(1)
    path = results / "planar.csv"
    rows, nets = read_rows(path), {}
    done = {(row["data"], row["model"], row["dimension"], row["seed"]) for row in rows}
    cases = [(data, model, 2) for data in DATA for model in MODELS]
    cases += [(data, "ResNet (Euler)", dimension) for data, dimension in OTHERS]
    for seed in range(seeds):
        for data, model, dimension in cases:
            drawn = seed == 0
            if (data, model, str(dimension), str(seed)) in done and not drawn:
                continue
            run, net = train(data, model, seed, dimension, steps)
            if drawn:
                nets[data, model, dimension] = net
            if (data, model, str(dimension), str(seed)) not in done:
                rows.append({name: _text(value) for name, value in asdict(run).items()})
                write_rows(path, rows)
            typer.echo(f"{data}, {model}, {dimension}-d, seed {seed}: {run.accuracy:.3f}")
    (results / "planar.md").write_text(page(rows), encoding="utf-8")
    _draw(nets, images)


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _draw(nets: dict[tuple[str, str, int], Classifier], images: Path) -> None:
    flat = {(data, model): net for (data, model, size), net in nets.items() if size == 2}
    figures.overview(flat, images / "planar_regions.png", 0)
    for data in ("spiral", "donut2d"):
        shown = {model: flat[data, model] for model in MODELS}
        figures.layers(shown, data, images / f"planar_layers_{data}.png", 0)
    figures.film(flat["spiral", "Kutta (4)"], "spiral", images / "planar_spiral.gif", 0)


def page(rows: list[dict[str, str]]) -> str:
    """The table as a page: mean and spread of the accuracy over the seeds."""
    names = {field.name for field in fields(Run)}
    assert not rows or names == set(rows[0])
    lines = [
        "# Points of the plane",
        "",
        "Share of 4000 new points on the right side: mean over the seeds, and the lowest. Fifteen "
        "layers of the field σ(Ky + b), tanh, 500 points, "
        f"{STEPS} steps of Adam on J = ½ mean (p − c)². From `python -m scripts.studies.planar`.",
        "",
        "| network | " + " | ".join(DATA) + " |",
        "|---" * (1 + len(DATA)) + "|",
    ]
    kinds = [(model, 2) for model in MODELS] + [("ResNet (Euler)", size) for _, size in OTHERS]
    for model, dimension in kinds:
        cells = []
        for data in DATA:
            found = [
                float(row["accuracy"])
                for row in rows
                if (row["data"], row["model"], row["dimension"]) == (data, model, str(dimension))
            ]
            cells.append(f"{statistics.mean(found):.3f} ({min(found):.3f})" if found else "–")
        name = model if dimension == 2 else f"{model}, {dimension}-d"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    typer.run(main)
