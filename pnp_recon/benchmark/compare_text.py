"""A comparison in words: lines for a terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from pnp_recon.benchmark.compare import EQUAL, LEVEL, Comparison, Moved
from pnp_recon.benchmark.report.layout import (
    DASH,
    Entry,
    Section,
    Table,
    level,
    markdown_section,
    number,
    plural,
    short,
)

_HOW = (
    f"PSNR differences on the same picture, in dB; equal: within {EQUAL:g} dB. p: Wilcoxon "
    f"signed-rank test, two-sided, after Holm's correction over all groups; “moved” is said below "
    f"{LEVEL:g} only. Time: median over pictures of the ratio of seconds."
)


def lines(found: Comparison) -> list[str]:
    """The comparison as text for a terminal."""
    out = [f"{found.before} → {found.after}"]
    for group in found.groups:
        out.append(f"{group.name}: {verdict(group)}")
        out += [f"    {change}" for change in group.changes]
    for title, items in _lists(found):
        if items:
            out += [f"{title}:", *(f"    {item}" for item in items)]
    out.append(summary(found))
    return out


def markdown(found: Comparison) -> str:
    """The comparison as text for a file."""
    head = ("suite", "problem", "noise", "method", "pairs", "difference", "better", "worse",
            "equal", "p", "verdict", "time", "changes")  # fmt: skip
    body = tuple(tuple(_row(group)) for group in found.groups)
    sections = [
        Section("Groups", (summary(found),), (Table("", head, body, (_HOW,)),)),
        *(
            Section(title, (), (Table("", ("what",), tuple((Entry(item),) for item in items)),))
            for title, items in _lists(found)
            if items
        ),
    ]
    out = [f"# Comparison: {found.before} → {found.after}", ""]
    for section in sections:
        out += markdown_section(section)
    return "\n".join(out).rstrip() + "\n"


def verdict(group: Moved) -> str:
    """The outcome of one group in a sentence."""
    ratio = "" if group.time_ratio is None else f"; time × {group.time_ratio:.2f}"
    counts = f"{group.better} better, {group.worse} worse, {group.equal} equal"
    if not group.difference.count:
        return f"{group.reason}{ratio}"
    if group.difference.count == group.equal:
        return f"unchanged: {group.reason}, {plural(group.equal, 'picture')}{ratio}"
    said = f"{_signed(group)} dB ({counts})"
    if group.corrected is None:
        return f"{said}; no test: {group.reason}{ratio}"
    word = "moved" if group.moved else "no difference shown"
    return f"{word}, {said}, p = {_p(group.corrected)}{ratio}"


def summary(found: Comparison) -> str:
    """The last line: how many groups moved, and where to."""
    up = sum((group.difference.mean or 0) > 0 for group in found.moved)
    down = len(found.moved) - up
    changed = sum(bool(group.changes) for group in found.groups)
    said = (
        f"{len(found.moved)} of {plural(len(found.groups), 'group')} moved "
        f"({up} up, {down} down; corrected p < {LEVEL:g})"
        if found.moved
        else f"nothing moved in {plural(len(found.groups), 'group')} (no corrected p < {LEVEL:g})"
    )
    if not found.groups:
        said = "the two have no cell in common"
    also = f"; certificate, status, model or parameters changed in {changed}" if changed else ""
    return f"{said}{also}."


def _lists(found: Comparison) -> Sequence[tuple[str, Sequence[str]]]:
    return (
        (f"Only in {found.before}", found.only_before),
        (f"Only in {found.after}", found.only_after),
        ("Differences between the runs", found.manifests),
    )


def _row(group: Moved) -> list[Entry]:
    difference = group.difference
    outcome = "moved" if group.moved else "no difference shown"
    return [
        Entry(group.suite),
        Entry(group.problem),
        Entry(level(group.suite, group.noise), value=group.noise),
        Entry(group.method),
        Entry(str(difference.count), value=difference.count),
        Entry(_signed(group), strong=group.moved, value=difference.mean),
        *(Entry(str(count), value=count) for count in (group.better, group.worse, group.equal)),
        Entry(_p(group.corrected), value=group.corrected),
        Entry(group.reason or outcome),
        Entry(DASH if group.time_ratio is None else f"× {number(group.time_ratio)}",
              value=group.time_ratio),
        Entry("; ".join(group.changes) or DASH),
    ]  # fmt: skip


def _signed(group: Moved) -> str:
    """Mean ± standard deviation of the differences, with its sign."""
    if group.difference.mean is None:
        return DASH
    spread = "" if group.difference.std is None else f" ± {number(group.difference.std, 3)}"
    return f"{group.difference.mean:+.3f}{spread}"


def _p(value: float | None) -> str:
    return "< 0.0001" if value is not None and value < 1e-4 else short(value)
