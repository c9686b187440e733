"""`pnp-train`: train a certified denoiser or an unrolled network, export it, check a model's card.

Parses, calls, writes, exits: 0 done, 2 bad input, 4 a certificate that does not hold, 130 stopped
by Ctrl-C. Torch is imported after parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.shell import Device, run_app
from pnp_recon.cli.train.dncnn import dncnn
from pnp_recon.cli.train.fixed_point import fixed_point
from pnp_recon.cli.train.options import (
    Bf16,
    DeviceOption,
    Every,
    Export,
    Output,
    Quiet,
    TensorBoard,
    Threads,
    Verbose,
    check_name,
    given,
    option,
    run_settings,
    training_level,
)
from pnp_recon.cli.train.unrolled import unrolled

PROGRAM = "pnp-train"

app = typer.Typer(
    help="Train denoisers with a proven Lipschitz constant and unrolled networks, and export them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: no import of rich, and it fits eighty columns
)

app.command()(unrolled)
app.command()(dncnn)
app.command("fixed-point")(fixed_point)


@app.command()
def denoiser(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures. A BSDS500 folder, however it is laid out, gives train "
            "and val without BSD68: 232 pictures. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    grey: Annotated[bool | None, option("Grey or colour model.", "grey", "--grey/--colour")] = None,
    steps: Annotated[int | None, option("Optimiser steps.", "5000")] = None,
    batch: Annotated[int | None, option("Patches a step.", "8")] = None,
    patch: Annotated[int | None, option("Side of a patch in pixels.", "64")] = None,
    sigma_min: Annotated[str | None, option("Lowest noise level, 0.004 or 1/255.", "1/255")] = None,
    sigma_max: Annotated[str | None, option("Highest noise level.", "50/255")] = None,
    optimiser: Annotated[
        str | None, option("adam, or muon for the filters and Adam for all else.", "adam")
    ] = None,
    learning_rate: Annotated[
        float | None, option("Of Adam, at its peak.", "0.004", "--learning-rate", "--lr")
    ] = None,
    blocks: Annotated[int | None, option("Euler blocks.", "8")] = None,
    width: Annotated[int | None, option("Feature channels.", "64")] = None,
    hidden: Annotated[int | None, option("Filters of a block.", "64")] = None,
    kernel_size: Annotated[int | None, option("Side of the filters, odd.", "3")] = None,
    activation: Annotated[
        str | None, option("relu, leaky_relu, clip, spline or ball4.", "clip")
    ] = None,
    lifting: Annotated[
        str | None,
        option("pad, unshuffle, haar, haar2 or orthonormal.", "haar, with a group unshuffle"),
    ] = None,
    group: Annotated[
        str | None,
        option(
            "Turns and flips that the denoiser commutes with: C1 (none), C4 (90° turns), D4 (and "
            "flips); also C2, D1, D2.",
            "C1",
        ),
    ] = None,
    seed: Annotated[int | None, option("Of weights, patches and noise.", "0")] = None,
    bf16: Bf16 = None,
    hold_out: Annotated[
        int | None,
        option(
            "Pictures kept from training, evenly spaced by name, for the validation.",
            "0 for BSDS500, else a tenth, at most 12",
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    every: Every = 250,
    name: Annotated[str | None, option("Name of the model.", "euler_grey or euler_colour")] = None,
    export: Export = None,
    tensorboard: TensorBoard = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
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
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "seed": seed,
        "bf16": bf16,
    }
    channels = None if grey is None else 1 if grey else 3
    network = {
        "channels": channels,
        "blocks": blocks,
        "width": width,
        "hidden": hidden,
        "kernel_size": kernel_size,
        "activation": activation,
        "lifting": lifting,
        "group": group,
    }
    if name is not None:
        check_name(name)
    options = given(name=name, hold_out=hold_out, threads=threads, recipe=recipe, network=network)
    usual = "euler_colour" if channels == 3 else "euler_grey"
    defaults: dict[str, Any] = {"name": usual, "hold_out": None}
    if group not in (None, "C1"):
        defaults["network"] = {"lifting": "unshuffle"}  # the only one into the fields of a group
    folder = output or Path("runs") / (name or usual)

    from pnp_recon.cli.train.session import train

    train(
        folder,
        run_settings("denoiser", folder, data, options, defaults),
        device=device.value,
        every=every,
        export=export,
        tensorboard=tensorboard,
        quiet=quiet,
    )


@app.command("export")
def export_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="Made by `denoiser -o` or `unrolled -o`.")
    ],
    name: Annotated[str | None, option("Name of the model.", "that of the run")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")] = Path(),
    overwrite: Annotated[bool, typer.Option(help="Replace a model of that name.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Export the averaged weights of a run, as far as it got, with their model card."""
    from pnp_recon.cli.train.session import say_exported
    from pnp_recon.training.runs import check_export, export_run, read_run

    settings = read_run(run)
    if name is not None:
        check_name(name)
    if not overwrite:
        check_export(output, name or settings.name)
    say_exported(export_run(run, output, name), quiet)


@app.command()
def check(
    model: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A shipped model, or a model card's path.")
    ],
    attack_steps: Annotated[
        int, typer.Option(min=0, help="Gradient ascent steps from each start; 0: no attack.")
    ] = 30,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Recompute a model's certificate from its weights, compare with the card, attack it.

    A reconstruction network has no certificate: its parameters are counted and the equivariance of
    its maps is measured; nor has DnCNN, which is counted and attacked. Ends with 4 if the card
    claims anything else than what the weights give.
    """
    from pnp_recon.errors import CertificateError
    from pnp_recon.models.verify import verify

    result = verify(model, attack_steps)
    if not quiet:
        if result.rows:
            _print_table(result)
        else:
            typer.echo("\n".join([f"{result.name}:", *(f"  {line}" for line in result.lines)]))
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


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_app(app, PROGRAM, argv)
