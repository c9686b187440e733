"""`pnp-train fixed-point`: train a certified denoiser on at the fixed point of its iteration.

Parses and calls; torch is imported after parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.cli.shell import Device
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
from pnp_recon.errors import InputError


def fixed_point(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures, as for `denoiser`. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Certified denoiser to train on from: a name, a card, or the checkpoint.pt of a "
            "run. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    steps: Annotated[int | None, option("Optimiser steps.", "3000")] = None,
    batch: Annotated[int | None, option("Patches a step.", "4")] = None,
    patch: Annotated[int | None, option("Side of a patch in pixels.", "96")] = None,
    sigma_min: Annotated[str | None, option("Lowest noise level, 0.004 or 1/255.", "1/255")] = None,
    sigma_max: Annotated[str | None, option("Highest noise level.", "50/255")] = None,
    learning_rate: Annotated[
        float | None, option("Of Adam, at its peak.", "0.0005", "--learning-rate", "--lr")
    ] = None,
    iterations: Annotated[
        int | None, option("Steps to the fixed point of a blur; twice for missing pixels.", "16")
    ] = None,
    terms: Annotated[
        int | None,
        option("Steps of the solve for the implicit gradient; 0: Jacobian-free.", "8"),
    ] = None,
    weight: Annotated[
        float | None, option("Of the problems against plain denoising, 0 to 1.", "0.5")
    ] = None,
    inpainting: Annotated[
        float | None, option("Share of problems with missing pixels; the rest is blur.", "0.25")
    ] = None,
    seed: Annotated[int | None, option("Of patches, problems and noise.", "0")] = None,
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
    name: Annotated[str | None, option("Name of the model.", "INIT_fixed_point")] = None,
    export: Export = None,
    tensorboard: TensorBoard = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a certified denoiser on, at the fixed point of the iteration that it runs in.

    Deblurring and inpainting problems of all kinds and strengths, solved to the fixed point and
    differentiated there, along with plain denoising. The constant is built into the network and
    does not change. A run that was stopped goes on with `pnp-train fixed-point -o RUN_FOLDER`.
    """
    recipe = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "sigma_min": training_level(sigma_min, "--sigma-min"),
        "sigma_max": training_level(sigma_max, "--sigma-max"),
        "learning_rate": learning_rate,
        "iterations": iterations,
        "terms": terms,
        "weight": weight,
        "inpainting": inpainting,
        "seed": seed,
        "bf16": bf16,
    }
    if name is not None:
        check_name(name)
    first: dict[str, Any] = {}
    usual = "fixed_point"
    if init is not None:
        from pnp_recon.training.fixed_point.task import first_weights

        network, sha256, _ = first_weights(init)
        first = {"network": network, "beginning": {"model": _absolute(init), "sha256": sha256}}
        usual = f"{_stem(init)}_fixed_point"
    elif output is None or not (output / "run.json").exists():
        raise InputError(
            "nothing to train on from; give --init NAME|CARD|CHECKPOINT to start a run, or the "
            "folder of a run with -o to resume it"
        )
    options = given(name=name, hold_out=hold_out, threads=threads, recipe=recipe, **first)
    defaults = {"name": usual, "hold_out": None}
    folder = output or Path("runs") / (name or usual)

    from pnp_recon.cli.train.session import train

    train(
        folder,
        run_settings("fixed-point", folder, data, options, defaults),
        device=device.value,
        every=every,
        export=export,
        tensorboard=tensorboard,
        quiet=quiet,
    )


def _absolute(model: str) -> str:
    """A shipped model's name as it is; a path so that it holds in other folders too."""
    path = Path(model)
    named = path.suffix not in (".json", ".safetensors", ".pt") and path.parent == Path()
    return model if named else str(path.absolute())


def _stem(model: str) -> str:
    """What a model is called: a checkpoint like its run folder."""
    path = Path(model).absolute()
    return path.parent.name if path.suffix == ".pt" else path.stem
