"""python -m scripts.studies.hamiltonian: gradients, energies, learned steps, rods, totals.

Each part has its page: `small` hamiltonian.md, `rods` hamiltonian_rods.md, `totals`
hamiltonian_totals.md.
"""

from __future__ import annotations

import statistics
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import torch
import typer

mpl.use("Agg")
import matplotlib.pyplot as plt
from torch import Tensor

from scripts.protocol import IMAGES, RESULTS, save_figure
from scripts.studies.hamiltonian import gradients, oscillator, rods, totals
from scripts.studies.hamiltonian.conserved import Problem, Row, learned, problems

COUNT = 100
FROM = (
    "From `python -m scripts.studies.hamiltonian --part {}`; see "
    "[hamiltonian.md](../hamiltonian.md)."
)


class Part(StrEnum):
    SMALL = "small"
    RODS = "rods"
    TOTALS = "totals"


# Runs of each model, one for each seed.
Learned = list[tuple[Problem, dict[str, list[Row]]]]


def page(norms: dict[str, Tensor], ranges: dict[str, tuple[float, float]], rows: Learned) -> str:
    lines = [
        "# Hamiltonian and conserving flows",
        "",
        "Demonstrations in small dimensions, in float64, of what the laws of "
        "[hamiltonian.md](../hamiltonian.md) mean; none reconstructs a picture. From "
        "`python -m scripts.studies.hamiltonian`.",
        "",
        f"Gradients through {gradients.LAYERS} layers of {gradients.DIMENSION} numbers with random "
        "weights, ‖∂x^L/∂x^j‖:",
        "",
        "| network | j = 0 | least over j | largest over j |",
        "|---|---|---|---|",
    ]
    for name, sizes in norms.items():
        lines.append(f"| {name} | {sizes[0]:.2g} | {sizes.min():.2g} | {sizes.max():.2g} |")
    lines += [
        "",
        f"The oscillator, {oscillator.COUNT} steps of h = {oscillator.STEP}: energy against its "
        "first value, least and largest:",
        "",
        "| method | least | largest |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {low:.6g} | {high:.6g} |" for name, (low, high) in ranges.items()]
    lines += [
        "",
        f"Steps learned from pairs with noise of 0.01, then {COUNT} of them in a row: largest "
        "change of what the system keeps, relative error of the last state (median, largest), and "
        "what `check()` says that the step keeps. SIR from three seeds of the first "
        "weights:",
        "",
        "| system | model | change | error | check() |",
        "|---|---|---|---|---|",
    ]
    for problem, found in rows:
        for name, runs in found.items():
            drift, errors = max(run.drift for run in runs), [run.error for run in runs]
            lines.append(
                f"| {problem.name}, {problem.keeps} | {name} | {drift:.1e} | "
                f"{statistics.median(errors):.2f}, {max(errors):.2f} | {runs[0].words} |"
            )
    return "\n".join([*lines, ""])


def figure(rows: Learned, path: Path) -> None:
    """What each learned step makes of the sum or the length."""
    drawn, grid = plt.subplots(1, len(rows), figsize=(8.4, 3.2))
    for axes, (problem, found) in zip(grid, rows, strict=True):
        for name, runs in found.items():
            axes.plot(problem.quantity(runs[0].states), label=name)
        axes.set(xlabel="step", ylabel=problem.keeps, title=problem.name)
        axes.legend(frameon=False, fontsize=8)
    save_figure(drawn, path)


def of_totals(quick: bool, images: Path) -> str:
    """The page about totals of data; it has no figure."""
    return "\n".join(
        [
            "# The total of the data",
            "",
            f"How far reconstructions are from Σ A x = Σ y: grey pictures of {totals.SIDE}² under "
            f"a motion blur, σ·255 = {255 * totals.SIGMA:g}; a head phantom, scanned. In standard "
            "deviations of the noise of Σ y, and as a part of it. `keep_total` is a law of the "
            f"certificate; the others have none. {FROM.format('totals')}",
            "",
            *totals.lines(totals.measured(quick)),
            "",
        ]
    )


def of_rods(quick: bool, images: Path) -> str:
    """The page about pendulums, and its figure."""
    count, steps, seeds = (4, 2, 1) if quick else (rods.COUNT, rods.STEPS, rods.SEEDS)
    found: dict[str, dict[str, list[rods.Run]]] = {}
    for system, number in rods.SYSTEMS.items():
        held = rods.data(number, count, quick)
        found[system] = {
            name: [rods.learned(number, name, held, steps, seed) for seed in range(seeds)]
            for name in rods.MODELS
        }
    rods.figure(found, images / "hamiltonian_rods.png")
    lines = [
        "# Pendulums learned from pairs",
        "",
        f"{rods.STARTS} trajectories of {rods.PAIRS} pairs, h = {rods.STEP}, noise {rods.NOISE:g}, "
        f"{steps} steps of Adam; then {count} steps from {rods.TESTS} other starts. Medians over "
        f"the starts and {seeds} seeds: the error of the state (u, p), the drift of the true "
        "energy at its worst, and the worst change of a rod's length of all starts and seeds. "
        f"{FROM.format('rods')}",
        "",
        "| system | model | parameters | error at 1 | 5 | 20 | drift | rods |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for system, models in found.items():
        for name, runs in models.items():
            at = [
                statistics.median(float(run.error[min(k, count)]) for run in runs)
                for k in (10, 50, 200)
            ]
            drift = statistics.median(float(run.drift.max()) for run in runs)
            lines.append(
                f"| {system} | {name} | {runs[0].parameters} | "
                + " | ".join(f"{value:.2g}" for value in (*at, drift))
                + f" | {max(run.rods for run in runs):.1e} |"
            )
    return "\n".join([*lines, ""])


def small(quick: bool, images: Path) -> str:
    """The page about gradients, the oscillator, and learned sums and lengths; its figures."""
    norms = gradients.measured(8 if quick else gradients.LAYERS)
    gradients.figure(norms, images / "hamiltonian_gradients.png")
    ranges = {}
    for method in oscillator.METHODS:
        values = oscillator.energies(method, 1000 if quick else oscillator.COUNT)
        ranges[method] = (float(values.min()), float(values.max()))
    oscillator.figure(images / "hamiltonian_oscillator.png")
    rows: Learned = []
    for problem in problems(3 if quick else COUNT):
        steps, seeds = (3, 1) if quick else (problem.steps, problem.seeds)
        found = {
            name: [learned(problem, name, steps, seed) for seed in range(seeds)]
            for name in problem.models
        }
        rows.append((problem, found))
    figure(rows, images / "hamiltonian_conserved.png")
    return page(norms, ranges, rows)


def main(
    quick: Annotated[bool, typer.Option(help="Few layers and steps, to try it out.")] = False,
    part: Annotated[list[Part] | None, typer.Option(help="Only these; all by default.")] = None,
    results: Annotated[Path, typer.Option(help="The table is written here.")] = RESULTS,
    images: Annotated[Path, typer.Option(help="The figures are written here.")] = IMAGES,
) -> None:
    """Measure what steps keep, and draw it."""
    torch.set_num_threads(1)
    makers = {Part.SMALL: small, Part.RODS: of_rods, Part.TOTALS: of_totals}
    results.mkdir(parents=True, exist_ok=True)
    for one in part or list(Part):
        name = "hamiltonian" if one is Part.SMALL else f"hamiltonian_{one}"
        text = makers[one](quick, images)
        (results / f"{name}.md").write_text(text, encoding="utf-8")
        typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
