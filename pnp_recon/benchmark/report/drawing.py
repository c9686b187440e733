"""What the figures of a benchmark share: colours, axes, labels that do not overlap, PNG and PDF.

Matplotlib's object interface on the Agg canvas: no window, no global state.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pnp_recon.benchmark.report.summary import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, GRID = "#22303c", "#8a96a3", "#e2e7ec"
# Blue and green against orange and brown (after Okabe and Ito 2008), told apart by shape and by
# dashes as well.
_CERTIFIED = ("#0072b2", "#009e73", "#56b4e9", "#332288", "#44aa99", "#117733")
_OTHERS = ("#d55e00", "#e69f00", "#8c4a1f", "#cc79a7", "#a89000", "#882255")
_CERTIFIED_SHAPES, _OTHER_SHAPES = "oD^vph", "sXPd*<"
_DASHES = ((0, (5, 1.5)), (0, (2, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)), (0, (8, 3)))


@dataclass(frozen=True)
class Drawn:
    """A figure: `name` is a file name without ending."""

    name: str
    title: str
    png: bytes
    pdf: bytes


@dataclass(frozen=True)
class Style:
    """How a method looks in every figure of its block."""

    colour: str
    shape: str
    line: Any
    certified: bool

    @property
    def ink(self) -> str:
        """The colour of words: the darkest, since the paler ones cannot be read as text."""
        return "#005a8c" if self.certified else "#9a4300"


def styles(block: Block) -> dict[str, Style]:
    """Certified methods in one family of colours, the others in another."""
    found: dict[str, Style] = {}
    counts = {True: 0, False: 0}
    for name in block.methods:
        judged = [group for group in block.groups(name) if group.judged]
        certified = bool(judged) and all(group.certified for group in judged)
        i = counts[certified]
        counts[certified] += 1
        colours = _CERTIFIED if certified else _OTHERS
        shapes = _CERTIFIED_SHAPES if certified else _OTHER_SHAPES
        line = "solid" if certified else _DASHES[i % len(_DASHES)]
        found[name] = Style(
            colours[i % len(colours)], shapes[i % len(shapes)], line, certified
        )  # fmt: skip
    return found


def panels(count: int, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of `count` axes, so many side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(count, columns)
    lines = math.ceil(count / columns)
    height = 3.5 if lines < 3 else 2.8
    size = (max(4.4 * columns, 6.2), height * lines + 0.6)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(lines, columns, squeeze=False).flat)
    for spare in axes[count:]:
        spare.set_axis_off()
    return figure, axes[:count]


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(plain(title), color=INK, fontsize=11)
    axes.set_xlabel(x, color=INK, fontsize=10)
    axes.set_ylabel(plain(y), color=INK, fontsize=10)
    axes.grid(True, which="major", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)


def plain(text: str) -> str:
    """Names and messages of users as they are: no formulas, no hidden entry of a legend."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def legend(figure: Figure, handles: Sequence[Any], columns: int = 5) -> None:
    """Below the axes, in as many columns as the figure is wide, `columns` at most."""
    for count in range(min(columns, len(handles)), 0, -1):
        drawn = figure.legend(
            handles=list(handles),
            loc="outside lower center",
            ncols=count,
            frameon=False,
            fontsize=9,
        )
        if count == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return
        drawn.remove()


def label_points(
    figure: Figure, panels: Sequence[tuple[Axes, Sequence[tuple[float, float, str, str]]]]
) -> None:
    """Writes (x, y, text, colour) beside their points, where neither text nor points are yet.

    The first free place of a spiral around each point is taken; a thin line leads back to the
    point where the text is far.
    """
    figure.draw_without_rendering()  # settles the layout, in which the labels take no part
    for axes, points in panels:
        spots = axes.transData.transform([(x, y) for x, y, _, _ in points])
        unit = 72 / figure.dpi
        marker = 5.0 / unit
        taken = [(u - marker, v - marker, u + marker, v + marker) for u, v in spots]
        for (x, y, text, colour), spot in zip(points, spots, strict=True):
            _label(axes, (x, y), spot, (text, colour), marker, unit, taken)


def saved(figure: Figure, name: str, title: str) -> Drawn:
    """The figure as PNG and as PDF, without the date: the same results give the same files."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # settled: not again for each of the two
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Producer": None})
    return Drawn(name, title, png.getvalue(), pdf.getvalue())


_Box = tuple[float, float, float, float]


def _label(
    axes: Axes,
    at: tuple[float, float],
    spot: Any,
    words: tuple[str, str],
    marker: float,
    unit: float,
    taken: list[_Box],
) -> None:
    """One label at the first place that is free, or the one that hides least.

    Args:
        at, spot: the point in the units of the data and in pixels.
        words: the label and its colour.
        marker: half the width of a point, in pixels; `unit`: points in a pixel.
        taken: where something is; the label joins it.
    """
    text, colour = words
    label = axes.annotate(
        plain(text), at, (0, 0), textcoords="offset points", fontsize=8.5, color=colour,
        annotation_clip=False, ha="center", va="center",
    )  # fmt: skip
    label.set_in_layout(False)
    extent, frame = label.get_window_extent(), axes.get_window_extent()
    half = (extent.width / 2 + 2, extent.height / 2 + 2)
    least, best, chosen = math.inf, (0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    for dx, dy in _spiral(half, marker):
        u, v = spot[0] + dx, spot[1] + dy
        box = (u - half[0], v - half[1], u + half[0], v + half[1])
        hidden = sum(_overlap(box, other) for other in taken) + _outside(box, frame)
        if hidden < least:
            least, best, chosen = hidden, (dx, dy), box
        if hidden == 0:
            break
    taken.append(chosen)
    label.set_position((best[0] * unit, best[1] * unit))
    if math.hypot(best[0] / (half[0] + marker), best[1] / (half[1] + marker)) > 1.6:
        axes.annotate(
            "", at, (best[0] * unit, best[1] * unit), textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": PALE, "lw": 0.6, "shrinkB": 3},
        ).set_in_layout(False)  # fmt: skip


def _spiral(half: tuple[float, float], marker: float) -> list[tuple[float, float]]:
    """Offsets of a label's centre: right, left, above, below and between, ever farther away."""
    found = []
    for reach in (1.0, 1.5, 2.2, 3.0, 4.0, 5.5):
        for turn in (0, 4, 2, 6, 1, 7, 3, 5):
            angle = turn * math.pi / 4
            x, y = math.cos(angle), math.sin(angle)
            found.append((x * (half[0] + marker * reach), y * (half[1] + marker) * reach))
    return found


def _overlap(a: _Box, b: _Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: _Box, frame: Any) -> float:
    """Area of the box that lies outside of the axes."""
    inside = _overlap(box, (frame.x0, frame.y0, frame.x1, frame.y1))
    return (box[2] - box[0]) * (box[3] - box[1]) - inside
