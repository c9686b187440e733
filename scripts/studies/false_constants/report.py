"""The tables of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pnp_recon.files import atomic_write
from scripts.protocol import Rows

Row = dict[str, Any]

HEAD = """# Declared constants that are false

Written by `python -m scripts.studies.false_constants`. A denoiser declares α = 0.99 and expands by
so much, somewhere (`scripts.studies.false_constants.maps`): pictures of 48², float32, at most 100
iterations. **Laws**: contradicted by what the iterates must do (residuals monotone and below their
rate, the inequality between successive evaluations). **Challenge**: by pairs of pictures that were
searched for (`pnp_recon.solvers.pnp.challenge`). Size 0 is the twin whose declaration is true.
The search was tuned on maps of these kinds, though not on these seeds alone: the rates are on the
bright side.
"""


def rates(rows: Sequence[Row]) -> dict[str, int]:
    """How many there are, and how many of them were contradicted by what."""
    return {
        "runs": len(rows),
        "laws": sum(row["laws"] for row in rows),
        "challenge": sum(row["challenge"] for row in rows),
        "either": sum(row["laws"] or row["challenge"] for row in rows),
    }


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def table(rows: Sequence[Row], field: str) -> str:
    """A line for each value of a field."""
    lines = [f"| {field} | runs | laws | challenge | either |", "|---|---|---|---|---|"]
    for value in dict.fromkeys(row[field] for row in rows):
        found = rates([row for row in rows if row[field] == value])
        shares = (percent(found[key], found["runs"]) for key in ("laws", "challenge", "either"))
        words = f"{100 * value:g} %" if field == "size" else str(value)
        lines.append(f"| {words} | {found['runs']} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def missed(rows: Sequence[Row]) -> str:
    """The runs that nothing contradicted."""
    lines = ["| base | kind | solver | acceleration | problem | worst ratio |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        if not (row["laws"] or row["challenge"]):
            fields = ("base", "kind", "solver", "acceleration", "problem", "ratio")
            lines.append("| " + " | ".join(str(row[key]) for key in fields) + " |")
    return "\n".join(lines) + "\n"


def report(rows: Rows, path: Path) -> None:
    """Writes the page."""
    every = sorted(rows.rows, key=lambda row: (row["size"], row["seed"]))
    five = [row for row in every if row["size"] == 0.05]
    one = [row for row in every if row["size"] == 0.01]
    plain = [row for row in every if row["calls"] and row["iterations"]]
    calls = median(row["calls"] for row in plain)
    iterations = median(row["iterations"] for row in plain)
    share = median(row["share"] for row in plain)
    parts = [
        HEAD,
        "## By size\n",
        table(every, "size"),
        "## An expansion of 5 %, by kind\n",
        table(five, "kind"),
        "## An expansion of 5 %, by base\n",
        table(five, "base"),
        "## An expansion of 5 %, by solver\n",
        table(five, "solver"),
        "## An expansion of 1 %, by kind\n",
        table(one, "kind"),
        "## Not found at 5 %\n",
        missed(five),
        "## Cost\n",
        f"Calls of the denoiser for the challenge: {calls:g} in the median run, which takes "
        f"{iterations:g} iterations; {percent(round(1000 * share), 1000)} of its time. A denoiser "
        "whose constant is proven is not challenged.\n",
    ]
    atomic_write(path, "\n".join(parts))
