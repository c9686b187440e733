"""The live line of a run, and the progress bar over files, on stderr.

Draws nothing where stderr is no terminal; rich is then not even imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pnp_recon.cli.shell import interactive

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pnp_recon.solvers.core.strength import Trial


# Seconds that are long to wait.
LONG = 60.0


class LiveLine:
    """A context: `file(name)` for each file, `update(...)` at each look of the solver."""

    def __init__(self, files: int, enabled: bool = True) -> None:
        self.course = Course(None)
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
        self._say(words)

    def begin(self, expected: int | None = None) -> None:
        """The iteration begins; how many there may be, where it is known."""
        self.course = Course(expected)
        self._say("iteration 1")

    def update(self, iteration: int, residual: float, psnr: float | None) -> None:
        quality = "" if psnr is None else f"  PSNR {psnr:.2f} dB"
        self.course.look(iteration)
        seconds = self.course.left
        left = "" if seconds is None else f"  {time_words(seconds)} left"
        self._say(f"iteration {iteration}  residual {residual:.2e}{quality}{left}")

    def doing(self, words: str) -> None:
        """What is computed now, beside what the line says."""
        self._set(state=f"{self._state}  ({words})")

    def _say(self, words: str) -> None:
        self._state = words
        self._set(state=words)

    def tried(self, trial: Trial) -> None:
        """A strength was tried before the run."""
        self.course = Course(self.course.expected)
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


class Repeating(LiveLine):
    """The line of what was done before and is done again.

    Args:
        seconds: what it took then.
        steps: its iterations; None: unknown.
        enabled: there is somebody to hear of it.
    """

    def __init__(self, seconds: float, steps: int | None = None, *, enabled: bool = True) -> None:
        super().__init__(1, enabled)
        self._seconds, self._steps, self._heard = seconds, steps, enabled

    def announce(self, what: str) -> None:
        """Says what is done again, for how long, and how it is left out."""
        if self._heard:
            self.write(
                f"{what} again, which took {time_words(self._seconds)} when it was made; --no-run "
                "leaves this out",
                error=True,
            )

    def begin(self, expected: int | None = None) -> None:
        super().begin(self._steps or expected)


class Course:
    """How long a run will still take, by what its own iterations took.

    Args:
        expected: how many there may be; None: unknown.
        clock: seconds from whenever; it begins now.
    """

    def __init__(
        self, expected: int | None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.expected, self.clock = expected, clock
        self.begun, self.taken, self.iteration, self._said = clock(), 0.0, 0, False

    def look(self, iteration: int) -> None:
        """So many iterations are made."""
        self.iteration, self.taken = iteration, self.clock() - self.begun

    @property
    def left(self) -> float | None:
        """Seconds; None: unknown, or more were made than were expected."""
        if self.expected is None or not 0 < self.iteration < self.expected:
            return None
        return self.taken / self.iteration * (self.expected - self.iteration)

    def told(self) -> str:
        """A line about it, once, where there is long to wait; or nothing."""
        if self._said or self.left is None or self.left < LONG:
            return ""
        self._said = True
        count = "the first iteration" if self.iteration == 1 else f"{self.iteration} iterations"
        return f"time left: {time_words(self.left)}, by {count} (an estimate)"


def span_words(low: float, high: float) -> str:
    """A range of time to come: "2 to 7 minutes"."""
    first, last = (time_words(one).removeprefix("about ").split() for one in (low, high))
    if first == last:
        return time_words(high)
    return f"{' '.join(first[:1] if first[1] == last[1] else first)} to {' '.join(last)}"


def time_words(seconds: float) -> str:
    """A time to come, as exactly as it is known: "about 3 minutes"."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
