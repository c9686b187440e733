"""The figures of a benchmark: PSNR against time and against proven constants, curves, strips."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pnp_recon.benchmark.cells import slug
from pnp_recon.benchmark.report.curves import curve_figures
from pnp_recon.benchmark.report.drawing import (
    INK,
    PALE,
    Drawn,
    Style,
    dress,
    label_points,
    legend,
    panels,
    plain,
    saved,
    styles,
)
from pnp_recon.benchmark.report.layout import level
from pnp_recon.benchmark.report.strips import strip_figures
from pnp_recon.benchmark.report.summary import Block, Column, Group, largest, median, summarise
from pnp_recon.benchmark.store import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# (x or None, PSNR, over every picture?) of a method in one panel.
_Point = tuple[float | None, float, bool]
_Value = Callable[[Sequence[Group]], float | None]


def figures(results: Sequence[Results]) -> list[Drawn]:
    """All figures that the results have numbers, curves or pictures for."""
    found: list[Drawn] = []
    names: set[str] = set()
    for i, block in enumerate(summarise(results)):
        setting = block.setting
        colour = "grey" if setting.channels == 1 else "colour"
        name = slug(setting.suite, setting.split, colour)
        name = f"{name}--{i + 1}" if name in names else name  # of another crop, seed or setting
        names.add(name)
        found += _scatters(block, name)
        found += curve_figures(block, name)
        found += strip_figures(block, name)
    return found


def _scatters(block: Block, name: str) -> list[Drawn]:
    words = block.setting.words
    if block.setting.suite == "stability":  # its pictures are the ends of iterations
        return []
    found = [_scatter(block, f"{name}--psnr-seconds", f"PSNR against time: {words}",
                      "seconds, median of a picture", _seconds, timed=True)]  # fmt: skip
    constants = [("alpha", "proven averagedness α", _alpha),
                 ("lipschitz", "proven Lipschitz constant", _lipschitz)]  # fmt: skip
    for short, axis, value in constants:
        values = {value([group]) for group in block.groups()} - {None}
        # One Lipschitz constant for all, 1, says nothing that the averagedness does not.
        if len(values) > (0 if len(found) == 1 else 1):
            title = f"PSNR against {axis}: {words}"
            found.append(_scatter(block, f"{name}--psnr-{short}", title, axis, value))
    return [drawn for drawn in found if drawn is not None]


def _seconds(groups: Sequence[Group]) -> float | None:
    # A logarithmic axis has no place for zero.
    return median(row.seconds for group in groups for row in group.measured) or None


def _alpha(groups: Sequence[Group]) -> float | None:
    """The constant of certified methods alone."""
    proven = all(group.certified for group in groups)
    return largest(group.alpha for group in groups) if proven else None


def _lipschitz(groups: Sequence[Group]) -> float | None:
    proven = all(group.certified for group in groups)
    return largest(group.lipschitz for group in groups) if proven else None


def _scatter(
    block: Block,
    name: str,
    title: str,
    axis: str,
    value: _Value,
    timed: bool = False,
) -> Drawn | None:
    points = {
        noise: found
        for noise, columns in block.by_noise().items()
        if (found := _points(block, columns, value))
    }
    if timed:
        points = {k: {m: p for m, p in v.items() if p[0]} for k, v in points.items()}
        points = {k: v for k, v in points.items() if v}
    if not points:
        return None
    looks = styles(block)
    figure, places = panels(len(points))
    labels: list[tuple[Axes, list[tuple[float, float, str, str]]]] = []
    several = len({column.degradation.name for column in block.columns}) > 1
    for place, (noise, found) in zip(places, points.items(), strict=True):
        dress(place, level(block.setting.suite, noise), axis, "mean PSNR in dB")
        shown = _with_log(place, found) if timed else _with_band(place, found)
        for method, x in shown.items():
            _mark(place, x, found[method], looks[method])
        _room(place, [point[1] for point in found.values()])
        labels.append((place, [(x, found[m][1], m, looks[m].ink) for m, x in shown.items()]))
    legend(figure, _keys(looks, any(not p[2] for found in points.values() for p in found.values())))
    over = " (mean over problems)" if several else ""
    figure.suptitle(plain(title + over), color=INK, fontsize=12)
    label_points(figure, labels)
    return saved(figure, name, title)


def _points(block: Block, columns: list[Column], value: _Value) -> dict[str, _Point]:
    found: dict[str, _Point] = {}
    for method in block.methods:
        groups = [column.groups[method] for column in columns if method in column.groups]
        means = [group.psnr.mean for group in groups if group.psnr.mean is not None]
        if means:
            whole = len(groups) == len(columns) and all(group.complete for group in groups)
            found[method] = (value(groups), statistics.fmean(means), whole)
    return found


def _with_log(place: Axes, found: dict[str, _Point]) -> dict[str, float]:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    shown = {method: point[0] for method, point in found.items() if point[0] is not None}
    place.set_xscale("log")
    place.set_xlim(min(shown.values()) / 2.5, max(shown.values()) * 2.5)
    decades = max(shown.values()) / min(shown.values()) > 100
    place.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
    place.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    place.xaxis.set_minor_formatter(NullFormatter())
    return shown


def _with_band(place: Axes, found: dict[str, _Point]) -> dict[str, float]:
    """x of each point; those without a constant stand in a band at the right."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    constants = [point[0] for point in found.values() if point[0] is not None]
    low, high = min(constants, default=0.0), max(constants, default=1.0)
    span = max(high - low, 0.05)
    edge, end = high + 0.25 * span, high + 0.95 * span
    place.set_xlim(low - 0.3 * span, end)
    ticks = [
        tick for tick in MaxNLocator(4).tick_values(low, high) if low - span / 4 <= tick < edge
    ]
    if low == high:  # one constant: the tick is it, as the points have it
        ticks = [low]
    place.xaxis.set_major_locator(FixedLocator(ticks))
    place.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.4g}"))
    place.axvspan(edge, end, color="#f4efe9", zorder=0)
    place.text((edge + end) / 2, 0.02, "none proven", color=PALE, fontsize=9, ha="center",
               va="bottom", transform=place.get_xaxis_transform())  # fmt: skip
    # Side by side in turn, from the best down: equals do not hide each other.
    unproven = sorted((m for m, p in found.items() if p[0] is None), key=lambda m: -found[m][1])
    beside = {m: edge + (0.35 + 0.3 * (i % 2)) * (end - edge) for i, m in enumerate(unproven)}
    return {m: beside[m] if p[0] is None else p[0] for m, p in found.items()}


def _mark(place: Axes, x: float, point: _Point, look: Style) -> None:
    inner = look.colour if point[2] else "white"
    place.plot([x], [point[1]], ls="none", marker=look.shape, ms=7, mec=look.colour, mfc=inner,
               mew=1.4, zorder=3)  # fmt: skip


def _room(place: Axes, values: list[float]) -> None:
    span = max(max(values) - min(values), 0.5)
    place.set_ylim(min(values) - 0.18 * span, max(values) + 0.18 * span)


def _keys(looks: dict[str, Style], partly: bool) -> list[Any]:
    """Keys of the two families, and of the hollow points where there are any."""
    from matplotlib.lines import Line2D

    words = {True: "certified", False: "no guarantee"}
    found = {look.certified: look for look in reversed(looks.values())}
    keys = [
        Line2D([], [], ls="none", marker=look.shape, color=look.colour, ms=7, label=words[family])
        for family, look in sorted(found.items(), reverse=True)
    ]
    if partly:
        keys.append(Line2D([], [], ls="none", marker="o", mfc="white", mec=PALE, ms=7,
                           label="hollow: not measured on every picture"))  # fmt: skip
    return keys
