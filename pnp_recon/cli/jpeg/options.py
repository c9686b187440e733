"""The options of `pnp-jpeg` and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from pnp_recon.cli.run.flags import output_option, sigma_option, simulate_option
from pnp_recon.cli.run.region import PictureOptions
from pnp_recon.cli.shell import parse_level
from pnp_recon.errors import InputError

DEFAULT_QUALITY = 20


@dataclass(frozen=True)
class JpegOptions(PictureOptions):
    """The options of `pnp-jpeg`."""

    # fmt: off
    output: Annotated[str | None, output_option("NAME_restored.png")] = None
    simulate: Annotated[bool, simulate_option(
        "IN is clean. Encode it as JPEG in memory, then restore that and compare.",
    )] = False
    quality: Annotated[int | None, typer.Option(
        "--quality", min=1, max=100,
        help=f"With --simulate: encode with this quality (default {DEFAULT_QUALITY}).",
    )] = None
    sigma: Annotated[str | None, sigma_option(
        "The error of the decoded picture has this standard deviation. By default it comes "
        "from the file's quantisation tables (auto).",
    )] = None
    strength: Annotated[str, typer.Option(
        "--strength", metavar="auto|F",
        help="Above 1 the result is smoother, below 1 it is sharper; auto is 1.",
    )] = "auto"
    # fmt: on
    levelled = True

    @property
    def noise_level(self) -> float | None:
        """The level of --sigma; None: the tables say it, in a simulation, too."""
        return None if self.sigma is None else parse_level(self.sigma)

    def check(self) -> None:
        super().check()
        if self.quality is not None and not self.simulate:
            raise InputError("--quality goes with --simulate; the quality of a file is its own")
