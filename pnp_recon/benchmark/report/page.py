"""report.html: the benchmark as one self-contained page.

Tables are those of the Markdown, sortable, and one of every row besides; figures are inline,
nothing is fetched, and every text is escaped: names and messages come from users.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from pnp_recon.benchmark.report.drawing import Drawn
from pnp_recon.benchmark.report.layout import (
    DASH,
    Entry,
    Section,
    Table,
    at_least,
    at_most,
    level,
    number,
    short,
)
from pnp_recon.benchmark.report.summary import summarise
from pnp_recon.benchmark.report.tables import AS_PUBLISHED, sections
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results

_TITLE = "Benchmark of denoisers"
_BRIEF = 28  # letters that are not worth a second line


def page(results: Sequence[Results], figures: Sequence[Drawn] = ()) -> str:
    """The page as text."""
    found = sections(results)
    run = [section for section in found if section.title != AS_PUBLISHED]
    quoted = [section for section in found if section.title == AS_PUBLISHED]
    body = [f"<h1>{_TITLE}</h1>", _contents([*run, *quoted], bool(figures))]
    body += [_section(section) for section in run]
    if figures:
        body.append('<h2 id="figures">Figures</h2>' + "".join(map(_figure, figures)))
    body.append('<h2 id="pictures">Every picture</h2>')
    body += [_details(table) for table in picture_tables(results)]
    body += [f'<div class="quoted">{_section(section)}</div>' for section in quoted]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_TITLE}</title><style>\n{_asset('page.css')}</style></head>"
        f"<body><main>\n{chr(10).join(body)}\n</main>"
        f"<script>\n{_asset('page.js')}</script></body></html>\n"
    )


def picture_tables(results: Sequence[Results]) -> list[Table]:
    """Every row of every block."""
    head = ("method", "problem", "noise", "picture", "status", "PSNR", "PSNR, peak of clean",
            "SSIM", "LPIPS", "PSNR of input", "seconds", "MB", "iterations", "residual",
            "certificate", "α", "L", "L attained", "message")  # fmt: skip
    found = []
    for block in summarise(results):
        rows = tuple(tuple(_row(row)) for row in block.rows)
        title = f"{block.setting.words}: {len(rows)} rows"
        found.append(Table(title, head, rows))
    return found


def _row(row: Row) -> list[Entry]:
    return [
        Entry(row.method),
        Entry(row.problem),
        Entry(level(row.suite, row.noise), value=row.noise),
        Entry(row.picture),
        Entry(row.status),
        *(Entry(number(value, 2), value=value) for value in (row.psnr, row.psnr_clean_peak)),
        *(Entry(number(value, 3), value=value) for value in (row.ssim, row.lpips)),
        Entry(number(row.psnr_input, 2), value=row.psnr_input),
        Entry(short(row.seconds), value=row.seconds),
        Entry(number(row.peak_memory_mb, 0), value=row.peak_memory_mb),
        Entry(number(row.iterations, 0), value=row.iterations),
        Entry(short(row.residual), value=row.residual),
        Entry(row.certificate),
        *(Entry(at_most(value), value=value) for value in (row.alpha, row.lipschitz)),
        Entry(at_least(row.attained_lipschitz), value=row.attained_lipschitz),
        Entry(row.message),
    ]


def _contents(found: Sequence[Section], figures: bool) -> str:
    links = [(_anchor(section.title), section.title) for section in found]
    links += [("figures", "Figures")] if figures else []
    links.append(("pictures", "Every picture"))
    items = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links)
    return f"<nav><ul>{items}</ul></nav>"


def _section(section: Section) -> str:
    text = "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in section.text)
    tables = "".join(_titled(table) for table in section.tables)
    return f'<h2 id="{_anchor(section.title)}">{escape(section.title)}</h2>{text}{tables}'


def _anchor(title: str) -> str:
    """A name for links, of letters, digits and hyphens only."""
    return "s-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in title)


def _titled(table: Table) -> str:
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    return title + _table(table)


def _details(table: Table) -> str:
    return f"<details><summary>{escape(table.title)}</summary>{_table(table)}</details>"


def _table(table: Table) -> str:
    numeric = [any(row[i].value is not None for row in table.body) for i in range(len(table.head))]
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape(name)}</button></th>'
        for name in table.head
    )
    rows = "".join(
        f"<tr>{''.join(_cell(e, right) for e, right in zip(row, numeric, strict=True))}</tr>\n"
        for row in table.body
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    if not table.body:
        return notes
    label = escape(table.title or "table")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>{notes}"
    )


def _cell(entry: Entry, numeric: bool) -> str:
    brief = len(entry.text) + len(entry.more) <= _BRIEF
    kind = ' class="number"' if numeric else ' class="brief"' if brief else ""
    shown = numeric and entry.value is not None and entry.text != DASH
    value = f' data-value="{entry.value!r}"' if shown else ""
    text = escape(entry.text)
    text = f"<strong>{text}</strong>" if entry.strong else text
    return f"<td{kind}{value}>{text}{escape(entry.mark)}{escape(entry.more)}</td>"


def _figure(drawn: Drawn) -> str:
    data = base64.b64encode(drawn.png).decode("ascii")
    title = escape(drawn.title)
    return (
        f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{title}</figcaption></figure>"
    )


def _asset(name: str) -> str:
    """A file beside this module, which the page holds inline."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
