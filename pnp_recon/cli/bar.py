"""A bar on stderr over things that are done one by one: how many, time left, the last result."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def counting_bar(console: Console, what: str = "") -> Progress:
    """A bar whose tasks have a field `last`; nothing is shown where there is no terminal.

    Args:
        console: on stderr; a quiet one shows nothing, either.
        what: a word before the numbers.
    """
    return Progress(
        TextColumn(f"{what} {{task.completed:.0f}}/{{task.total:.0f}}".lstrip()),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
        console=console,
        speed_estimate_period=600,
        disable=console.quiet or not console.is_terminal,
    )
