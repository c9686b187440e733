"""The options of `pnp-sr` and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from pnp_recon.cli.run.borders import Boundary
from pnp_recon.cli.run.options import RunOptions, output_option
from pnp_recon.cli.run.places import place_in_file
from pnp_recon.errors import InputError
from pnp_recon.problems.numbers import checked_number

KERNELS = ("bicubic", "gaussian", "box")
LARGEST_SCALE = 4


@dataclass(frozen=True)
class EnlargeOptions(RunOptions):
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
    simulate: Annotated[bool, typer.Option(
        "--simulate",
        help="IN is large. Blur it, keep every so many-th pixel and add noise first, then enlarge "
        "it and compare. The result lacks what is no multiple of the scale, and with --boundary "
        "valid the border that the small picture did not see.",
    )] = False
    sigma: Annotated[str | None, typer.Option(
        "--sigma", metavar="auto|S|S/255",
        help="The noise of the small picture has this standard deviation, such as 0.03 or "
        "7.65/255. By default it is estimated (auto) from rounding, JPEG tables and the smoothest "
        "parts; with --simulate it is 0.",
    )] = None
    # fmt: on

    default_simulated_level: ClassVar[float] = 0.0

    @property
    def kernel_file(self) -> Path | None:
        return None if self.kernel in KERNELS else place_in_file(self.kernel)[0]

    @property
    def kernel_key(self) -> str | None:
        """Which array of the kernel file."""
        return None if self.kernel in KERNELS else place_in_file(self.kernel)[1]

    def companions(self, source: Path) -> tuple[Path, ...]:
        return () if self.kernel_file is None else (self.kernel_file,)

    def check(self) -> None:
        super().check()
        if self.kernel_file is not None and not self.kernel_file.exists():
            raise InputError(
                f"--kernel is {self.kernel!r}; expected {', '.join(KERNELS)} or an existing "
                "kernel file"
            )
        if self.width is not None and self.kernel != "gaussian":
            raise InputError("--width is that of a Gaussian; add --kernel gaussian, or leave it")
        if self.width is not None:
            checked_number("--width", self.width, above=0.0)
