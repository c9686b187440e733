"""Comparison strips: crops of kept pictures side by side, truth and input first."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_recon.benchmark.cells import Degradation, slug
from pnp_recon.benchmark.report.drawing import INK, Drawn, plain, saved, styles
from pnp_recon.benchmark.report.layout import level, number
from pnp_recon.benchmark.report.summary import Block
from pnp_recon.benchmark.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRUE, INPUT = "clean", "input"
_SIDE = 1.75  # inches of a crop
_WIDEST = 8  # crops side by side; more are wrapped

# A line of a strip: its caption, and title, picture, colour of the title for every crop.
_Crop = tuple[str, NDArray[np.uint8] | None, str]
_Line = tuple[str, list[_Crop]]


def strip_figures(block: Block, name: str) -> list[Drawn]:
    """One strip for each kept picture, or for each picture and noise with several degradations."""
    several = len({column.degradation.name for column in block.columns}) > 1
    found = []
    for picture in dict.fromkeys(kept for run in block.runs for kept in run.plan.kept):
        for noise, columns in block.by_noise().items() if several else [(None, block.columns)]:
            lines = [_line(block, picture, column.degradation) for column in columns]
            shown = [line for line in lines if any(crop is not None for _, crop, _ in line[1])]
            if shown:
                at = "" if noise is None else f", {level(block.setting.suite, noise)}"
                title = f"{picture}{at}: {block.setting.words}"
                part = slug("strip", picture, *([] if noise is None else [f"{noise:g}"]))
                found.append(_figure(f"{name}--{part}", title, shown))
    return found


def _line(block: Block, picture: str, degradation: Degradation) -> _Line:
    looks = styles(block)
    wanted = (picture, degradation.name, degradation.noise)
    rows = {
        row.method: row for row in block.rows if (row.picture, row.problem, row.noise) == wanted
    }
    inputs = [row.psnr_input for row in rows.values() if row.psnr_input is not None]
    started = f"input\n{number(inputs[0])} dB" if inputs else "input"
    crops: list[_Crop] = [("true", _crop(block, picture, degradation, TRUE), INK),
                          (started, _crop(block, picture, degradation, INPUT), INK)]  # fmt: skip
    for method in block.methods:
        crop = _crop(block, picture, degradation, method)
        crops.append((f"{method}\n{_quality(rows.get(method))}", crop, looks[method].ink))
    return f"{degradation.name}\n{level(block.setting.suite, degradation.noise)}", crops


def _quality(row: Row | None) -> str:
    if row is None:
        return "not run"
    return row.status if row.psnr is None else f"{number(row.psnr)} dB"


def _crop(
    block: Block, picture: str, degradation: Degradation, method: str
) -> NDArray[np.uint8] | None:
    key = slug(block.setting.suite, degradation.name, f"{degradation.noise:g}", picture, method)
    for run in reversed(block.runs):  # the last run counts, as in the tables
        found = _read(run.folder / "pictures" / f"{key}.png")
        if found is not None:
            return found
    return None


def _read(path: Path) -> NDArray[np.uint8] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            return np.asarray(image.convert("RGB"))
    except OSError:
        return None


def _figure(name: str, title: str, lines: list[_Line]) -> Drawn:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [part for line in lines for part in _wrapped(line)]
    width = max(len(crops) for _, crops in lines)
    size = (_SIDE * width + 0.4, (_SIDE + 0.45) * len(lines) + 0.4)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    places = figure.subplots(len(lines), width, squeeze=False)
    for (caption, crops), line in zip(lines, places, strict=True):
        for place, (words, crop, colour) in zip(line, crops, strict=False):
            _show(place, words, crop, colour)
        for place in line[len(crops) :]:
            place.set_axis_off()
        line[0].set_ylabel(plain(caption), color=INK, fontsize=8.5)
    figure.suptitle(plain(title), color=INK, fontsize=11)
    return saved(figure, name, title)


def _wrapped(line: _Line) -> list[_Line]:
    """The text in as few lines as hold it, of about equal length."""
    caption, crops = line
    count = -(-len(crops) // _WIDEST)
    length = -(-len(crops) // count)
    return [(caption, crops[i : i + length]) for i in range(0, len(crops), length)]


def _show(place: Axes, words: str, crop: NDArray[np.uint8] | None, colour: str) -> None:
    place.set_xticks([])
    place.set_yticks([])
    for spine in place.spines.values():
        spine.set_visible(False)
    place.set_title(plain(words), color=colour, fontsize=8.5)
    if crop is None:
        place.text(0.5, 0.5, "–", ha="center", va="center", transform=place.transAxes)
    else:
        place.imshow(crop, interpolation="nearest")
