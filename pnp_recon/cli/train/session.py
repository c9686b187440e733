"""A run of `pnp-train` of any kind: start or resume, train, show, export.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
import typer

from pnp_recon.cli.shell import INTERRUPTED, NOT_CONVERGED, choose_device
from pnp_recon.cli.train.display import Interruption, TrainingDisplay
from pnp_recon.problems.numbers import checked_number
from pnp_recon.training.runs import check_export, export_run, start_or_resume
from pnp_recon.training.task import Task


def train(
    folder: Path,
    settings: Task,
    *,
    device: str,
    every: int,
    export: Path | None,
    tensorboard: bool,
    quiet: bool,
    save_memory: bool = False,
    minutes: float | None = None,
) -> None:
    """Trains to the end and exports, or raises `typer.Exit` where it was stopped.

    Args:
        folder: the run folder.
        settings: stored ones, or those of a new run.
        device: "auto", "cpu" or "cuda".
        every: steps between validations.
        export: folder for the model, None for the run's own.
        tensorboard: write its events.
        quiet: errors only.
        save_memory: take more time and less memory.
        minutes: after so many of this call it stops with a checkpoint.
    """
    until = math.inf
    if minutes is not None:
        until = time.perf_counter() + 60 * checked_number("--minutes", minutes, above=0.0)
    device = str(choose_device(device))
    out = export or folder
    if out != folder:
        check_export(out, settings.name)  # now, not after hours
    torch.set_num_threads(settings.threads)
    trainer, settings = start_or_resume(folder, settings, device)
    if save_memory:
        trainer.save_memory()
    if not quiet:
        start = f"resumes at step {trainer.step}" if trainer.step else "starts"
        typer.echo(
            f"{folder}: {settings.name} {start} on {device}; {settings.data_words()}", err=True
        )
    with Interruption() as interruption, TrainingDisplay(trainer, quiet, tensorboard) as display:
        try:
            done = trainer.run(display.report, every, display.tick, interruption, until)
        except KeyboardInterrupt:
            done = False
    if not done:
        typer.echo(
            f"stopped at step {trainer.step} of {settings.recipe.steps}; "
            f"go on with: pnp-train {settings.kind} -o {folder}\n"
            f"or export what there is with: pnp-train export {folder}",
            err=True,
        )
        raise typer.Exit(INTERRUPTED if interruption.wanted else NOT_CONVERGED)
    say_exported(export_run(folder, out), quiet)


def say_exported(card: Path, quiet: bool) -> None:
    """Prints what was exported and how good it is."""
    if quiet:
        return
    content = json.loads(card.read_text(encoding="utf-8"))
    found = content["validation"]
    psnr, shares = found.get("psnr_db", {}), found.get("certified_accuracy", {})
    words = ", ".join(
        [f"{key.removeprefix('psnr_')}: {value:.2f} dB" for key, value in psnr.items()]
        + [f"certified within {radius}: {100 * share:.1f} %" for radius, share in shares.items()]
    )
    typer.echo(f"{card}: {_what(content)}; {words or 'not validated'}")


def _what(card: dict[str, Any]) -> str:
    if "certificate" in card:
        averagedness = card["certificate"]["averagedness"]
        return (
            str(card["guarantee"]) if averagedness is None else f"averaged, α ≤ {averagedness:.6f}"
        )
    network = card["network"]
    return f"{network['scheme']} over {network['group']}, {card['parameters']} parameters"
