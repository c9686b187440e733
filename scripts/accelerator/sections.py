"""Runs sections, each for its share of a limited time, and writes one record of what they found.

What fails is kept in the record as an error and what cannot run as a reason; neither stops the
rest, and the record is written anew after every section. Knows no section.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from scripts.accelerator.checks.session import (
    BEGINNING,
    Budget,
    Found,
    Late,
    Session,
    brief,
    cut_after,
    write,
)

# A call that never comes back is ended with the process, this long after the limit.
GRACE = 15.0
CHECKS, BENCHES = "scripts.accelerator.checks", "scripts.accelerator.benches"
Measure = Callable[[Session, Found, Budget], None]


@dataclass(frozen=True)
class Section:
    """A section: its name, which is its module's, its share of the time, and its package."""

    name: str
    share: float
    home: str = CHECKS

    def load(self) -> Measure:
        found: Measure = import_module(f"{self.home}.{self.name}").measure
        return found


def torch_defaults() -> Found:
    """How torch computes products in float32 unless it is told."""
    return {
        "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def run(sections: Sequence[Section], session: Session, limit: float, out: Path) -> Found:
    """All sections, one after the other; returns what is written to `out`."""
    record: Found = {
        "commit": commit(),
        "limit_s": limit,
        "torch_defaults": torch_defaults(),
        "sections": {},
        "errors": session.errors,
    }
    begin = time.perf_counter()
    for number, section in enumerate(sections):
        left = limit - (time.perf_counter() - begin)
        seconds = left * section.share / sum(item.share for item in sections[number:])
        found: Found = {}
        record["sections"][section.name] = found
        started = time.perf_counter()
        perform(section, session, found, seconds)
        found["budget_s"], found["seconds"] = max(0.0, seconds), time.perf_counter() - started
        record["total_s"] = time.perf_counter() - begin
        write(out, record)
    return record


def perform(section: Section, session: Session, found: Found, seconds: float) -> None:
    """One section within its time, whatever becomes of it."""
    if seconds <= 0:
        found["skipped"] = "no time is left"
        return
    try:
        with cut_after(seconds):
            section.load()(session, found, Budget.of(BEGINNING * seconds))
    except Late:
        found["cut"] = True
    except ImportError as error:
        found["skipped"] = brief(error)
    except Exception as error:
        found["error"] = brief(error)
        session.keep(section.name)


def commit() -> str | None:
    """The commit of the checkout; None where git does not tell."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, encoding="utf-8"
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def chosen(sections: Sequence[Section], names: str) -> tuple[Section, ...]:
    """Those of these names, in their order; all for no name.

    Raises:
        SystemExit: a name is unknown.
    """
    wanted = [name for name in names.split(",") if name]
    known = {section.name for section in sections}
    if unknown := sorted(set(wanted) - known):
        raise SystemExit(f"unknown section {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return tuple(item for item in sections if not wanted or item.name in wanted)


def summary(record: Found) -> str:
    """One line for each section: how long it took, and how it ended."""
    lines = []
    for name, found in record["sections"].items():
        end = next(
            (f"{word}: {found[word]}" for word in ("skipped", "error", "cut") if word in found), ""
        )
        lines.append(f"{name:20} {found['seconds']:6.1f} s of {found['budget_s']:5.1f}  {end}")
    places = sorted({item["at"] for item in record["errors"]})
    return "\n".join([*lines, f"{len(places)} attempts failed: {', '.join(places) or 'none'}"])


def command(
    description: str, sections: Sequence[Section], limit: float, argv: Sequence[str] | None
) -> int:
    """A command that runs these sections: OUT.json [--device …] [--limit S] [--only NAME,NAME] …"""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("out", type=Path, help="Write the results to this file.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--limit", type=float, default=limit, help="Take so many seconds.")
    parser.add_argument("--only", default="", help="Run these sections only, with commas between.")
    parser.add_argument("--tiny", action="store_true", help="Take the sizes of a dry run.")
    given: Any = parser.parse_args(argv)
    wanted = chosen(sections, given.only)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; take --device cpu")
    device = "cuda" if given.device != "cpu" and torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1 if device == "cpu" else min(8, os.cpu_count() or 1))
    faulthandler.dump_traceback_later(given.limit + GRACE, exit=True)
    record = run(wanted, Session(device, given.tiny or device == "cpu"), given.limit, given.out)
    faulthandler.cancel_dump_traceback_later()
    print(summary(record))
    return 0
