"""Tables as data, numbers as text, and both as Markdown.

What a table says is decided once, in `tables`; Markdown and the page show the same entries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from pnp_recon.benchmark.report.summary import Spread

DASH = "–"  # a number that does not exist


@dataclass(frozen=True)
class Entry:
    """One field of a table.

    Attributes:
        text: what it says first; `strong` prints it bold, `mark` stands behind it.
        more: what follows, plain.
        value: by which it is sorted where the text alone would sort wrongly.
    """

    text: str
    more: str = ""
    mark: str = ""
    strong: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with a title and sentences below it."""

    title: str
    head: tuple[str, ...]
    body: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of a report: sentences, then tables."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def level(suite: str, noise: float) -> str:
    """The noise of a problem in words; CT has percent of the sinogram's largest entry."""
    return f"noise {noise:g} %" if suite == "ct" else f"σ·255 = {noise:g}"


def level_entry(suite: str, noise: float) -> Entry:
    """The same below a header that names the unit for all but CT."""
    return Entry(f"{noise:g} %" if suite == "ct" else f"{noise:g}", value=noise)


def level_head(suite: str) -> str:
    return "noise" if suite == "ct" else "σ·255"


def number(value: float | None, digits: int = 2) -> str:
    """The number with `digits` decimals; a dash where it does not exist or is not finite."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def short(value: float | None) -> str:
    """Three significant digits, for what spans orders of magnitude."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.3g}"


def at_most(value: float | None, digits: int = 5) -> str:
    """A proven upper bound: rounded up, so that what is printed is proven as well."""
    return _rounded(value, digits, ROUND_CEILING)


def at_least(value: float | None, digits: int = 5) -> str:
    """A lower bound that was attained: rounded down."""
    return _rounded(value, digits, ROUND_FLOOR)


def spread_text(value: Spread, digits: int) -> str:
    """mean ± standard deviation; the mean alone of a single picture."""
    mean = number(value.mean, digits)
    return mean if value.std is None else f"{mean} ± {number(value.std, digits)}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def markdown_table(table: Table) -> list[str]:
    """The lines of a table: its title, the table, its notes."""
    lines = [f"### {escape(table.title)}", ""] if table.title else []
    if table.body:
        lines.append(_line([escape(name) for name in table.head]))
        numeric = [_numeric([row[i] for row in table.body]) for i in range(len(table.head))]
        lines.append(_line(["---:" if right else "---" for right in numeric]))
        lines += [_line([_entry(entry) for entry in row]) for row in table.body]
        lines.append("")
    for note in table.notes:
        lines += [escape(note), ""]
    return lines


def markdown_section(section: Section) -> list[str]:
    lines = [f"## {escape(section.title)}", ""]
    for sentence in section.text:
        lines += [escape(sentence), ""]
    for table in section.tables:
        lines += markdown_table(table)
    return lines


def escape(text: str) -> str:
    """Plain text for Markdown: names and messages of users cannot form markup or HTML."""
    flat = " ".join(text.split())
    flat = re.sub(r"([\\`*|\[\]])", r"\\\1", flat)
    flat = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", flat)  # not "p < 0.05"
    # Underscores inside a word are plain; at its edge they emphasise.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", flat)


def _rounded(value: float | None, digits: int, rounding: str) -> str:
    if value is None or not math.isfinite(value):
        return DASH
    # repr: 0.1 is meant, not the binary number just above it.
    rounded = Context(prec=digits, rounding=rounding).create_decimal(Decimal(repr(float(value))))
    return f"{float(rounded):.{digits}g}"


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    text = f"**{text}**" if entry.strong else text
    return f"{text}{entry.mark}{_escape_more(entry.more)}"


def _escape_more(text: str) -> str:
    return (" " if text.startswith(" ") else "") + escape(text) if text else ""


def _numeric(column: Sequence[Entry]) -> bool:
    return any(entry.value is not None for entry in column)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
