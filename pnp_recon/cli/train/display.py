"""What `pnp-train` shows while it trains: bar, log lines, sample sheets, TensorBoard; Ctrl-C.

Knows the trainer only through its callbacks; imported after parsing.
"""

from __future__ import annotations

import math
import signal
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pnp_recon.cli.shell import print_line
from pnp_recon.pictures.sheets import write_sheet
from pnp_recon.training.trainer import Progress as LogLine
from pnp_recon.training.trainer import Trainer

# Columns that the bar needs.
BAR_WIDTH = 70


class Interruption:
    """Turns the first Ctrl-C (or SIGTERM) into a wish that the trainer asks for between steps.

    In the middle of a step the state is half old, half new and must not be saved. A second
    Ctrl-C stops at once, with the last checkpoint.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self.wanted


class TrainingDisplay:
    """Progress bar on stderr and, at every validation, a line, a sheet and TensorBoard's events.

    There is no bar without a terminal, nor in one that is too narrow for it: the lines say all.

    Args:
        trainer: ready to run, perhaps resumed.
        quiet: no bar and no lines; sheets and events are written all the same.
        tensorboard: write events if TensorBoard can be imported.
    """

    def __init__(self, trainer: Trainer, quiet: bool, tensorboard: bool) -> None:
        self.trainer = trainer
        self.console = Console(stderr=True, quiet=quiet)
        self.bar = Progress(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            disable=quiet or not self.console.is_terminal or self.console.width < BAR_WIDTH,
        )
        self.task = self.bar.add_task(
            "train",
            total=trainer.recipe.steps,
            completed=trainer.step,
            loss=_loss(trainer.loss),
        )
        self.events = _events(trainer.folder, trainer.step) if tensorboard else None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()
        if self.events is not None:
            self.events.close()

    def tick(self, step: int, loss: float) -> None:
        self.bar.update(self.task, completed=step, loss=_loss(loss))

    def report(self, line: LogLine) -> None:
        """Called by the trainer after each validation."""
        print_line(
            self.console,
            f"step {line.step}  loss {line.loss:.4f}  {_words(line.psnr)}  {line.seconds:.0f} s",
        )
        if self.events is not None:
            self.events.add_scalar("loss", line.loss, line.step)
            for key, value in line.psnr.items():
                self.events.add_scalar(key, value, line.step)
            self.events.flush()
        sheet = self.trainer.sheet()
        if sheet is not None:
            path = self.trainer.folder / "samples" / f"step_{line.step:07d}.png"
            write_sheet(path, sheet)


def _loss(loss: float) -> str:
    """A dash before the first step, which alone has none."""
    return "–" if math.isnan(loss) else f"{loss:.3f}"


def _words(psnr: dict[str, float]) -> str:
    if not all(key.startswith("psnr") for key in psnr):
        return "  ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in psnr.items())
    if not psnr:
        return ""
    levels = "/".join(key.removeprefix("psnr_") for key in psnr)
    return f"PSNR({levels}) " + " ".join(f"{value:.2f}" for value in psnr.values())


def _events(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or None where it is not installed: the CSV log is always there."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # Rows after the checkpoint of a killed run will be written again.
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
