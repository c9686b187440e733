"""`pnp-train export`: the model of a run, as far as it got. Loads no torch before it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.train.command import Quiet, Verbose
from pnp_recon.cli.train.settings import check_name


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_FOLDER", help="The folder that a training command made with -o."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The model gets this name.", show_default="that of the run"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Put the model into this folder.")
    ] = Path(),
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
