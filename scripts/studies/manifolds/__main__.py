"""python -m scripts.studies.manifolds: phases, tensors and rotations, in a table and figures."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated

import typer

from scripts.protocol import IMAGES, RESULTS
from scripts.studies.manifolds import curves, phases, tensors
from scripts.studies.manifolds.trials import KNEE, SEEDS, STRENGTHS, Row, rows, swept_bars

SWEPT = 0.4
HEAD = (
    "| data | way | strength | error | moved | verdict | bar | steps |",
    "|---|---|---|---|---|---|---|---|",
)


def line(row: Row) -> str:
    errors = f"{statistics.mean(row.errors):.3f} ({min(row.errors):.3f}–{max(row.errors):.3f})"
    if not row.steps:
        return f"| {row.problem} | {row.way} | | {errors} | | | | |"
    bar = f"{row.bar:.0e}" if row.label == "certified" else "none"
    return (
        f"| {row.problem} | {row.way} | {row.strength:g} | {errors} | {row.moved:.1e} | "
        f"{row.label} | {bar} | {row.steps} |"
    )


def page(found: list[list[Row]], sweeps: list[list[float]]) -> str:
    """The table of all problems, the tensors' other figures, and what sweeps come to."""
    lines = [
        "# Phases, diffusion tensors, rotations",
        "",
        "Demonstrations on synthetic fields, in float64, of what [manifolds.md](../manifolds.md) "
        "says; no measured data. From `python -m scripts.studies.manifolds`.",
        "",
        f"Every way minimises the same functional (knee {KNEE}) in its own distance, with the "
        f"strength of {STRENGTHS[0]} to {STRENGTHS[-1]} (steps of 2) that had the least error on "
        "another draw. *error*: distance from the truth, root mean square over pixels (radians; "
        "for tensors the affine-invariant distance), mean of "
        f"{len(SEEDS)} seeds (least–largest). *moved*: how far the result of moved data lies from "
        "the moved result; phases move by a constant, tensors by A ↦ BABᵀ, rotations by Q ↦ PQ. "
        "*verdict*: of the functional in the way's own coordinates. *bar*: proven distance from "
        "its minimiser, in the way's own distance.",
        "",
        *HEAD,
        *(line(row) for group in found for row in group),
    ]
    more = [row for group in found for row in group if row.more]
    lines += [
        "",
        "Tensors besides: error in the Frobenius norm (root mean square), log det against that of "
        "the truth (above 0: swollen), least eigenvalue; means over the seeds.",
        "",
        "| noise | way | Frobenius | log det | least eigenvalue |",
        "|---|---|---|---|---|",
    ]
    for row in more:
        values = row.more
        lines.append(
            f"| {row.problem} | {row.way} | {values['Frobenius']:.3f} | {values['log det']:+.3f} | "
            f"{values['least']:.3f} |"
        )
    lines += [
        "",
        f"Cyclic proximal points instead of descent, on the log-normal tensors (strength {SWEPT}):",
        "",
        "| sweeps | bar | true distance from the minimiser |",
        "|---|---|---|",
        *(f"| {count} | {bar:.1e} | {apart:.1e} |" for count, bar, apart in sweeps),
    ]
    return "\n".join([*lines, ""])


def main(
    quick: Annotated[bool, typer.Option(help="Small fields and one seed, to try it out.")] = False,
    results: Annotated[Path, typer.Option(help="The table is written here.")] = RESULTS,
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Denoise fields where they live and as plain numbers, and draw them."""
    seeds, strengths = ((0,), (0.4,)) if quick else (SEEDS, STRENGTHS)
    found = []
    for study, size in ((phases, 10), (tensors, 6), (curves, 20)):
        made = study.problems(size) if quick else study.problems()
        for number, problem in enumerate(made):
            group = rows(problem, seeds, strengths)
            found.append(group)
            if number == 0:
                name = study.__name__.rpartition(".")[2]
                study.figure(problem, group, images / f"manifolds_{name}.png")
    size, counts = (6, (2, 4)) if quick else (tensors.SIDE, (10, 100, 300))
    sweeps = swept_bars(tensors.problems(size)[0], SWEPT, counts)
    tensors.swelling(images / "manifolds_swelling.png")
    results.mkdir(parents=True, exist_ok=True)
    text = page(found, sweeps)
    (results / "manifolds.md").write_text(text, encoding="utf-8")
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
