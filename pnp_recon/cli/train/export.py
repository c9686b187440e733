"""`pnp-train export`: a run's model, or one for other programs. Loads no torch at the top."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.shell import make_folder
from pnp_recon.cli.train.command import Quiet, Verbose
from pnp_recon.cli.train.settings import check_name


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN_FOLDER|MODEL",
            help="The folder that a training command made with -o; with --onnx or --torch-export "
            "also a shipped model, or the path of a model card.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The model gets this name.", show_default="that of the run"),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Put the model into this folder, which is made if it is missing."
        ),
    ] = Path(),
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx", help="Write ONNX, too, compared by onnxruntime; needs the extra onnx."
        ),
    ] = False,
    torch_export: Annotated[
        bool, typer.Option("--torch-export", help="Write a program of torch.export (.pt2), too.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a model of that name.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Export the averaged weights of a run, as far as it got, with their model card.

    For other programs: as ONNX, or as a program of torch. Denoisers can be written so; energies and
    reconstruction networks cannot.
    """
    from pnp_recon.cli.train.session import say_exported
    from pnp_recon.training.runs import check_export, export_run, read_run

    formats = [kind for kind, wanted in ((".onnx", onnx), (".pt2", torch_export)) if wanted]
    if formats and not (Path(run) / "run.json").exists():
        _write(run, name, output, formats, overwrite, quiet)
        return
    settings = read_run(Path(run))
    if name is not None:
        check_name(name)
    if not overwrite:
        check_export(output, name or settings.name)
    make_folder(output)
    card = export_run(Path(run), output, name)
    say_exported(card, quiet)
    if formats:
        _write(str(card), name or settings.name, output, formats, overwrite, quiet)


def _write(
    model: str, name: str | None, folder: Path, formats: list[str], overwrite: bool, quiet: bool
) -> None:
    """A model in other formats, with how far they are from the network here."""
    from pnp_recon.files import check_target
    from pnp_recon.models.portable import portable_card, write_onnx, write_program

    card = portable_card(model)
    make_folder(folder)
    for kind in formats:
        target = check_target(folder / f"{name or card.name}{kind}", overwrite=overwrite)
        gap = {".onnx": write_onnx, ".pt2": write_program}[kind](card, target)
        if not quiet:
            typer.echo(f"{target}: {card.name}, at most {gap:.1e} off on two sizes")
