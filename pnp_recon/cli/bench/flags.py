"""The options that several commands of `pnp-bench` share. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pnp_recon.benchmark.choice import DEFAULT_STRENGTH
from pnp_recon.benchmark.suites.catalogue import SUITES
from pnp_recon.cli.shell import Device


def _of_suite(*names: str, text: str) -> Any:
    """An option for which each suite has a value of its own."""
    return typer.Option(*names, help=text, show_default="the suite's")


*_FIRST, _LAST = SUITES
Suite = Annotated[
    str | None,
    typer.Argument(metavar="SUITE", help=f"The suite is {', '.join(_FIRST)} or {_LAST}."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Take these pictures: BSDS500, any other folder of pictures, or CT slices.",
        show_default=False,
    ),
]
Methods = Annotated[
    str | None,
    _of_suite(
        text="Compare these methods: names, paths of model cards, module:function or "
        "file.py:Class, dpir:NAME (the schedule of DPIR); also shipped, classical and all. "
        "`pnp-bench list` shows the names.",
    ),
]
Noise = Annotated[
    str | None,
    _of_suite(text="Add noise of these levels σ·255; for ct in percent of the maximum."),
]
Images = Annotated[str | None, _of_suite(text="Take so many pictures, evenly spaced, or all.")]
Split = Annotated[
    str | None,
    typer.Option(
        help="Take this part of BSDS500: bsd68, test or val.",
        show_default="bsd68; else all pictures",
    ),
]
Grey = Annotated[bool | None, _of_suite("--grey/--colour", text="Take grey or colour pictures.")]
Crop = Annotated[
    str | None,
    _of_suite(text="Cut out the central square with this side; none takes whole pictures."),
]
Problems = Annotated[
    str | None,
    typer.Option(
        help="Take the problems whose names begin like this.", show_default="all of the suite"
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set a number of the suite, such as tol=1e-5."
    ),
]
Tuned = Annotated[
    Path | None,
    typer.Option(
        help="Take the parameters that `pnp-bench tune` has found.", show_default="the shipped ones"
    ),
]
Strength = Annotated[
    str | None,
    typer.Option(
        metavar="auto|tuned|F",
        help="Weigh the prior as chosen from the data, as tuned, or by this multiple of the rule.",
        show_default=DEFAULT_STRENGTH,
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Work in so many processes.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Use so many threads in each process.", show_default="cores / jobs"),
]
DeviceOption = Annotated[
    Device, typer.Option(help="Compute on this device; auto takes a GPU if there is one.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print the traceback of an error.")]
