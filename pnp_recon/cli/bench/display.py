"""What `pnp-bench` shows while it works: cells done, time left, the last result."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from pnp_recon.benchmark.cells import Cell
from pnp_recon.benchmark.rows import FAILED
from pnp_recon.benchmark.suites.base import Outcome
from pnp_recon.benchmark.tuner import Report
from pnp_recon.cli.bar import counting_bar
from pnp_recon.cli.shell import print_line

# Without a terminal, a line after so many cells.
LINE_EVERY = 100


class CellDisplay:
    """A bar over the cells of a run on stderr; without a terminal, a line now and then.

    Attributes:
        bar: to be entered while the cells run.
    """

    def __init__(self, total: int, done: int, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.total, self.done, self.failed = total, done, 0
        self.bar = counting_bar(self.console)
        self.task = self.bar.add_task("cells", total=total, completed=done, last="")

    def report(self, cell: Cell, outcome: Outcome) -> None:
        """Called after each row."""
        row = outcome.row
        self.done += 1
        self.failed += row.status == FAILED
        result = row.status if row.psnr is None else f"{row.psnr:.2f} dB"
        self.bar.update(self.task, completed=self.done, last=f"{row.method}: {result}")
        if row.status == FAILED:
            print_line(self.console, f"failed: {row.method} on {row.picture}: {row.message}")
        due = self.done % LINE_EVERY == 0 or self.done == self.total
        if not self.console.is_terminal and due:
            print_line(self.console, f"{self.done} of {self.total} cells, {self.failed} failed")


def search_display(quiet: bool) -> Report:
    """Prints a line for each candidate of a search."""
    console = Console(stderr=True, quiet=quiet)

    def report(method: str, noise: float, point: Mapping[str, float], psnr: float) -> None:
        words = ", ".join(f"{name} {value:g}" for name, value in point.items())
        print_line(console, f"{method}, noise {noise:g}: {words}: {psnr:.2f} dB")

    return report
