"""Training of any network: optimiser, schedule, weight average, log, exact resume.

What is learned is said by subclasses, one in each task's folder. Light on imports
(torch alone), so that it runs on a bare machine; knows nothing of picture files or of command
lines. A run is a folder: the checkpoint (`checkpoint.pt`, replaced atomically) and
the log (`log.csv`). A killed run goes on from its checkpoint with the same random numbers, hence,
on the CPU with the same number of threads, to the same weights bit by bit.
"""

from __future__ import annotations

import copy
import csv
import io
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pnp_recon.errors import InputError
from pnp_recon.files import atomic_write
from pnp_recon.training.families import calibrate
from pnp_recon.training.optimisers import Optimiser
from pnp_recon.training.recipe import Recipe, learning_rate_factor

__all__ = ["Progress", "Trainer", "read_checkpoint"]


# Steps between two comparisons of the layers' norm estimates with their proven bounds.
CALIBRATION = 1000


@dataclass(frozen=True)
class Progress:
    """One line of the log: step, running mean of the loss, seconds of training, PSNR by level."""

    step: int
    loss: float
    seconds: float
    psnr: dict[str, float]


class Trainer:
    """A training run in a folder; subclasses say what is learned: `objective` and `validate`.

    Args:
        network: trained in place. To resume, build the same one.
        recipe: see `Recipe`.
        folder: where checkpoint and log go; an existing checkpoint is resumed.
        device: "cpu" or "cuda".

    Raises:
        InputError: a checkpoint that is damaged or belongs to another recipe or network.
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, folder: Path, device: str = "cpu"
    ) -> None:
        self.recipe, self.folder, self.device = recipe, folder, device
        self.network = network.to(device).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = self.make_optimiser()
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.step, self.loss, self.seconds = 0, math.nan, 0.0
        self.psnr: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()
        self._drop_log_rows_after(self.step)

    def objective(self) -> Tensor:
        """The loss of the next batch, drawn with `self.generator`; about 1 where all is well."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """PSNR by name of the averaged weights; empty without validation data."""
        raise NotImplementedError

    def make_optimiser(self) -> Optimiser:
        return Optimiser(self.network, self.recipe)

    def rate(self) -> float:
        """The rates of the next step, relative to their peaks."""
        return learning_rate_factor(self.step, self.recipe)

    def more_state(self) -> dict[str, Any]:
        """What else a checkpoint has to hold."""
        return {}

    def restore_more(self, state: dict[str, Any]) -> None:
        """Takes up what `more_state` gave."""

    def sheet(self) -> Tensor | None:
        """Samples to look at, (1, C, H, W) in [0, 1]; None where there is nothing to show."""
        return None

    def save_memory(self) -> None:
        """Takes more time and less memory from now on, for the same weights, where it can."""

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Writes the checkpoint whole or not at all.

        The norm estimates and their vectors are buffers of the network, so they are in it.
        """
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "loss": self.loss,
            "seconds": self.seconds,
            "psnr": self.psnr,
            "recipe": asdict(self.recipe),
            **self.more_state(),
        }
        # Through memory: a full disk is then one clear error of the writer, not of the pickler.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic_write(self.checkpoint, buffer.getvalue())

    def _resume(self) -> None:
        state = read_checkpoint(self.checkpoint, self.device)
        recipe = asdict(self.recipe)
        differing = [key for key in recipe if state["recipe"].get(key) != recipe[key]]
        if differing:
            changes = ", ".join(
                f"{key} {state['recipe'].get(key)} (now {recipe[key]})" for key in differing
            )
            raise InputError(
                f"{self.checkpoint} was made with another recipe: {changes}; give the same "
                "options to resume it, or another folder to start anew"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{self.checkpoint} is of another network; give the same network to resume it, "
                "or another folder to start anew"
            ) from error
        self.generator.set_state(state["generator"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]
        self.loss, self.psnr = state.get("loss", math.nan), state.get("psnr", {})
        self.restore_more(state)

    def autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.bf16:
            return torch.autocast(torch.device(self.device).type, torch.bfloat16)
        return nullcontext()

    def train_step(self) -> float:
        """One optimiser step; returns the loss.

        Raises:
            InputError: the loss or its gradient is not finite; the weights are as before.
        """
        if self.step % CALIBRATION == 0:
            calibrate(self.network)
        error = self.objective()
        self.optimiser.zero_grad()
        error.backward()
        slope = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        loss = float(error.detach())
        if not math.isfinite(loss + float(slope)):
            raise InputError(
                f"training diverged at step {self.step} (loss {loss:g}, gradient {slope:g}); "
                "start anew in another folder with a lower learning rate"
            )
        self.optimiser.step(self.rate())
        self._update_average()
        self.step += 1
        # A running mean over about a hundred steps, for the log only.
        self.loss = loss if math.isnan(self.loss) else 0.99 * self.loss + 0.01 * loss
        return loss

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the average forgets faster, or the first, random weights would linger.
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        for mean, value in pairs:
            mean.lerp_(value, 1 - decay)
        for held, fresh in zip(self.average.buffers(), self.network.buffers(), strict=True):
            held.copy_(fresh)

    def run(
        self,
        report: Callable[[Progress], None],
        every: int = 250,
        tick: Callable[[int, float], None] | None = None,
        stop: Callable[[], bool] | None = None,
        until: float = math.inf,
    ) -> bool:
        """Trains to the last step; validates, logs and saves every `every` steps.

        Neither `every` nor an interruption changes the weights that come out.

        Args:
            report: called after each validation, its checkpoint being safe.
            every: steps between validations.
            tick: called after each step with the step and the running mean of the loss.
            stop: asked after each step; if it says True a checkpoint is saved and the run ends.
            until: the time of `time.perf_counter` from which on it ends so as well; the schedule
                of the rates stays that of `recipe.steps`.

        Returns:
            True if the last step was reached.
        """
        begin = time.perf_counter()
        while self.step < self.recipe.steps:
            self.train_step()
            if tick is not None:
                tick(self.step, self.loss)
            last = self.step == self.recipe.steps
            over = time.perf_counter() >= until or (stop is not None and stop())
            stopping = over and not last
            if not (last or stopping or self.step % every == 0):
                continue
            now = time.perf_counter()
            self.seconds, begin = self.seconds + now - begin, now
            if last or self.step % every == 0:
                self.psnr = self.validate()
                progress = Progress(self.step, self.loss, self.seconds, self.psnr)
                self._log(progress)
                self.save()
                report(progress)
            else:
                self.save()
            if stopping:
                return False
        return True

    @property
    def log(self) -> Path:
        return self.folder / "log.csv"

    def _log(self, progress: Progress) -> None:
        row = {"step": progress.step, "loss": progress.loss, "seconds": progress.seconds}
        row |= progress.psnr
        new = not self.log.exists()
        with self.log.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def _drop_log_rows_after(self, step: int) -> None:
        """A run killed between log and checkpoint repeats those steps: keep each row once."""
        if not self.log.exists():
            return
        header, *rows = self.log.read_text(encoding="utf-8").splitlines() or [""]
        kept = [
            row for row in rows if row.split(",")[0].isdigit() and int(row.split(",")[0]) <= step
        ]
        if len(kept) < len(rows):
            atomic_write(self.log, "".join(line + "\n" for line in [header, *kept]))


def read_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any]:
    """The state that a run saved; tensors and plain values only, no code is run.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        data = io.BytesIO(path.read_bytes())
        state: dict[str, Any] = torch.load(data, map_location=device, weights_only=True)
        missing = {"network", "average", "optimiser", "generator", "step", "recipe"} - set(state)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; train first") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged bytes raise nearly anything in the unpickler
        raise InputError(f"{path} is damaged; remove it to start the run anew") from error
    if missing:
        raise InputError(f"{path} is not a training checkpoint: it lacks {sorted(missing)[0]}")
    return state
