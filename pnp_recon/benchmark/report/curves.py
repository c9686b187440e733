"""Curves of iterations: residuals, norms and whatever else a run kept, a panel per degradation."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pnp_recon.benchmark.cells import Cell, Degradation
from pnp_recon.benchmark.report.drawing import (
    INK,
    Drawn,
    Style,
    dress,
    legend,
    panels,
    plain,
    saved,
    styles,
)
from pnp_recon.benchmark.report.layout import level
from pnp_recon.benchmark.report.summary import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = ("iteration", "application", "step", "seconds")
# A run that diverged would press all others flat: no axis reaches farther above where they begin.
_CEILING = 1e6

_Curve = Mapping[str, list[float]]
_Line = tuple[list[float], list[float]]


def curve_figures(block: Block, name: str) -> list[Drawn]:
    """One figure for each kept quantity, such as "residual" and "norm"."""
    lines = collect(block)
    quantities = dict.fromkeys(quantity for _, _, quantity in lines)
    return [_figure(block, name, quantity, lines) for quantity in quantities]


def collect(block: Block) -> dict[tuple[Degradation, str, str], tuple[str, _Line]]:
    """(degradation, method, quantity) -> (name of the steps, the median curve over pictures)."""
    found: dict[tuple[Degradation, str, str], tuple[str, list[_Line]]] = {}
    for run in block.runs:
        for cell in run.plan.cells():
            curve = run.curve(cell)
            if curve:
                _add(found, cell, curve)
    return {key: (steps, median_curve(lines)) for key, (steps, lines) in found.items()}


def median_curve(lines: Sequence[_Line]) -> _Line:
    """The median over pictures at every step; one that has ended keeps its last value."""
    steps = sorted({x for line in lines for x in line[0]})
    values = []
    for step in steps:
        places = [bisect.bisect_right(xs, step) - 1 for xs, _ in lines]
        values.append(
            statistics.median(line[1][i] for line, i in zip(lines, places, strict=True) if i >= 0)
        )
    return steps, values


def _add(
    found: dict[tuple[Degradation, str, str], tuple[str, list[_Line]]], cell: Cell, curve: _Curve
) -> None:
    steps = next((name for name in STEPS if name in curve), None)
    for quantity, values in curve.items():
        if quantity in STEPS:
            continue
        xs = curve[steps] if steps else [float(i + 1) for i in range(len(values))]
        # JSON holds NaN as well; what is not a number sorts like something infinite.
        ys = [math.inf if y is None or math.isnan(y) else y for y in values]
        if xs:
            key = (cell.degradation, cell.method, quantity)
            found.setdefault(key, (steps or "iteration", []))[1].append((list(xs), ys))


def _figure(
    block: Block,
    name: str,
    quantity: str,
    lines: Mapping[tuple[Degradation, str, str], tuple[str, _Line]],
) -> Drawn:
    looks = styles(block)
    kept = {degradation for degradation, _, found in lines if found == quantity}
    noises = list(block.by_noise())
    names = list(dict.fromkeys(column.degradation.name for column in block.columns))
    # A line for each degradation, a column for each noise level, where that fills the sheet.
    degradations = sorted(kept, key=lambda p: (names.index(p.name), noises.index(p.noise)))
    full = len(kept) == len(names) * len(noises) and 1 < len(noises) <= 4
    figure, places = panels(len(degradations), len(noises) if full else 3)
    shown: dict[str, Style] = {}
    for place, degradation in zip(places, degradations, strict=True):
        here = {
            method: lines[degradation, method, quantity]
            for method in block.methods
            if (degradation, method, quantity) in lines
        }
        steps = next(iter(here.values()))[0]
        words = f"{degradation.name}, {level(block.setting.suite, degradation.noise)}"
        dress(place, words, steps, _named(quantity))
        logarithmic = not quantity.startswith(("psnr", "ssim"))
        for method, (_, (xs, ys)) in here.items():
            look = shown[method] = looks[method]
            values = [
                y if math.isfinite(y) and (y > 0 or not logarithmic) else math.nan for y in ys
            ]
            dot = "o" if len(xs) == 1 else None  # a line through one point would not be seen
            place.plot(xs, values, color=look.colour, ls=look.line, lw=1.8, marker=dot)
            if any(not math.isfinite(y) for y in ys):  # ran away: a cross where it was last seen
                _cross(place, xs, values, look)
        if logarithmic:
            place.set_yscale("log")
            _limit(place, [line for _, line in here.values()])
        if max(max(xs) for _, (xs, _) in here.values()) > 50:
            place.set_xscale("log")
    legend(figure, [_key(method, look) for method, look in shown.items()], 4)
    shown_as = _named(quantity)
    title = f"{shown_as[0].upper()}{shown_as[1:]}, median over pictures: {block.setting.words}"
    figure.suptitle(plain(title), color=INK, fontsize=12)
    return saved(figure, f"{name}--{quantity.replace('_', '-')}", title)


def _named(quantity: str) -> str:
    words = quantity.replace("_", " ")
    return words.upper() if words in ("psnr", "ssim") else words


def _key(method: str, look: Style) -> Any:
    from matplotlib.lines import Line2D

    label = plain(method if look.certified else f"{method} (no guarantee)")
    return Line2D([], [], color=look.colour, ls=look.line, lw=1.8, label=label)


def _cross(place: Axes, xs: list[float], values: list[float], look: Style) -> None:
    seen = [(x, y) for x, y in zip(xs, values, strict=True) if math.isfinite(y)]
    if seen:
        place.plot(*seen[-1], marker="x", color=look.colour, ms=8, mew=2)


def _limit(place: Axes, lines: Sequence[_Line]) -> None:
    """Keeps a divergence from pressing the other curves flat."""
    finite = [[y for y in ys if math.isfinite(y) and y > 0] for _, ys in lines]
    begins = [ys[0] for ys in finite if ys]
    if begins and max(max(ys) for ys in finite if ys) > _CEILING * max(begins):
        low = min(min(ys) for ys in finite if ys)
        place.set_ylim(low / 3, _CEILING * max(begins))
