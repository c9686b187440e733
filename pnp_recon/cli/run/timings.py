"""Where the time of a run went: seconds by stage, and the line that --timings prints.

Imports no torch: it times that import as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# In the order of the line.
WORDS = {
    "start": "start",
    "read": "read",
    "estimate": "preparation",
    "forecast": "forecast",
    "strength": "strength trials",
    "iterations": "iterations",
    "write": "checks and files",
}


class Stopwatch:
    """Seconds by stage of one input; a stage lasts until the next is named.

    Args:
        clock: seconds from whenever.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock, self.since = clock, clock()
        self.stage: str | None = None
        self.seconds: dict[str, float] = {}

    def to(self, stage: str | None) -> None:
        """From now on this is done; None: nothing."""
        now = self.clock()
        if self.stage is not None:
            self.add(self.stage, now - self.since)
        self.stage, self.since = stage, now

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def part(self, stage: str, seconds: float) -> None:
        """So many seconds of what is done now were another stage."""
        now = self.clock()
        seconds = min(max(seconds, 0.0), now - self.since)
        self.add(stage, seconds)
        self.since += seconds


def in_short(seconds: Mapping[str, float]) -> dict[str, float]:
    """The three numbers of a report: what comes before the solver, the solver, and all."""
    before, solver = ("read", "estimate"), ("forecast", "strength", "iterations")
    out = {
        name: sum(seconds.get(stage, 0.0) for stage in stages)
        for name, stages in (("prepare", before), ("reconstruct", solver))
    }
    return {**out, "total": sum(seconds.values())}


def timings_line(seconds: Mapping[str, float]) -> str:
    """Stages and total in words."""
    known = [f"{words} {seconds[stage]:.2f}" for stage, words in WORDS.items() if stage in seconds]
    return f"seconds: {', '.join(known)}; total {sum(seconds.values()):.2f}"


def since_the_process_began() -> float | None:
    """Seconds from the start of this process; None where the system does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, ValueError, IndexError, AttributeError):
        return None
