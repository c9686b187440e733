"""docs/research.md from the rows of `rows.py`, their curves and filters.

    python -m scripts.studies.research.report collect --data BSDS500 --runs RUNS   # after new rows
    python -m scripts.studies.research.report write      # page and figures

`collect` needs the runs' folders; `write` needs what is committed alone. The words are in
page.md: a line "table: TOPIC" becomes the rows of that topic.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

from pnp_recon.files import atomic_write
from scripts.protocol import DOCS, IMAGES, RESULTS
from scripts.studies.research.collect import COST, CURVES, GAINS, collect
from scripts.studies.research.figures import figures
from scripts.studies.research.fixed_points import PROBLEMS
from scripts.studies.research.trials import TRIALS

TEMPLATE = Path(__file__).with_name("page.md")
PAGE = DOCS / "research.md"
LEVELS = (5, 15, 25)

Table = dict[str, dict[str, str]]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_name(path: Path) -> Table:
    return {row["name"]: row for row in read(path)}


@dataclass(frozen=True)
class Tables:
    """What the page is made of, by the names of the rows.

    Attributes:
        rows, cost, gains, fixed: of training, milliseconds a step, singular values, fixed points.
    """

    rows: Table
    cost: Table
    gains: Table
    fixed: Table

    @classmethod
    def read(cls, folder: Path) -> Tables:
        files = ("research.csv", COST, GAINS, "research_fixed_points.csv")
        return cls(*(by_name(folder / name) for name in files))


def page(template: str, tables: Tables) -> str:
    """The page: every placeholder line of the template replaced."""
    out = []
    for line in template.splitlines():
        key, _, topic = line.partition(": ")
        if line == "table: gain":
            out += gain_lines(tables.gains)
        elif line == "table: fixed points":
            out += fixed_point_lines(tables.fixed)
        elif key == "table":
            out += table_lines(topic, tables.rows, tables.cost)
        else:
            out.append(line)
    return "\n".join(out) + "\n"


def table_lines(topic: str, rows: Table, cost: Table) -> list[str]:
    """The rows of a topic that were run, each with its difference to what it is compared with.

    Raises:
        ValueError: none was.
    """
    known = [name for name, trial in TRIALS.items() if trial.topic == topic and name in rows]
    if not known:
        raise ValueError(f"no row of the topic {topic!r} was run; run one or drop its table")
    lines = [
        "| row | what differs | numbers | ms a step | σ·255 = 5 | 15 | 25 | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in known:
        row, against = rows[name], TRIALS[name].against
        values = " | ".join(show(row.get(f"psnr_{level}", "")) for level in LEVELS)
        change = "" if name == against or against not in rows else difference(row, rows[against])
        of = "" if against == "small" or not change else f" to `{against}`"
        spent = cost[name]["ms"] if name in cost else "–"
        what, numbers = TRIALS[name].what, f"{int(row['parameters']):,}".replace(",", " ")
        lines.append(f"| `{name}` | {what} | {numbers} | {spent} | {values} | {change}{of} |")
    return lines


def show(value: str) -> str:
    return f"{float(value):.2f}" if value else "–"


def difference(row: dict[str, str], other: dict[str, str]) -> str:
    """PSNR minus that of another row, one number a level; in hundredths, as the noise allows."""
    parts = []
    for level in LEVELS:
        one, two = row.get(f"psnr_{level}"), other.get(f"psnr_{level}")
        change = round(float(one) - float(two), 2) + 0.0 if one and two else None  # no −0.00
        parts.append("–" if change is None else f"{change:+.2f}")
    return " / ".join(parts).replace("-", "−")


def gain_lines(gains: Table) -> list[str]:
    lines = [
        "| row | 10 % below | median | 90 % below | share above 0.9 | root mean square |",
        "|---|---|---|---|---|---|",
    ]
    for name in [name for name in TRIALS if name in gains]:
        row = gains[name]
        cells = [
            row["q10"],
            row["q50"],
            row["q90"],
            f"{100 * float(row['above']):.1f} %",
            row["rms"],
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def fixed_point_lines(fixed: Table) -> list[str]:
    """Each row's best level and coupling for each problem, and its difference to `small`."""
    lines = [
        "| row | what differs | " + " | ".join(name for name, *_ in PROBLEMS) + " | difference |",
        "|---|---|" + "---|" * (len(PROBLEMS) + 1),
    ]
    for name in [name for name in TRIALS if name in fixed]:
        row = fixed[name]
        cells = [f"{float(row[key]):.2f} ({row[f'{key}_at']})" for key, *_ in PROBLEMS]
        changes = [float(row[key]) - float(fixed["small"][key]) for key, *_ in PROBLEMS]
        change = " / ".join(f"{round(d, 2) + 0.0:+.2f}" for d in changes).replace("-", "−")
        last = "" if name == "small" else change
        lines.append(f"| `{name}` | {TRIALS[name].what} | {' | '.join(cells)} | {last} |")
    return lines


def current() -> str:
    """The page as it would be written now."""
    return page(TEMPLATE.read_text(encoding="utf-8"), Tables.read(RESULTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["collect", "write"])
    parser.add_argument("--data", type=Path, help="BSDS500, for the time of a step")
    parser.add_argument("--runs", type=Path, default=Path("runs/research"))
    given = parser.parse_args()
    if given.what == "collect":
        collect(list(by_name(RESULTS / "research.csv")), given.runs, given.data, RESULTS)
    atomic_write(PAGE, current())
    figures(read(RESULTS / CURVES), by_name(RESULTS / GAINS), IMAGES)


if __name__ == "__main__":
    main()
