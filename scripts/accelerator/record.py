"""Reads a record of `check`: sections, rows with results, and tables of them in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Found = dict[str, Any]

MODES = {"f32": "float32", "tf32": "TF32", "bf16": "bfloat16"}
OWN = re.compile(r"(Input|Operator|StepSize|Certificate|Output)Error: ")
UNREACHED = ("skipped: budget", "skipped: the section's time is spent", "cut:")


def sections(record: Found) -> Found:
    """The sections by name; older records have numbers before the names."""
    return {
        re.sub(r"^s\d+m?_", "", key): found for key, found in record.get("sections", {}).items()
    }


def section(record: Found, name: str) -> Found:
    return dict(sections(record).get(name, {}))


def errors_of(found: Found) -> dict[str, str]:
    """The errors of a section, by what was attempted."""
    rows = {key: row for key, row in found.items() if isinstance(row, dict)}
    return {key: row["error"] for key, row in rows.items() if "error" in row}


def raw_errors(found: Found) -> dict[str, str]:
    """Those that are not the package's own, which say what to do."""
    return {key: error for key, error in errors_of(found).items() if not OWN.match(error)}


def measured(found: Found) -> dict[str, Found]:
    """The rows that hold results: no reasons, no errors."""
    rows = {key: row for key, row in found.items() if isinstance(row, dict)}
    return {key: row for key, row in rows.items() if "error" not in row}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [[*head]]
    lines += [[str(cell) for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def small(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
