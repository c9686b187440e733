"""`pnp-train`: train a certified denoiser, export it, check a model's card.

Parses, calls, writes, exits: 0 done, 2 bad input, 4 a certificate that does not hold, 130 stopped
by Ctrl-C. Torch is imported after parsing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.common import INTERRUPTED, choose_device, run_app
from pnp_recon.cli.options import Device
from pnp_recon.cli.train_options import (
    TrainOptions,
    check_name,
    default_name,
    run_settings,
    training_level,
)

PROGRAM = "pnp-train"

app = typer.Typer(
    help="Train denoisers whose Lipschitz constant is proven, export and check them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich, and it fits eighty columns
)


_QUIET = typer.Option("--quiet", "-q", help="Errors only.")
_VERBOSE = typer.Option("--verbose", "-v", help="Show where an error comes from.")


def _option(words: str, default: str, *names: str) -> Any:
    # The default is None, so that a resumed run takes its own value; help shows the real one.
    return typer.Option(*names, help=words, show_default=default)


@app.command()
def denoiser(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures. A BSDS500 folder (train/, val/, bsd68.json) gives train and "
            "val without BSD68: 232 pictures. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        _option("Run folder; one that exists is resumed.", "runs/NAME", "--output", "-o"),
    ] = None,
    grey: Annotated[
        bool | None, _option("Grey or colour model.", "grey", "--grey/--colour")
    ] = None,
    steps: Annotated[int | None, _option("Optimiser steps.", "20000")] = None,
    batch: Annotated[int | None, _option("Patches a step.", "16")] = None,
    patch: Annotated[int | None, _option("Side of a patch in pixels.", "64")] = None,
    sigma_min: Annotated[
        str | None, _option("Lowest noise level, 0.004 or 1/255.", "1/255")
    ] = None,
    sigma_max: Annotated[str | None, _option("Highest noise level.", "50/255")] = None,
    learning_rate: Annotated[float | None, _option("Of Adam, at its peak.", "0.002")] = None,
    blocks: Annotated[int | None, _option("Euler blocks.", "8")] = None,
    width: Annotated[int | None, _option("Feature channels.", "64")] = None,
    hidden: Annotated[int | None, _option("Filters of a block.", "64")] = None,
    kernel_size: Annotated[int | None, _option("Side of the filters, odd.", "3")] = None,
    activation: Annotated[str | None, _option("relu, leaky_relu, clip or spline.", "clip")] = None,
    lifting: Annotated[
        str | None, _option("pad, unshuffle, haar, haar2 or orthonormal.", "unshuffle")
    ] = None,
    group: Annotated[
        str | None,
        _option(
            "Turns and flips that the denoiser commutes with: C1 (none), C4 (90° turns), D4 (and "
            "flips); also C2, D1, D2. Lifting: unshuffle.",
            "C1",
        ),
    ] = None,
    seed: Annotated[int | None, _option("Of weights, patches and noise.", "0")] = None,
    bf16: Annotated[
        bool | None, _option("bfloat16 in the network (weights stay float32).", "bf16")
    ] = None,
    hold_out: Annotated[
        int | None,
        _option(
            "Pictures kept from training, evenly spaced by name, for the validation.",
            "0 for BSDS500, else a tenth, at most 12",
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads; exact resume needs the same number.",
            show_default="all cores",
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 250,
    name: Annotated[str | None, _option("Name of the model.", "euler_grey or euler_colour")] = None,
    export: Annotated[
        Path | None, _option("Folder for the finished model.", "the run folder")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option(help="Write TensorBoard events if it is installed.")
    ] = True,
    quiet: Annotated[bool, _QUIET] = False,
    verbose: Annotated[bool, _VERBOSE] = False,
) -> None:
    """Train a denoiser on pictures with Gaussian noise, and export it with its certificate.

    The run folder holds run.json, checkpoint.pt, log.csv and sample sheets (clean, noisy,
    denoised). A run that was stopped or killed goes on with `pnp-train denoiser -o RUN_FOLDER`.
    """
    recipe = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "sigma_min": training_level(sigma_min, "--sigma-min"),
        "sigma_max": training_level(sigma_max, "--sigma-max"),
        "learning_rate": learning_rate,
        "seed": seed,
        "bf16": bf16,
    }
    network = {
        "blocks": blocks,
        "width": width,
        "hidden": hidden,
        "kernel_size": kernel_size,
        "activation": activation,
        "lifting": lifting,
        "group": group,
    }
    channels = None if grey is None else 1 if grey else 3
    given = TrainOptions.of(name, channels, hold_out, threads, recipe, network)
    if name is not None:
        check_name(name)
    folder = output or Path("runs") / (name or default_name(channels))
    _train(folder, data, given, device.value, every, export, tensorboard, quiet)


def _train(
    folder: Path,
    data: Path | None,
    given: TrainOptions,
    device: str,
    every: int,
    export: Path | None,
    tensorboard: bool,
    quiet: bool,
) -> None:
    import torch

    from pnp_recon.cli.train_display import Interruption, TrainingDisplay
    from pnp_recon.training_run import check_export, export_run, start_or_resume

    device = str(choose_device(device))
    settings = run_settings(folder, data, given)
    out = export or folder
    if out != folder:
        check_export(out, settings.name)  # now, not after hours
    torch.set_num_threads(settings.threads)
    trainer, settings = start_or_resume(folder, settings, device)
    if not quiet:
        start = f"resumes at step {trainer.step}" if trainer.step else "starts"
        held = "held out" if settings.description["validation_held_out"] else "of them"
        shown = len(settings.description["validation_pictures"])
        typer.echo(
            f"{folder}: {settings.name} {start} on {device}; {settings.description['pictures']} "
            f"pictures ({settings.description['selection']}), validation on {shown} {held}",
            err=True,
        )
    with Interruption() as interruption, TrainingDisplay(trainer, quiet, tensorboard) as display:
        try:
            done = trainer.run(display.report, every, display.tick, interruption)
        except KeyboardInterrupt:
            done = False
    if not done:
        typer.echo(
            f"stopped; go on with: pnp-train denoiser -o {folder}\n"
            f"or export what there is with: pnp-train export {folder}",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
    _say_exported(export_run(folder, out), quiet)


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Made by `denoiser -o`.")],
    name: Annotated[str | None, _option("Name of the model.", "that of the run")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")] = Path(),
    overwrite: Annotated[bool, typer.Option(help="Replace a model of that name.")] = False,
    quiet: Annotated[bool, _QUIET] = False,
    verbose: Annotated[bool, _VERBOSE] = False,
) -> None:
    """Export the averaged weights of a run, as far as it got, with certificate and model card."""
    from pnp_recon.training_run import check_export, export_run, read_run

    settings = read_run(run)
    if name is not None:
        check_name(name)
    if not overwrite:
        check_export(output, name or settings.name)
    _say_exported(export_run(run, output, name), quiet)


@app.command()
def check(
    model: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A shipped model, or a model card's path.")
    ],
    attack_steps: Annotated[
        int, typer.Option(min=0, help="Gradient ascent steps from each start; 0: no attack.")
    ] = 30,
    quiet: Annotated[bool, _QUIET] = False,
    verbose: Annotated[bool, _VERBOSE] = False,
) -> None:
    """Recompute a model's certificate from its weights, compare with the card, attack it.

    Ends with 4 if the card claims anything else than what the weights give.
    """
    from pnp_recon.errors import CertificateError
    from pnp_recon.weights_check import check_model

    result = check_model(model, attack_steps)
    if not quiet:
        _print_table(result)
    if result.problems:
        raise CertificateError(
            f"the card of {result.name} does not hold: {'; '.join(result.problems)}"
        )


def _print_table(result: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.name}: certificate recomputed in float64")
    table.add_column("constant")
    for title in ("card", "proven", "attained", "looseness"):
        table.add_column(title, justify="right")
    table.add_column("agrees")
    for row in result.rows:
        loose = "" if row.looseness is None else f"{row.looseness:.4f}"
        numbers = ["" if v is None else f"{v:.7f}" for v in (row.card, row.proven, row.attained)]
        table.add_row(row.what, *numbers, loose, "NO" if row.problem else "yes")
    Console().print(table)


def _say_exported(card: Path, quiet: bool) -> None:
    import json

    if quiet:
        return
    content = json.loads(card.read_text(encoding="utf-8"))
    psnr = content["validation"]["psnr_db"]
    words = ", ".join(f"{key.removeprefix('psnr_')}: {value:.2f} dB" for key, value in psnr.items())
    typer.echo(f"{card}: averaged, α ≤ {content['certificate']['averagedness']:.6f}; {words}")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)


if __name__ == "__main__":
    sys.exit(main())
