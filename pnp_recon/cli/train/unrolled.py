"""`pnp-train unrolled`: train an unrolled reconstruction network on simulated scans of CT slices.

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
)


def default_name(group: str | None) -> str:
    return f"unrolled_ct_{(group or 'C4').lower()}"


def _sha256(model: str) -> str:
    from pnp_recon.models.store import find_card, read_card

    return read_card(find_card(model), "network").sha256


def unrolled(
    data: Annotated[
        Path | None,
        typer.Option(
            help="CT slices: an .npz archive with img (slices, rows, columns) = HU + 1024, and "
            "perhaps split and patient; or a folder of DICOM, .npy (in HU) or pictures (0 to 1 "
            "is -1024 to 1500 HU), or of train/ and val/. Needed to start, not to resume.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    scheme: Annotated[
        str | None, option("proximal-gradient or primal-dual.", "proximal-gradient")
    ] = None,
    group: Annotated[
        str | None,
        option("Turns and flips of the learned maps: C1 (ordinary), C4, D4, C8, D8.", "C4"),
    ] = None,
    width: Annotated[
        int | None, option("Channels of the hidden layers, a multiple of the group.", "96")
    ] = None,
    depth: Annotated[int | None, option("Iterations.", "8")] = None,
    memory: Annotated[
        int | None, option("Channels handed from one iteration to the next.", "5")
    ] = None,
    kernel_size: Annotated[int | None, option("Side of the filters, odd.", "3")] = None,
    shared: Annotated[
        bool | None, option("One learned map for all iterations.", "no-shared")
    ] = None,
    start: Annotated[
        str | None, option("guess (filtered back-projection) or zero.", "guess")
    ] = None,
    gradient: Annotated[
        str | None,
        option("How the data pull: filtered (as in back-projection) or adjoint.", "filtered"),
    ] = None,
    step_sizes: Annotated[str | None, option("learned or fixed.", "learned")] = None,
    filters: Annotated[
        str | None,
        option("pixel or harmonic.", "pixel, for C8, D8, ... harmonic"),
    ] = None,
    init: Annotated[
        str | None,
        option("Model to train on from, of the same network: a name or a card.", "random weights"),
    ] = None,
    first_step: Annotated[
        float | None,
        option("Value of all step sizes at the start.", "1, or those of --init"),
    ] = None,
    views: Annotated[int | None, option("Views of a scan over 180 degrees.", "50")] = None,
    incident: Annotated[float | None, option("Photons that enter each ray.", "10000")] = None,
    size: Annotated[
        int | None, option("Side of the pictures; slices are averaged to it.", "256")
    ] = None,
    field_mm: Annotated[
        float | None, option("Side of every picture in mm, whatever its file says.", "256")
    ] = None,
    count: Annotated[int | None, option("Slices to train on, chosen by the seed.", "all")] = None,
    steps: Annotated[int | None, option("Optimiser steps.", "2000")] = None,
    batch: Annotated[int | None, option("Slices a step.", "1")] = None,
    learning_rate: Annotated[
        float | None, option("Of Adam, at its peak.", "0.002", "--learning-rate", "--lr")
    ] = None,
    seed: Annotated[int | None, option("Of weights, slices and their order.", "0")] = None,
    bf16: Bf16 = None,
    checkpointing: Annotated[
        bool,
        typer.Option(
            "--checkpointing", help="Less memory for more time; the weights are the same."
        ),
    ] = False,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    every: Every = 250,
    name: Annotated[str | None, option("Name of the model.", "unrolled_ct_GROUP")] = None,
    other_geometry: Annotated[
        str | None,
        option("What the model does with a scan of another geometry: warn or refuse.", "warn"),
    ] = None,
    export: Export = None,
    tensorboard: TensorBoard = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train an unrolled network on simulated scans of CT slices, and export it.

    The run folder holds run.json, checkpoint.pt, log.csv and sample sheets (start, restored,
    truth, error). The noise of each slice is drawn once. A run that was stopped or killed goes on
    with `pnp-train unrolled -o RUN_FOLDER`.
    """
    network = {
        "scheme": scheme,
        "group": group,
        "width": width,
        "depth": depth,
        "memory": memory,
        "kernel_size": kernel_size,
        "shared": shared,
        "start": start,
        "gradient": gradient,
        "steps": step_sizes,
        "filters": filters,
    }
    recipe = {
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "seed": seed,
        "bf16": bf16,
    }
    scans = {
        "views": views,
        "incident": incident,
        "size": size,
        "field_mm": field_mm,
        "count": count,
        "other_geometry": other_geometry,
    }
    beginning = {"model": init, "sha256": init and _sha256(init), "step": first_step}
    if name is not None:
        check_name(name)
    options = given(
        name=name,
        threads=threads,
        network=network,
        recipe=recipe,
        scans=scans,
        beginning=beginning,
    )
    # Measured for CT: filtered residuals are worth about 1 dB after a few hundred steps.
    defaults = {"name": default_name(group), "network": {"gradient": "filtered"}}
    folder = output or Path("runs") / (name or default_name(group))

    from pnp_recon.cli.train.session import train

    train(
        folder,
        run_settings("unrolled", folder, data, options, defaults),
        device=device.value,
        every=every,
        export=export,
        tensorboard=tensorboard,
        quiet=quiet,
        checkpointing=checkpointing,
    )
