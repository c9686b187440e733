"""The options of `pnp-sr` and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from pnp_recon.cli.run.borders import Boundary
from pnp_recon.cli.run.flags import output_option, sigma_option, simulate_option
from pnp_recon.cli.run.kernel import KernelOptions
from pnp_recon.errors import InputError
from pnp_recon.problems.numbers import checked_number

KERNELS = ("bicubic", "gaussian", "box")
LARGEST_SCALE = 4


@dataclass(frozen=True)
class EnlargeOptions(KernelOptions):
    """The options of `pnp-sr`."""

    # fmt: off
    output: Annotated[str | None, output_option("NAME_enlarged.EXT")] = None
    scale: Annotated[int, typer.Option(
        "--scale", min=2, max=LARGEST_SCALE,
        help="The result has so many times the pixels on each side: 2, 3 or 4.",
    )] = 2
    kernel: Annotated[str, typer.Option(
        "--kernel", metavar="NAME|FILE",
        help="The large picture was blurred with this before pixels were left out: bicubic (the "
        "filter of Pillow, MATLAB and many others), gaussian, box (the mean over a block), or a "
        "file, as pnp-deblur takes it.",
    )] = "bicubic"
    width: Annotated[float | None, typer.Option(
        "--width",
        help="A Gaussian has this standard deviation in pixels of the result. The default is 0.4 "
        "times the scale.",
    )] = None
    boundary: Annotated[Boundary, typer.Option(
        "--boundary",
        help="Choose what is taken to lie beyond the border. With valid it is unknown and is "
        "restored with the picture, in a margin that is cut off in the end.",
    )] = Boundary.valid
    simulate: Annotated[bool, simulate_option(
        "IN is large. Blur it, keep every so many-th pixel and add noise first, then enlarge "
        "it and compare. The result lacks what is no multiple of the scale, and with --boundary "
        "valid the border that the small picture did not see.",
    )] = False
    sigma: Annotated[str | None, sigma_option(
        "The noise of the small picture has this standard deviation, such as 0.03 or "
        "7.65/255. By default it is estimated (auto) from rounding, JPEG tables and the smoothest "
        "parts; with --simulate it is 0.",
    )] = None
    # fmt: on

    kernels: ClassVar[tuple[str, ...]] = KERNELS
    default_simulated_level: ClassVar[float] = 0.0

    def check(self) -> None:
        super().check()
        if self.width is not None and self.kernel != "gaussian":
            raise InputError("--width is that of a Gaussian; add --kernel gaussian, or leave it")
        if self.width is not None:
            checked_number("--width", self.width, above=0.0)
