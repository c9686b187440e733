"""`pnp-train dncnn`: the unconstrained denoiser that the certified ones are compared with.

Parses and calls; torch is imported after parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


def dncnn(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures, as for `denoiser`. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    grey: Annotated[bool | None, option("Grey or colour model.", "grey", "--grey/--colour")] = None,
    steps: Annotated[int | None, option("Optimiser steps.", "4700")] = None,
    batch: Annotated[int | None, option("Patches a step.", "8")] = None,
    patch: Annotated[int | None, option("Side of a patch in pixels.", "40")] = None,
    sigma_min: Annotated[str | None, option("Lowest noise level, 0.004 or 1/255.", "1/255")] = None,
    sigma_max: Annotated[str | None, option("Highest noise level.", "50/255")] = None,
    learning_rate: Annotated[
        float | None, option("Of Adam, at its peak.", "0.0005", "--learning-rate", "--lr")
    ] = None,
    depth: Annotated[int | None, option("Convolutional layers.", "17")] = None,
    width: Annotated[int | None, option("Feature channels.", "64")] = None,
    seed: Annotated[int | None, option("Of weights, patches and noise.", "0")] = None,
    bf16: Bf16 = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    every: Every = 250,
    name: Annotated[str | None, option("Name of the model.", "dncnn_grey or dncnn_colour")] = None,
    export: Export = None,
    tensorboard: TensorBoard = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train DnCNN, a denoiser without any guarantee, as the counter-example of the benchmark.

    The same pictures, loss and number of steps as a certified denoiser gets by default, and about
    the same time: it works at full resolution, so its patches are smaller.
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
    channels = None if grey is None else 1 if grey else 3
    network = {"channels": channels, "depth": depth, "width": width}
    if name is not None:
        check_name(name)
    usual = "dncnn_colour" if channels == 3 else "dncnn_grey"
    defaults = {"name": usual, "hold_out": None}
    options = given(name=name, threads=threads, recipe=recipe, network=network)
    folder = output or Path("runs") / (name or usual)

    from pnp_recon.cli.train.session import train

    train(
        folder,
        run_settings("dncnn", folder, data, options, defaults),
        device=device.value,
        every=every,
        export=export,
        tensorboard=tensorboard,
        quiet=quiet,
    )
