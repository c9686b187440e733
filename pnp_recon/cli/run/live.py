"""The live line of a run, and the progress bar over files, on stderr.

Draws nothing where stderr is no terminal; rich is then not even imported.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pnp_recon.cli.shell import interactive

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pnp_recon.solvers.core.strength import Trial


class LiveLine:
    """A context: `file(name)` for each file, `update(...)` at each look of the solver."""

    def __init__(self, files: int, enabled: bool = True) -> None:
        self._begun: float | None = None
        self._expected: int | None = None
        self._state = ""
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        if enabled and interactive():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            bar = (BarColumn(bar_width=24), MofNCompleteColumn()) if files > 1 else ()
            self.progress = Progress(
                SpinnerColumn(),
                *bar,
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[state]}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.progress.add_task("", total=files, state="")

    @property
    def visible(self) -> bool:
        return self.progress is not None

    def __enter__(self) -> Self:
        if self.progress is not None:
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.progress is not None:
            self.progress.stop()

    def file(self, name: str) -> None:
        """A file begins."""
        self._set(description=name, state="reading")

    def done(self) -> None:
        """A file is finished."""
        if self.progress is not None and self.task is not None:
            self.progress.advance(self.task)

    def stage(self, words: str) -> None:
        self._begun = None
        self._say(words)

    def begin(self, expected: int | None = None, seconds: float | None = None) -> None:
        """The iteration begins; how many there may be and what they may take, where it is known."""
        self._begun, self._expected = time.perf_counter(), expected
        left = "" if seconds is None else f"  {time_words(seconds)} left"
        self._say(f"iteration 1{left}")

    def update(self, iteration: int, residual: float, psnr: float | None) -> None:
        quality = "" if psnr is None else f"  PSNR {psnr:.2f} dB"
        left = self._left(iteration)
        self._say(f"iteration {iteration}  residual {residual:.2e}{quality}{left}")

    def doing(self, words: str) -> None:
        """What is computed now, beside what the line says."""
        self._set(state=f"{self._state}  ({words})")

    def _left(self, iteration: int) -> str:
        """The time that the expected iterations will take, from what these took."""
        if self._begun is None or self._expected is None or iteration >= self._expected:
            return ""
        each = (time.perf_counter() - self._begun) / iteration
        return f"  {time_words(each * (self._expected - iteration))} left"

    def _say(self, words: str) -> None:
        self._state = words
        self._set(state=words)

    def tried(self, trial: Trial) -> None:
        """A strength was tried before the run."""
        self._set(state=f"choosing the strength: tried {trial.strength:.3g}")

    def write(self, text: str, error: bool = False) -> None:
        """Prints lines without tearing the live line."""
        self.pause()
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
        self.resume()

    def pause(self) -> None:
        """Takes the line away, so that others can print."""
        if self.progress is not None:
            self.progress.stop()

    def resume(self) -> None:
        if self.progress is not None:
            self.progress.start()

    def _set(self, **fields: Any) -> None:
        if self.progress is not None and self.task is not None:
            description = fields.pop("description", None)
            self.progress.update(self.task, description=description, **fields)


def time_words(seconds: float) -> str:
    """A time to come, as exactly as it is known: "about 3 minutes"."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
