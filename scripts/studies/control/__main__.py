"""python -m scripts.studies.control: stopping times, costates, deep limits, continuous flows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import torch
import typer

from scripts.protocol import IMAGES, RESULTS, Rows
from scripts.studies.control import costates, depth, neural_ode, pages, stopping, unrolled

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def main(
    data: Annotated[Path, typer.Option(help="The folder of BSDS500.")],
    quick: Annotated[bool, typer.Option(help="Few pictures and steps, to try it out.")] = False,
    results: Annotated[Path, typer.Option(help="The tables are written here.")] = RESULTS,
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Measure training as control, and draw it."""
    torch.set_num_threads(1)
    side, count = (40, 12) if quick else (stopping.SIDE, stopping.STEPS)
    own, new = (2, 2) if quick else (stopping.TRAINED, stopping.JUDGED)
    trained, judged = stopping.pictures(data, side, own, new)
    rows = Rows(results / "control_stopping.jsonl")
    cases = list(itertools.islice(stopping.cases(side), 1 if quick else None))
    for case in cases:
        stopping.measure(rows, case, trained, judged, count)
    pages.stopping_figure(rows, cases[0], judged[:1], count, images / "control_stopping.png")
    lines = [pages.HEAD, *pages.stopping(rows)]

    updates, halvings = (2, 2) if quick else (unrolled.UPDATES, unrolled.SECTIONS)
    network = unrolled.train(trained, updates)
    lines += pages.unrolled(unrolled.judge(network, trained, judged, halvings))
    lines += pages.costates(costates.table(costates.WEIGHTED[:3] if quick else costates.WEIGHTED))

    depths, steps = (depth.DEPTHS[:2], 5) if quick else (depth.DEPTHS, 200)
    limits = {
        (weight, way): depth.limits(weight, way, steps, depths)
        for weight in (depth.WEIGHT, 0.0)
        for way in depth.WAYS
    }
    depth.figure(limits, images / "control_depth.png")
    losses = depth.successive((1.0,) if quick else (0.1, 1.0, 10.0), 2 if quick else 20)
    lines += pages.depth(limits, losses)

    gap = {tol: neural_ode.gap(tol) for tol in TOLERANCES[: 2 if quick else None]}
    oscillator = neural_ode.oscillator(2 if quick else 300)
    crossings = neural_ode.crossings(2 if quick else 100)
    neural_ode.figure(gap, oscillator, images / "control_ode.png")
    lines += pages.continuous(gap, oscillator, crossings)
    text = "\n".join(lines)
    (results / "control.md").write_text(text, encoding="utf-8")
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
