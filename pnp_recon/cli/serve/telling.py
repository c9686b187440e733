"""How the worker tells what happens: events as lines of JSON, among them the live line's.

Imports no torch until it tells.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from pnp_recon.cli.run.live import LiveLine

# Progress is told at most so often, in seconds.
PAUSE = 0.1

Tell = Callable[..., None]


def as_line(event: str, facts: dict[str, Any]) -> str:
    """One event as JSON that a browser reads: what is no finite number is null."""
    from pnp_recon.report import plain_json

    return json.dumps(plain_json({"event": event, **facts}), allow_nan=False)


def teller() -> Tell:
    """Writes events where stdout was; what libraries print goes to stderr from now on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    last = 0.0

    def tell(event: str, **facts: Any) -> None:
        nonlocal last
        if event == "progress":
            if time.monotonic() - last < PAUSE:
                return
            last = time.monotonic()
        print(as_line(event, facts), file=out, flush=True)

    return tell


class Telling(LiveLine):
    """The live line of a command as events."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(1, enabled=False)
        self._tell = tell

    def write(self, text: str, error: bool = False) -> None:
        self._tell("line", text=text)

    def _set(self, **fields: Any) -> None:
        expected, course = self.course.expected, self.course
        share = min(course.iteration / expected, 0.95) if expected else None
        if "state" in fields:
            self._tell("progress", stage=fields["state"], fraction=share, left=course.left)
