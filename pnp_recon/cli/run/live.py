"""The live line of a run, and the progress bar over files, on stderr.

Draws nothing where stderr is no terminal; rich is then not even imported.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pnp_recon.cli.shell import interactive

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pnp_recon.solvers.core.strength import Trial


class LiveLine:
    """A context: `file(name)` for each file, `update(...)` at each look of the solver."""

    def __init__(self, files: int, enabled: bool = True) -> None:
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
        self._set(state=words)

    def update(self, iteration: int, residual: float, psnr: float | None) -> None:
        quality = "" if psnr is None else f"  PSNR {psnr:.2f} dB"
        self._set(state=f"iteration {iteration}  residual {residual:.2e}{quality}")

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
