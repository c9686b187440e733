"""Draws docs/images/architecture.png: the way of data, and the units of the house in their order.

    python -m scripts.figures.architecture

The order is the one that the test of imports holds (tests/support/import_graph.py).
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from scripts.protocol import IMAGES, save_figure

ROOT = Path(__file__).resolve().parents[2]
INK, PALE = "#1c2733", "#5b6875"


@dataclass(frozen=True)
class Station:
    """A place on the way of data.

    Attributes:
        title: what the data are there.
        words: what is known of them, a line each.
        colour: of the box, and of its units.
        units: what makes or holds it, without the package's name.
    """

    title: str
    words: tuple[str, ...]
    colour: str
    units: tuple[str, ...]


WAY = (
    Station(
        "file",
        ("photo.jpg, scan.h5", "kernel, mask"),
        "#f6e3c5",
        ("files", "pictures", "scans", "kspace", "datasets"),
    ),
    Station(
        "tensor", ("(B, C, H, W) in [0, 1]", "float32"), "#e9ecd0", ("operators", "estimation")
    ),
    Station(
        "problem", ("y = A x + noise", "Problem(A, y, …)"), "#d3ead9", ("fidelity", "problems")
    ),
    Station(
        "solver",
        ("theorem() first,", "then init, step, image"),
        "#cfe4f3",
        ("guarantees", "solvers", "strength", "reconstruction"),
    ),
    Station("solution", ("image, history,", "status, certificate"), "#cfe4f3", ()),
    Station(
        "report",
        ("json, csv, png, html", "tables of a benchmark"),
        "#e3dbf1",
        ("report", "benchmark", "volumes"),
    ),
)
PRIOR = Station(
    "prior",
    ("denoiser, functional,", "energy or network;", "its guarantee, or none"),
    "#f7d9d9",
    ("contracts", "proximal", "networks", "priors", "models", "training"),
)
HOUSE = Station(
    "around it",
    (),
    "#eceff1",
    ("errors", "registry", "manifolds", "pnp_recon.operators", "pnp_recon", "cli", "scripts"),
)


@cache
def order() -> tuple[str, ...]:
    """The units, lowest first, as the test of imports has them."""
    found: tuple[str, ...] = runpy.run_path(str(ROOT / "tests/support/import_graph.py"))["ORDER"]
    return found


def short(unit: str) -> str:
    """The unit without the package's name, unless another unit is called so."""
    bare = unit.removeprefix("pnp_recon.")
    return unit if bare in order() else bare


def colours() -> dict[str, str]:
    """The colour of every unit."""
    return {unit: place.colour for place in (*WAY, PRIOR, HOUSE) for unit in place.units}


def box(axes: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour,
            edgecolor=PALE,
            linewidth=0.8,
        )
    )


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)


def station(axes: Axes, place: Station, x: float, y: float, width: float) -> None:
    """A box with a title and words, its units below."""
    height = 0.5 + 0.24 * max(2, len(place.words))
    box(axes, x, y - height, width, height, place.colour)
    middle = x + width / 2
    axes.text(middle, y - 0.24, place.title, ha="center", va="center", weight="bold", size=11)
    for line, words in enumerate(place.words):
        axes.text(middle, y - 0.54 - 0.24 * line, words, ha="center", va="center", size=8.5)
    pairs = [", ".join(place.units[i : i + 2]) for i in range(0, len(place.units), 2)]
    lines = ",\n".join(pairs).splitlines()
    for line, units in enumerate(lines):
        where = y - height - 0.18 - 0.2 * line
        axes.text(
            middle, where, units, ha="center", va="center", size=8.5, color=PALE, style="italic"
        )


def draw(axes: Axes) -> None:
    """The way above, the order of the units below; one unit of length is 1 inch."""
    width, gap, top = 1.56, 0.3, 6.0
    axes.text(0.2, top + 0.32, "The way of data", size=12, weight="bold")
    for index, place in enumerate(WAY):
        x = 0.2 + index * (width + gap)
        station(axes, place, x, top, width)
        if index:
            arrow(axes, (x - gap + 0.04, top - 0.49), (x - 0.04, top - 0.49))
    x = 0.2 + 3 * (width + gap)
    station(axes, PRIOR, x, top - 2.05, width)
    arrow(axes, (x + width / 2, top - 2.01), (x + width / 2, top - 1.45))
    notes = (
        "A prior comes from a model's card, from a name such as “tv” or “nlm”, or from Python.",
        "The solver says which theorem covers the run before its first step;",
        "the loop then checks, on what ran, the laws that the theorem implies.",
        "Commands know no theorem: they ask whether the certificate holds, and print it.",
    )
    for line, words in enumerate(notes):
        axes.text(0.2, top - 2.3 - 0.24 * line, words, size=8.5, va="center")
    units, across, bottom = order(), 6, top - 4.35
    axes.text(0.2, bottom + 0.22, "The units, lowest first", size=12, weight="bold")
    axes.text(
        2.6, bottom + 0.22, "each imports only from those with a smaller number", size=9, color=PALE
    )
    fill = colours()
    for index, unit in enumerate(units):
        column, row = index % across, index // across
        x, y = 0.2 + column * (width + gap), bottom - 0.42 - 0.44 * row
        box(axes, x, y, width, 0.34, fill[short(unit)])
        axes.text(x + 0.1, y + 0.16, str(index + 1), size=8, va="center", color=PALE)
        name = short(unit)
        axes.text(x + 0.36, y + 0.16, name, size=9.5 if len(name) < 16 else 8, va="center")


def main() -> None:
    with plt.rc_context({"text.color": INK, "font.family": "DejaVu Sans"}):
        figure, axes = plt.subplots(figsize=(11.4, 7.3), dpi=100, facecolor="white")
        axes.set_xlim(0, 11.4)
        axes.set_ylim(-0.7, 6.6)
        axes.axis("off")
        draw(axes)
        save_figure(figure, IMAGES / "architecture.png")


if __name__ == "__main__":
    main()
