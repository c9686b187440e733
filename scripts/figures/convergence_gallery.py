"""Draws docs/images/convergence/*.png and writes docs/gallery.md: every rate case against theory.

    python -m scripts.figures.convergence_gallery           # all solvers
    python -m scripts.figures.convergence_gallery km cgls   # only these figures; all are listed

The same cases are tests (tests/solvers/test_rates.py).
"""

from __future__ import annotations

import sys
from itertools import accumulate
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from scripts.figures.rates import fixed_point, variational
from scripts.figures.rates.case import RateCase
from scripts.protocol import DOCS, IMAGES, save_figure

FIGURES = IMAGES / "convergence"
HEAD = """# Convergence, measured against theory

One figure for each solver, on a problem with a known solution: what was measured (the largest
value from iteration k on), and the bound that its theorem gives with the constants of that problem.
The rate claimed is the rate tested (`tests/solvers/test_rates.py`): no measured point lies above
its bound. Where a bound is tight, the problem is the worst case, and the two curves touch.

Studies have figures of their own: [flows](flows.md) (phase portraits, steps that stretch, points
of the plane, attacks, denoisers applied a thousand times), [invertible networks](invertible.md),
[Hamiltonian flows](hamiltonian.md), [equivariance](equivariance.md) and [research](research.md).

This page is written by `scripts/figures/convergence_gallery.py`.
"""
TAIL = """
## descent

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


def page(found: list[RateCase]) -> str:
    parts = [HEAD]
    for case in found:
        name = figure_name(case, found)
        parts.append(
            f"\n## {name}\n\n{case.quantity} ≤ {case.claim}\n\nSource: {case.source}.\n\n"
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
