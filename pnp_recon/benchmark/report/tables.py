"""The tables of a benchmark as papers print them, and the report as Markdown.

`sections` is what the page shows as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pnp_recon.benchmark.report.facts import (
    CONVENTIONS,
    distinct,
    facts_tables,
    guarantee,
    parameters,
)
from pnp_recon.benchmark.report.layout import (
    DASH,
    Entry,
    Section,
    Table,
    at_least,
    at_most,
    escape,
    level,
    level_entry,
    level_head,
    markdown_section,
    number,
    plural,
    short,
    spread_text,
)
from pnp_recon.benchmark.report.published import Published, published
from pnp_recon.benchmark.report.stability import stability_tables
from pnp_recon.benchmark.report.summary import Block, Column, Group, largest, median, summarise
from pnp_recon.benchmark.rows import Row
from pnp_recon.benchmark.store import Results

CERTIFIED_MARK = "†"
AS_PUBLISHED = "As published, not run here"
_LEGEND = (
    f"Bold: best mean PSNR of the column; {CERTIFIED_MARK}: best among certified methods; means "
    "within 0.005 dB are marked alike. Only methods measured on every picture of a column are "
    "compared; “(7 of 8)” says over how many pictures a mean is where that is not all of them."
)


def markdown(results: Sequence[Results], figures: Sequence[tuple[str, str]] = ()) -> str:
    """The report; `figures` are (title, path relative to the report) of pictures to show."""
    lines = ["# Benchmark of denoisers", ""]
    for section in sections(results):
        lines += markdown_section(section)
    if figures:
        lines += ["## Figures", ""]
        for title, path in figures:
            lines += [f"![{escape(title)}]({path})", ""]
    return "\n".join(lines).rstrip() + "\n"


def sections(results: Sequence[Results]) -> list[Section]:
    """Tables of every block, the facts of every run, what failed, and published values."""
    blocks = summarise(results)
    unfinished = [item for item in results if len(item.rows) < len(item.plan)]
    opening = tuple(
        f"UNFINISHED: the run in {item.folder.name} has {len(item.rows)} of {len(item.plan)} "
        "cells; continue it with --resume. Nothing is marked as best where cells are still missing."
        for item in unfinished
    )
    found = [Section("What was run", (*opening, *CONVENTIONS), facts_tables(results))]
    for block in blocks:
        found.append(_block_section(block))
    ended = failures([row for block in blocks for row in block.rows])
    if ended.body:
        found.append(Section("Failed, diverged, expansive", (), (ended,)))
    quoted: dict[str, Table] = {}
    for setting in (block.setting for block in blocks):
        for table in published(setting.suite, setting.split, setting.channels):
            if setting.crop is None:
                quoted[table.title] = _quoted(table)
            else:
                cropped = f" They are of whole pictures, not of central {setting.crop}² crops."
                quoted.setdefault(table.title, _quoted(table, cropped))
    if quoted:
        said = "Quoted from papers. Their protocols differ from the one above, as said below each."
        found.append(Section(AS_PUBLISHED, (said,), tuple(quoted.values())))
    return found


def quality_tables(block: Block) -> list[Table]:
    """Methods against problems: noise levels as columns, or one table for each noise level."""
    names = {column.degradation.name for column in block.columns}
    if len(names) == 1:
        title = f"{block.setting.words}: {names.pop()}"
        heads = [level(block.setting.suite, column.degradation.noise) for column in block.columns]
        return [_quality(block, title, list(block.columns), heads)]
    return [
        _quality(
            block,
            f"{block.setting.words}: {level(block.setting.suite, noise)}",
            columns,
            [column.degradation.name for column in columns],
        )
        for noise, columns in block.by_noise().items()
    ]


def failures(rows: Sequence[Row]) -> Table:
    """Rows that enter no mean, alike ones together."""
    found: dict[tuple[str, str, str, float, str, str], list[str]] = {}
    for row in rows:
        if not row.measured:
            key = (row.suite, row.method, row.problem, row.noise, row.status, row.message)
            found.setdefault(key, []).append(row.picture)
    body = tuple(
        (Entry(method), Entry(suite), Entry(problem), Entry(level(suite, noise), value=noise),
         Entry(status), Entry(_pictures(pictures), value=len(pictures)), Entry(message or DASH))
        for (suite, method, problem, noise, status, message), pictures in found.items()
    )  # fmt: skip
    head = ("method", "suite", "problem", "noise", "status", "pictures", "message")
    return Table("", head, body)


def _block_section(block: Block) -> Section:
    text = []
    if block.replaced:
        text.append(f"{plural(block.replaced, 'cell')} in several runs; the last run counts.")
    machines = distinct(f"{row.device}, {row.threads} threads" for row in block.rows)
    if ";" in machines:
        text.append(f"Seconds were measured on different machines ({machines}): do not compare.")
    stable = block.setting.suite == "stability"
    tables = stability_tables(block) if stable else [*quality_tables(block), _details(block)]
    return Section(block.setting.words, tuple(text), (*tables, _methods(block)))


def _quality(block: Block, title: str, columns: list[Column], heads: list[str]) -> Table:
    here = {name: [c.groups[name] for c in columns if name in c.groups] for name in block.methods}
    iterative = any(group.iterations.count for groups in here.values() for group in groups)
    head = ["method", "guarantee", *heads, "seconds", "MB"]
    head += ["iterations", "ends"] if iterative else []
    body = []
    for name, groups in here.items():
        seconds = median(row.seconds for group in groups for row in group.measured)
        memory = largest(group.peak_memory_mb for group in groups)
        cells = [Entry(name), Entry(guarantee(groups))]
        cells += [_cell(column, name) for column in columns]
        cells += [Entry(short(seconds), value=seconds), Entry(number(memory, 0), value=memory)]
        cells += [_mean_iterations(groups), Entry(_ends(groups))] if iterative else []
        body.append(tuple(cells))
    pictures = sorted({column.pictures for column in columns})
    over = f"{' or '.join(map(str, pictures))} picture{'s' * (pictures != [1])}"
    said = (
        f"PSNR in dB / SSIM, mean ± standard deviation over {over}; seconds: median of "
        "a cell; MB: largest growth of the process."
    )
    return Table(title, tuple(head), tuple(body), (said, _LEGEND))


def _cell(column: Column, name: str) -> Entry:
    group = column.groups.get(name)
    if group is None or not group.psnr.count:
        return Entry(DASH)
    ssim = f" / {spread_text(group.ssim, 3)}" if group.ssim.count else ""
    fewer = "" if group.complete else f" ({group.psnr.count} of {column.pictures})"
    return Entry(
        spread_text(group.psnr, 2),
        more=ssim + fewer,
        mark=CERTIFIED_MARK if name in column.best_certified else "",
        strong=name in column.best,
        value=group.psnr.mean,
    )


def _mean_iterations(groups: Sequence[Group]) -> Entry:
    counts = [row.iterations for g in groups for row in g.measured if row.iterations is not None]
    mean = sum(counts) / len(counts) if counts else None
    return Entry(number(mean, 0), value=mean)


def _ends(groups: Sequence[Group]) -> str:
    """Such as "18 converged, 2 diverged"."""
    counts = Counter(row.status for group in groups for row in group.rows)
    return ", ".join(f"{count} {status}" for status, count in counts.most_common()) or DASH


def _details(block: Block) -> Table:
    """Every number of every group, one row each; columns without any number are left out."""
    noise = level_head(block.setting.suite)
    head = ["method", "problem", noise, "pictures", "failed", "PSNR", "PSNR, peak of clean",
            "gain", "SSIM", "LPIPS", "seconds", "MB", "iterations", "residual", "α", "L",
            "L attained", "parameters"]  # fmt: skip
    body = [_detail(group) for group in block.groups()]
    kept = [
        i for i in range(len(head)) if i < 5 or any(row[i].text not in (DASH, "") for row in body)
    ]
    rows = tuple(tuple(row[i] for i in kept) for row in body)
    notes = (
        "Gain: PSNR over that of the noisy, blurred, filled or back-projected picture. α, L: "
        "largest proven bound, rounded up; L attained: largest quotient found, rounded down.",
    )
    title = f"{block.setting.words}: every mean"
    return Table(title, tuple(head[i] for i in kept), rows, notes)


def _detail(group: Group) -> list[Entry]:
    over = f"{group.psnr.count} of {group.pictures}"
    spreads = [(group.psnr, 2), (group.psnr_clean_peak, 2), (group.gain, 2), (group.ssim, 3),
               (group.lpips, 3)]  # fmt: skip
    return [
        Entry(group.method),
        Entry(group.degradation.name),
        level_entry(group.setting.suite, group.degradation.noise),
        Entry(over, value=group.psnr.count),
        Entry(str(group.failures), value=group.failures),
        *(Entry(spread_text(found, digits), value=found.mean) for found, digits in spreads),
        Entry(short(group.seconds), value=group.seconds),
        Entry(number(group.peak_memory_mb, 0), value=group.peak_memory_mb),
        Entry(number(group.iterations.mean, 0), value=group.iterations.mean),
        Entry(short(group.residual), value=group.residual),
        Entry(at_most(group.alpha), value=group.alpha),
        Entry(at_most(group.lipschitz), value=group.lipschitz),
        Entry(at_least(group.attained_lipschitz), value=group.attained_lipschitz),
        Entry(parameters(group.judged)),
    ]


def _methods(block: Block) -> Table:
    body = []
    for name in block.methods:
        judged = [row for group in block.groups(name) for row in group.judged]
        model = distinct(row.model_sha256[:12] for row in judged) or DASH
        body.append(
            (Entry(name), Entry(guarantee(block.groups(name))),
             Entry(distinct(row.theorem for row in judged) or DASH), Entry(model))
        )  # fmt: skip
    head = ("method", "guarantee", "theorem, or why there is none", "SHA-256 of the model")
    return Table(f"{block.setting.words}: methods", head, tuple(body))


def _pictures(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _quoted(table: Published, more: str = "") -> Table:
    body = tuple(
        (Entry(method),
         *(Entry(v or DASH, value=float(v.split()[0]) if v else None) for v in values),
         Entry(proven))
        for method, values, proven in table.rows
    )  # fmt: skip
    notes = (f"Source: {table.source}.", f"What differs: {table.differs}{more}")
    return Table(table.title, ("method", *table.head, "guarantee"), body, notes)
