"""What `pnp-ct --slices` shows while it works: slices done, time left, the last certificate."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from pnp_recon.cli.bar import counting_bar
from pnp_recon.cli.shell import print_line
from pnp_recon.solvers import Look

# Without a terminal, a line after so many slices.
LINE_EVERY = 50


class SliceDisplay:
    """A bar over the slices on stderr; without a terminal, a line now and then.

    Attributes:
        bar: to be entered while the slices are computed.
    """

    def __init__(self, total: int, done: int, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.total, self.done = total, done
        self.bar = counting_bar(self.console, "slice")
        self.task = self.bar.add_task("slices", total=total, completed=done, last="")

    def look(self, seen: Look) -> None:
        """Called while all slices are one run."""
        words = f"all at once: iteration {seen.iteration}, residual {seen.residual:.1e}"
        self.bar.update(self.task, last=words)

    def report(self, row: dict[str, Any]) -> None:
        """Called after each slice."""
        self.done += 1
        self.bar.update(self.task, completed=self.done, last=_words(row))
        if row["status"] == "failed":
            print_line(self.console, f"failed: slice {row['slice']}: {row['message']}")
        if not self.console.is_terminal and self.done % LINE_EVERY == 0:
            print_line(self.console, f"{self.done} of {self.total} slices")


def _words(row: dict[str, Any]) -> str:
    if row["status"] == "failed":
        return f"{row['slice']}: failed"
    verdict = "certified" if row["certified"] else "not certified"
    return f"{row['slice']}: {verdict}, {row['iterations']} iterations"
