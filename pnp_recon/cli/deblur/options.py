"""The options of `pnp-deblur` and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.run.options import RunOptions, output_option
from pnp_recon.errors import InputError

KERNELS = ("motion", "trajectory", "gaussian", "disk", "uniform")
# What of --length, --angle and --kernel-size a kernel can use.
_USES = {
    "motion": {"--length", "--angle", "--kernel-size"},
    "trajectory": {"--kernel-size"},
    "gaussian": {"--length", "--kernel-size"},
    "disk": {"--length", "--kernel-size"},
    "uniform": {"--kernel-size"},
}


class Boundary(StrEnum):
    valid = "valid"
    circular = "circular"
    replicate = "replicate"
    reflect = "reflect"
    constant = "constant"


@dataclass(frozen=True)
class DeblurOptions(RunOptions):
    """The options of `pnp-deblur`."""

    # fmt: off
    output: Annotated[str | None, output_option("NAME_deblurred.EXT")] = None
    kernel: Annotated[str, typer.Option(
        "--kernel", metavar="NAME|FILE",
        help="motion, trajectory, gaussian, disk, uniform, or a file (.png, .tif, .npy, .mat).",
    )] = "motion"
    length: Annotated[float | None, typer.Option(
        "--length",
        help="Motion: length in pixels. Gaussian: standard deviation (default 2). "
        "Disk: radius (default 4).",
    )] = None
    angle: Annotated[float | None, typer.Option(
        "--angle", help="Motion: degrees, counter-clockwise, 0 is horizontal.",
    )] = None
    kernel_size: Annotated[int | None, typer.Option(
        "--kernel-size", help="Side of the kernel, odd, in pixels.",
    )] = None
    boundary: Annotated[Boundary, typer.Option(
        "--boundary",
        help="What lies beyond the border. valid: unknown, and restored with the picture; right "
        "for photographs, no ringing from the opposite side.",
    )] = Boundary.valid
    linear_light: Annotated[bool, typer.Option(
        "--linear-light",
        help="Undo the sRGB curve first: a camera blurs light, not stored values.",
    )] = False
    simulate: Annotated[bool, typer.Option(
        "--simulate",
        help="IN is clean: blur it and add noise first, then compare. With --boundary valid the "
        "result lacks the border that the simulated camera did not see. Motion without --length "
        "and --angle is 15 pixels at 30 degrees.",
    )] = False
    sigma: Annotated[str | None, typer.Option(
        "--sigma", metavar="auto|S|S/255",
        help="Noise level, such as 0.03 or 7.65/255. Default: auto (estimated); 2.55/255 with "
        "--simulate.",
    )] = None
    # fmt: on

    @property
    def kernel_file(self) -> Path | None:
        return None if self.kernel in KERNELS else Path(self.kernel)

    def companions(self, source: Path) -> tuple[Path, ...]:
        return () if self.kernel_file is None else (self.kernel_file,)

    def check(self) -> None:
        super().check()
        if self.kernel_file is not None and not self.kernel_file.exists():
            raise InputError(
                f"--kernel is {self.kernel!r}; expected {', '.join(KERNELS)} or an existing "
                "kernel file"
            )
        given = {
            "--length": self.length,
            "--angle": self.angle,
            "--kernel-size": self.kernel_size,
        }
        used = _USES.get(self.kernel, set())
        for option, value in given.items():
            if value is not None and option not in used:
                fits = f"it takes {', '.join(sorted(used))}" if used else "a file is complete"
                raise InputError(f"{option} does not go with --kernel {self.kernel}: {fits}")
