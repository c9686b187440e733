"""Writes the page of a run of `bench`: the card beside its ceilings, the CPU and other code.

    python -m scripts.accelerator.report_bench [RECORD.json] [-o PAGE.md]

Every number on the page is one of the record. Without a record the tables are empty, and the page
says why. Knows nothing of how it was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pnp_recon.files import atomic_write
from scripts.accelerator.record import MODES, Found, measured, section, table

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
RECORD = RESULTS / "accelerator" / "bench.json"
PAGE = RESULTS / "accelerator_bench.md"
EMPTY = "**No GPU has run the benchmark since it was written: the tables are empty.**"
NOT_MEASURED = "not measured"
SHARE, FASTER, OVERHEAD = 0.5, 30.0, 0.05


def number(value: Any, digits: str = ".3g") -> str:
    return format(value, digits) if isinstance(value, int | float) else NOT_MEASURED


def filled(head: Iterable[str], rows: list[list[str]]) -> str:
    """A table; one line without numbers where there are no rows."""
    columns = [*head]
    return table(columns, rows or [[NOT_MEASURED, *[""] * (len(columns) - 1)]])


def head(record: Found) -> str:
    text = ["# Benchmark on an accelerator"]
    if not record:
        text.append(EMPTY)
    else:
        found = section(record, "environment")
        where = found.get("gpu", "the CPU (a dry run)")
        text.append(
            f"One run on {where}: torch {found.get('torch', 'unknown')}, the tree of commit "
            f"`{(record.get('commit') or 'unknown')[:7]}`, {record['total_s']:.0f} s in all."
        )
    text.append(
        "`sh scripts/accelerator/bench.sh OUT` measures on a card within five minutes, and "
        "`python -m scripts.accelerator.report_bench OUT/bench.json` writes this page. Shares are "
        "of the roofline of the convolutions: the least time that they can take by the rates that "
        "the same card reached in a copy and in a product of matrices."
    )
    return "\n\n".join(text)


def goals(record: Found) -> str:
    rows = denoiser_rows(record)
    shares = [
        row["share"] for key, row in rows.items() if key.startswith("euler") and "share" in row
    ]
    ratios = [r for r in (ratio(key, row, record) for key, row in rows.items()) if r is not None]
    runs = measured(section(record, "synchronisations"))
    overheads = [row["overhead_share"] for row in runs.values() if "overhead_share" in row]
    lines = []
    for what, goal, found, better in (
        ("best share of the roofline, Euler networks", SHARE, max(shares, default=None), 1),
        ("slowest ratio to two cores of the CPU", FASTER, min(ratios, default=None), 1),
        ("largest overhead of an iteration", OVERHEAD, max(overheads, default=None), -1),
    ):
        reached = "" if found is None else "yes" if better * (found - goal) >= 0 else "no"
        sign = "at least" if better > 0 else "at most"
        lines.append([what, f"{sign} {goal:g}", number(found), reached])
    return "## Goals\n\n" + table(["what", "goal", "measured", "reached"], lines)


def roofline(record: Found) -> str:
    found = section(record, "roofline")
    lines = []
    if copy := measured(found).get("copy"):
        lines.append(["copy", "float32", f"{copy['gb_per_s']:.0f} GB/s", ""])
    for key, row in measured(found).items():
        what, _, mode = key.rpartition(" ")
        if "tflop_per_s" in row:
            share = f"{100 * row['share']:.0f} %" if row.get("share") else ""
            lines.append([what, MODES[mode], f"{row['tflop_per_s']:.3g} Tflop/s", share])
    return "## Ceilings\n\n" + filled(["what", "arithmetic", "rate", "of the roofline"], lines)


def denoiser_rows(record: Found) -> dict[str, Found]:
    return measured(section(record, "denoisers").get("denoisers", {}))


def ratio(key: str, row: Found, record: Found) -> float | None:
    """How many times longer two cores take, where both were measured."""
    host = measured(section(record, "processor").get("denoisers", {})).get(key)
    return None if host is None else host["ms"] / row["ms"]


def denoisers(record: Found) -> str:
    hosts = measured(section(record, "processor").get("denoisers", {}))
    lines = []
    for key, row in denoiser_rows(record).items():
        name, size, mode = key.split()
        share = f"{100 * row['share']:.0f} %" if "share" in row else NOT_MEASURED
        memory = number(row.get("peak_extra_MiB"), ".0f")
        host = number(hosts.get(key, {}).get("ms"), ".1f")
        times = number(ratio(key, row, record), ".0f")
        lines.append([size, name, MODES[mode], f"{row['ms']:.2f}", memory, share, host, times])
    columns = ["size", "denoiser", "arithmetic", "ms", "MiB beside the picture"]
    columns += ["of the roofline", "ms on two cores of the CPU", "times faster"]
    return "## Denoisers\n\n" + filled(columns, lines)


def compiled(record: Found) -> str:
    lines = []
    for key, row in measured(section(record, "compiled")).items():
        name, size, mode = key.split()
        cells = [number(_form(row, form).get("ms"), ".2f") for form in FORMS]
        apart = [_form(row, form).get("max", 0.0) for form in FORMS[1:]]
        lines.append([size, name, MODES[mode], *cells, f"{max(apart):.1e}"])
    columns = ["size", "denoiser", "arithmetic", *(f"{form}, ms" for form in FORMS)]
    return "## Compiled, and as CUDA graphs\n\n" + filled([*columns, "largest difference"], lines)


FORMS = ("eager", "graph", "compile", "compile+graph")


def _form(row: Found, form: str) -> Found:
    found = row.get(form)
    return found if isinstance(found, dict) else {}


def block(record: Found) -> str:
    lines = []
    for key, row in measured(section(record, "block")).items():
        name, mode, layout = key.split()
        share = f"{100 * row['share']:.0f} %" if "share" in row else NOT_MEASURED
        gain = f"{row['gain_at_most']:.2f}"
        times = [f"{row['ms']:.3f}", f"{row['convolutions_ms']:.3f}"]
        lines.append([name, MODES[mode], layout, *times, share, gain, row["decision"]])
    columns = ["network", "arithmetic", "memory format", "ms", "its convolutions alone, ms"]
    columns += ["of the roofline", "a fused kernel gains at most", "decision"]
    text = (
        "One Euler block on the features of a megapixel. A fused kernel is written where the "
        "block waits for memory and could gain more than 1.5 times; there is none so far."
    )
    return f"## The Euler block\n\n{text}\n\n" + filled(columns, lines)


def reconstructions(record: Found) -> str:
    hosts = measured(section(record, "processor").get("reconstructions", {}))
    lines = []
    for key, row in measured(section(record, "reconstructions")).items():
        name, _, mode = key.rpartition(" ")
        host = number(hosts.get(key, {}).get("seconds"), ".1f")
        cells = [f"{row['iterations']}", f"{row['ms_per_iteration']:.2f}", f"{row['seconds']:.2f}"]
        lines.append([name, MODES[mode], *cells, host, f"{row['psnr']:.2f}"])
    columns = ["method", "arithmetic", "iterations", "ms an iteration", "s"]
    columns += ["s on two cores of the CPU", "PSNR"]
    text = "A colour picture of 481×321, motion blur of 15 pixels; the denoiser is `euler_colour`."
    return f"## Reconstructions\n\n{text}\n\n" + filled(columns, lines)


PARTS: tuple[Callable[[Found], str], ...] = (
    head,
    goals,
    roofline,
    denoisers,
    compiled,
    block,
    reconstructions,
)


def page(record: Found) -> str:
    """The page of a record, in Markdown; {} for none."""
    return "\n\n".join(part(record) for part in PARTS) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("record", type=Path, nargs="?", default=RECORD, help="A record of `bench`.")
    parser.add_argument("-o", "--out", type=Path, default=PAGE, help="Write the page here.")
    given = parser.parse_args(argv)
    record = {}
    if given.record.exists() or given.record != RECORD:
        record = json.loads(given.record.read_text(encoding="utf-8"))
    atomic_write(given.out, page(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
