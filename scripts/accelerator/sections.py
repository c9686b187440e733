"""Runs sections, each for its share of a limited time, and writes one record of what they found.

What fails is kept in the record as an error and what cannot run as a reason; neither stops the
rest, and the record is written anew while they run. What ends the process, such as a call that
never comes back, leaves the record of what was found before: with `--go-on` the sections that have
not begun have their turn. Knows no section.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
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

# A call that never comes back is ended with the process, this long after its section's time.
GRACE = 15.0
# What the record says of a section until it has come to its end.
UNENDED = "the process ended in this section"
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


def run(
    sections: Sequence[Section], session: Session, limit: float, out: Path, going_on: bool = False
) -> Found:
    """All sections, one after the other; returns what is written to `out`.

    With `going_on` those that the record in `out` knows are over. A device that answers no more
    does so for the whole process: then the rest is left to the next one.
    """
    record: Found = {
        "commit": commit(),
        "limit_s": limit,
        "torch_defaults": torch_defaults(),
        "total_s": 0.0,
        "sections": {},
        "errors": [],
        "ceilings": {},
    }
    if going_on and out.exists():
        record |= json.loads(out.read_text(encoding="utf-8"))
    session.errors, session.ceilings = record["errors"], record["ceilings"]
    session.save = every(1.0, lambda: write(out, record))
    begin, before = time.perf_counter(), record["total_s"]
    left = [section for section in sections if section.name not in record["sections"]]
    while left and usable(session):
        section = left[0]
        found: Found = {"error": UNENDED}
        seconds = limit - (time.perf_counter() - begin)
        seconds *= section.share / sum(item.share for item in left)
        record["sections"][section.name] = found
        write(out, record)
        started = time.perf_counter()
        with ended_after(seconds + GRACE):
            perform(section, session, found, seconds)
        if found.get("error") == UNENDED:
            del found["error"]
        found["budget_s"], found["seconds"] = max(0.0, seconds), time.perf_counter() - started
        record["total_s"] = before + time.perf_counter() - begin
        write(out, record)
        del left[0]
    return record


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Ends the process, with a traceback, in what takes longer and cannot be interrupted."""
    faulthandler.dump_traceback_later(max(GRACE, seconds), exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def usable(session: Session) -> bool:
    """Whether the device still answers: after an illegal access it never does in this process."""
    try:
        session.sync()
    except RuntimeError:
        return False
    return True


def every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """`call`, but not so soon after its last time."""
    last = time.perf_counter()

    def maybe() -> None:
        nonlocal last
        if time.perf_counter() - last >= seconds:
            call()
            last = time.perf_counter()

    return maybe


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
        took = f"{found.get('seconds', 0):6.1f} s of {found.get('budget_s', 0):5.1f}"
        lines.append(f"{name:20} {took}  {end}")
    places = sorted({item["at"] for item in record["errors"]})
    return "\n".join([*lines, f"{len(places)} attempts failed: {', '.join(places) or 'none'}"])


def command(
    description: str, sections: Sequence[Section], limit: float, argv: Sequence[str] | None
) -> int:
    """A command: OUT.json [--device …] [--limit S] [--only NAME,NAME] [--go-on] ….

    The exit code is 1 where sections are left, to be gone on with in another process.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("out", type=Path, help="Write the results to this file.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--limit", type=float, default=limit, help="Take so many seconds.")
    parser.add_argument("--only", default="", help="Run these sections only, with commas between.")
    parser.add_argument("--go-on", action="store_true", help="Keep what OUT.json holds.")
    parser.add_argument("--tiny", action="store_true", help="Take the sizes of a dry run.")
    given: Any = parser.parse_args(argv)
    wanted = chosen(sections, given.only)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; take --device cpu")
    device = "cuda" if given.device != "cpu" and torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1 if device == "cpu" else min(8, os.cpu_count() or 1))
    session = Session(device, given.tiny or device == "cpu")
    record = run(wanted, session, given.limit, given.out, given.go_on)
    print(summary(record))
    return 0 if all(section.name in record["sections"] for section in wanted) else 1
