"""The page and the figures of a benchmark, on synthetic results."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.lines import Line2D

from pnp_recon.benchmark.cells import Cell
from pnp_recon.benchmark.report import write_report
from pnp_recon.benchmark.report.curves import median_curve
from pnp_recon.benchmark.report.drawing import Drawn, legend, panels, styles
from pnp_recon.benchmark.report.figures import _with_band, figures
from pnp_recon.benchmark.report.layout import escape
from pnp_recon.benchmark.report.page import page
from pnp_recon.benchmark.report.summary import summarise
from pnp_recon.benchmark.report.tables import markdown
from pnp_recon.errors import InputError
from support.benchmark_rows import keep_pictures, plan, results, stability

HOSTILE = "<script>alert('x')</script>|**mine**"


class Reader(HTMLParser):
    """Collects tags, checks that they are balanced, and what would be loaded."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def test_the_reader_sees_tags_that_are_not_balanced() -> None:
    with pytest.raises(AssertionError):
        read("<p><b>x</p></b>")
    with pytest.raises(AssertionError):
        read("<p>")


def test_the_page_escapes_what_users_name_and_loads_nothing(tmp_path: Path) -> None:
    of = plan(methods=(HOSTILE, "euler"), pictures=((f"{HOSTILE}.png", 0),))

    def fields(cell: Cell) -> dict[str, Any]:
        return {"status": "failed", "psnr": None, "message": HOSTILE} if cell.index else {}

    run = results(tmp_path / "run", of, fields, about={"command": f"pnp-bench {HOSTILE}"})
    text = page([run], [Drawn("name", HOSTILE, b"png", b"pdf")])
    reader = read(text)
    assert reader.count["script"] == 1
    assert "alert('x')" not in text
    assert "&lt;script&gt;" in text
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in reader.loaded)
    assert "url(" not in text
    assert "@import" not in text
    assert 'addEventListener("click"' in text
    assert reader.count["button"] > 20  # headers that sort
    assert "data-value" in text
    # In Markdown neither HTML nor emphasis nor a further column comes out of a name.
    line = next(line for line in markdown([run]).splitlines() if "mine" in line)
    assert "<script" not in line
    assert r"\|\*\*mine\*\*" in escape(HOSTILE)


def test_the_report_writes_its_files(tmp_path: Path) -> None:
    run = results(
        tmp_path / "run", plan(kept=("test/1.jpg",), degradations=plan().degradations[:1])
    )
    keep_pictures(run, run.plan.kept, run.plan.methods[:3])  # of one method there is no crop
    paths = write_report([run, stability(tmp_path / "stable")], tmp_path / "deep" / "out")
    assert [path.name for path in paths[:2]] == ["report.md", "report.html"]
    assert all(path.stat().st_size > 500 for path in paths)
    for path in paths[2:]:
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"%PDF")
    names = " ".join(path.stem for path in paths)
    for part in ("psnr-seconds", "psnr-alpha", "strip--test-1.jpg", "stability--bsd68--grey--resi"):
        assert part in names
    text = paths[0].read_text(encoding="utf-8")
    for link in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (tmp_path / "deep" / "out" / link).is_file()
    assert read(paths[1].read_text(encoding="utf-8")).count["img"] == len(paths[2:]) // 2
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "none")


def test_figures_take_any_name(tmp_path: Path) -> None:
    of = plan(methods=("_hidden", r"$\frac$", "euler"), degradations=plan().degradations[:1])
    run = results(tmp_path / "run", of)
    for cell in of.cells():
        run.save_curve(cell, {"iteration": [1.0, 2.0], "residual": [1.0, 0.5]})
    assert len(figures([run])) == 3


def test_a_legend_is_no_wider_than_its_figure() -> None:
    """Twin: short names stay side by side."""
    for name, side_by_side in (("a_method_with_a_long_name (no guarantee)", False), ("tv", True)):
        figure, _ = panels(1)
        legend(figure, [Line2D([], [], label=name) for _ in range(5)], 4)
        (drawn,) = figure.legends
        figure.draw_without_rendering()
        assert drawn.get_window_extent().width <= figure.bbox.width
        assert (drawn._ncols == 4) == side_by_side  # type: ignore[attr-defined]


def test_a_certified_method_without_alpha_is_not_said_to_have_no_guarantee() -> None:
    """An energy is certified by a theorem of another kind; and one α is one legible tick."""
    figure, (axes,) = panels(1)
    shown = _with_band(axes, {"tv": (0.95, 27.0, True), "energy": (None, 31.0, True)})
    assert shown["energy"] > shown["tv"]
    figure.draw_without_rendering()
    assert [text.get_text() for text in axes.texts] == ["none proven"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.95"]


def test_certified_methods_have_colours_of_their_own(tmp_path: Path) -> None:
    looks = styles(summarise([results(tmp_path / "run")])[0])
    assert [look.certified for look in looks.values()] == [False, True, True, False]
    assert len({look.colour for look in looks.values()}) == 4
    assert {looks["tv"].line, looks["euler"].line} == {"solid"}
    assert "solid" not in {looks["median"].line, looks["dncnn"].line}


def test_curves_that_ended_keep_their_last_value() -> None:
    xs, ys = median_curve([([1.0, 2.0, 3.0], [9.0, 4.0, 1.0]), ([1.0], [5.0]), ([1.0], [7.0])])
    assert xs == [1.0, 2.0, 3.0]
    assert ys == [7.0, 5.0, 5.0]
