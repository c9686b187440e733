"""Draws docs/images/convergence/*.png and writes docs/gallery.md: every rate case against theory.

    python -m scripts.figures.convergence_gallery           # all solvers
    python -m scripts.figures.convergence_gallery km cgls   # only these figures; all are listed

The same cases are tests (tests/solvers/test_rates.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from scripts.figures.rates import fixed_point, variational
from scripts.figures.rates.case import RateCase
from scripts.protocol import DOCS, IMAGES, save_figure

FIGURES = IMAGES / "convergence"
HEAD = """# Gallery

## Studies

{studies}

## Solvers, measured against theory

One figure for each solver, on a problem with a known solution: what was measured (the largest
value from iteration k on), and the bound that its theorem gives with the constants of that problem.
The rate claimed is the rate tested (`tests/solvers/test_rates.py`): no measured point lies above
its bound. Where a bound is tight, the problem is the worst case, and the two curves touch.

{solvers}

This page is written by `scripts/figures/convergence_gallery.py`.
"""
# (figure in docs/images, what it shows, its page)
STUDIES = (
    ("demo", "a photograph, blurred and restored", "photographs.md"),
    ("tooth", "a tooth from 181 projections", "ct.md"),
    ("blind_kernels", "camera shakes, estimated", "results/blind.md"),
    ("equivariance_ct_pictures", "CT from few scans", "equivariance.md"),
    ("inpainting_equivariance", "holes, turned and not", "equivariance.md"),
    ("patch_flow_samples", "what the data leave open", "invertible.md"),
    ("descent", "an energy falls", "energies.md"),
    ("planar_regions", "points of the plane, decided", "flows.md"),
    ("flows_portraits", "phase portraits", "flows.md"),
    ("repeated", "a denoiser applied a thousand times", "results/repeated.md"),
    ("robust_curves", "decisions under attack", "results/robust.md"),
    ("half_moons", "densities of half-moons", "invertible.md"),
    ("reversible_memory", "memory against depth", "invertible.md"),
    ("hamiltonian_oscillator", "energy of an oscillator", "hamiltonian.md"),
    ("hamiltonian_rods", "pendulums that learn their energy", "hamiltonian.md"),
    ("optimisers", "ways to a minimum", "optimisers.md"),
    ("control_stopping", "when to stop", "control.md"),
    ("manifolds_tensors", "diffusion tensors", "manifolds.md"),
    ("manifolds_phases", "phases", "manifolds.md"),
)
COLUMNS = 3
TAIL = """
### descent

No rate is proven: E falls at every step, and ‖∇E‖ goes to zero. A 64 × 64 crop of coffee.png,
blurred, with noise of σ = 7.65/255 and the energy `energy_colour`, drawn by
`scripts/figures/descent.py`.

![E above its last value, and the norm of its gradient](images/descent.png)
"""


def cases() -> list[RateCase]:
    """Every case of every module of `rates`, in the order of the page."""
    return [*fixed_point.CASES, *variational.CASES]


def draw(case: RateCase, path: Path) -> None:
    """The figure of one case: the bound, and the largest measured value from k on.

    Bounds fall, so that value is below its bound where all are; a curve that swings (the worst
    case of Halpern's iteration) stays readable. Values below 1e-16 of the first bound are rounding
    and not shown.
    """
    steps = range(1, case.iterations + 1)
    bounds = [case.bound(k) for k in steps]
    floor = 1e-16 * bounds[0]
    largest = list(accumulate(reversed(case.measure(case.iterations)), max))[::-1]
    shown = [(k, v) for k, v in zip(steps, largest, strict=True) if v > floor]
    figure, axes = plt.subplots(figsize=(4.6, 3.1), dpi=110)
    axes.loglog(steps, bounds, "--", color="#b03a2e", label="bound")
    axes.loglog([k for k, _ in shown], [v for _, v in shown], color="#1f4e79", label="measured")
    axes.set_xlabel("iteration k")
    axes.set_ylabel(case.quantity)
    axes.set_title(case.solver)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    save_figure(figure, path)


def figure_name(case: RateCase, others: list[RateCase]) -> str:
    """The solver's name, numbered where it has several cases."""
    same = [other for other in others if other.solver == case.solver]
    return case.solver if len(same) == 1 else f"{case.solver}-{same.index(case) + 1}"


def thumbnails(items: Sequence[tuple[str, str, str]]) -> str:
    """A table of figures (path in docs, caption, link), each with a link to its page."""
    cells = [f"![{caption}]({image}) [{caption}]({link})" for image, caption, link in items]
    rows = [cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)]
    lines = [" | ".join(row + [""] * (COLUMNS - len(row))) for row in rows]
    return "\n".join(["| " * COLUMNS + "|", "|---" * COLUMNS + "|", *(f"| {x} |" for x in lines)])


def page(found: list[RateCase]) -> str:
    names = [figure_name(case, found) for case in found]
    solvers = [(f"images/convergence/{name}.png", name, f"#{name}") for name in names]
    studies = [(f"images/{image}.png", caption, link) for image, caption, link in STUDIES]
    parts = [HEAD.format(studies=thumbnails(studies), solvers=thumbnails(solvers))]
    for case in found:
        name = figure_name(case, found)
        parts.append(
            f"\n### {name}\n\n{case.quantity} ≤ {case.claim}\n\nSource: {case.source}.\n\n"
            f"![{case.quantity} of {case.solver} and its bound](images/convergence/{name}.png)\n"
        )
    return "".join([*parts, TAIL])


def main(wanted: list[str]) -> None:
    found = cases()
    FIGURES.mkdir(parents=True, exist_ok=True)
    for case in found:
        if not wanted or case.solver in wanted:
            draw(case, FIGURES / f"{figure_name(case, found)}.png")
    (DOCS / "gallery.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
