"""The options of `pnp-deblur` and what they mean. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from pnp_recon.cli.run.borders import Boundary
from pnp_recon.cli.run.checks import given, refuse
from pnp_recon.cli.run.flags import output_option, sigma_option, simulate_option
from pnp_recon.cli.run.kernel import KernelOptions
from pnp_recon.cli.run.plan import is_batch
from pnp_recon.cli.run.region import PictureOptions
from pnp_recon.errors import InputError
from pnp_recon.files import check_target
from pnp_recon.problems.numbers import checked_number

KERNELS = ("motion", "rotation", "blind", "trajectory", "gaussian", "disk", "uniform")
# What of --length, --angle, --centre and --kernel-size a kernel can use.
_USES = {
    "motion": {"--length", "--angle", "--kernel-size"},
    "rotation": {"--angle", "--centre"},
    "blind": {"--kernel-size"},
    "trajectory": {"--kernel-size"},
    "gaussian": {"--length", "--kernel-size"},
    "disk": {"--length", "--kernel-size"},
    "uniform": {"--kernel-size"},
}

# Kernels that are not to be found in a picture: what must be given, and why.
_UNSEEN = {
    "gaussian": ("--length", "a picture does not show how wide a Gaussian blurred it"),
    "uniform": ("--kernel-size", "how wide a uniform kernel was is not estimated"),
    "trajectory": (
        "--kernel-size",
        "it is a random shake, and right only for a picture that was blurred with the same "
        "--kernel-size and --seed",
    ),
}


class Noise(StrEnum):
    gaussian = "gaussian"
    poisson = "poisson"


@dataclass(frozen=True)
class DeblurOptions(KernelOptions, PictureOptions):
    """The options of `pnp-deblur`."""

    # fmt: off
    output: Annotated[str | None, output_option("NAME_deblurred.EXT")] = None
    kernel: Annotated[str, typer.Option(
        "--kernel", metavar="NAME|FILE",
        help="The blur is motion, rotation, trajectory, gaussian, disk or uniform; blind finds a "
        "camera shake of any shape in the picture; a file has the kernel as a picture, .npy, .npz, "
        ".mat or .h5. FILE:NAME[0] is one array of a set, FILE:NAME[:] are three, for red, green "
        "and blue. An array of four dimensions is a grid of kernels over the picture.",
    )] = "motion"
    length: Annotated[float | None, typer.Option(
        "--length",
        help="A motion has this length, a Gaussian this standard deviation, a disk this radius, in "
        "pixels. By default that of a motion or a disk is estimated from the picture.",
    )] = None
    angle: Annotated[float | None, typer.Option(
        "--angle", help="A motion has this angle in degrees, counter-clockwise; 0 is horizontal. "
        "With rotation, the camera rolled by so many degrees.",
    )] = None
    centre: Annotated[str | None, typer.Option(
        "--centre", metavar="X,Y",
        help="A rotation leaves this point of IN where it is, in pixels from its top left corner; "
        "it may lie outside. By default it is the middle.",
    )] = None
    kernel_size: Annotated[int | None, typer.Option(
        "--kernel-size",
        help="The kernel has this side in pixels, an odd number; with blind it has at most this "
        "one, up to 65.",
    )] = None
    kernel_out: Annotated[Path | None, typer.Option(
        "--kernel-out", metavar="FILE", help="Write the kernel into this file, .npy or .png.",
    )] = None
    boundary: Annotated[Boundary, typer.Option(
        "--boundary",
        help="Choose what is taken to lie beyond the border. With valid it is unknown and is "
        "restored with the picture; this is right for photographs, and nothing rings in from the "
        "opposite side.",
    )] = Boundary.valid
    linear_light: Annotated[bool, typer.Option(
        "--linear-light",
        help="Undo the sRGB curve first, because a camera blurs light and not stored values.",
    )] = False
    simulate: Annotated[bool, simulate_option(
        "IN is clean. Blur it and add noise first, then restore it and compare. With "
        "--boundary valid the result lacks the border that the simulated camera did not see. "
        "Without its size a motion is 15 pixels long, at 30 degrees, a disk has radius 4, a "
        "Gaussian standard deviation 2, a trajectory 25 pixels and a uniform kernel 9.",
    )] = False
    sigma: Annotated[str | None, sigma_option(
        "The noise has this standard deviation, such as 0.03 or 7.65/255. By default it is "
        "estimated (auto); with --simulate it is 2.55/255. With --noise poisson it is the noise of "
        "the readout beside that of the photons, by default none.",
    )] = None
    noise: Annotated[Noise, typer.Option(
        "--noise",
        help="The noise is gaussian, alike everywhere, or poisson, that of counted photons: where "
        "the picture is brighter it is stronger. poisson needs --peak.",
    )] = Noise.gaussian
    peak: Annotated[str | None, typer.Option(
        "--peak", metavar="N|counts",
        help="With --noise poisson, N counts are expected where the picture is 1, which is white; "
        "a pixel of value v stands for N times v counts. counts says that the numbers of the file "
        "are counts.",
    )] = None
    background: Annotated[float | None, typer.Option(
        "--background", metavar="B",
        help="With --noise poisson, B counts are expected without an object. They are not blurred, "
        "and the result is without them. By default there are none.",
    )] = None
    # fmt: on

    kernels: ClassVar[tuple[str, ...]] = KERNELS

    @property
    def rotation_centre(self) -> tuple[float, float] | None:
        """The point (x, y) of IN that a rotation leaves where it is; None for the middle."""
        if self.centre is None:
            return None
        number = r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
        found = re.fullmatch(f"{number},{number}", self.centre)
        if found is None:
            raise InputError(f"--centre is {self.centre!r}; expected two numbers, such as 320,240")
        return float(found[1]), float(found[2])

    @property
    def counted(self) -> bool:
        """Pixels are counts of photons, up to a factor."""
        return self.noise == Noise.poisson

    @property
    def peak_counts(self) -> float | None:
        """What --peak says; None: the numbers of the file are counts."""
        if self.peak is None or self.peak.strip().lower() == "counts":
            return None
        try:
            value = float(self.peak)
        except ValueError:
            raise InputError(
                f"--peak is {self.peak!r}; expected the counts where the picture is 1, such as "
                "200, or counts, where the numbers of the file are counts"
            ) from None
        checked_number("--peak", value, above=0.0)
        return value

    @property
    def noise_level(self) -> float | None:
        """See `RunOptions`; of photons it is found pixel by pixel."""
        return None if self.counted else super().noise_level

    def check(self) -> None:
        super().check()
        if self.kernel == "blind" and self.simulate:
            others = ", ".join(name for name in KERNELS if name != "blind")
            raise InputError(
                "--kernel blind finds the blur of a picture, and --simulate needs one to blur "
                f"with; give another kernel: {others} or a file"
            )
        self._check_kernel_out()
        if self.kernel == "rotation" and self.angle is None:
            raise InputError(
                "--kernel rotation needs --angle, by how many degrees the camera rolled; it is not "
                "estimated"
            )
        _ = self.rotation_centre
        sizes = {
            "--length": self.length,
            "--angle": self.angle,
            "--centre": self.centre,
            "--kernel-size": self.kernel_size,
        }
        used = _USES.get(self.kernel, set())
        for option, value in sizes.items():
            if value is not None and option not in used:
                fits = f"it takes {', '.join(sorted(used))}" if used else "a file is complete"
                raise InputError(f"{option} does not go with --kernel {self.kernel}: {fits}")

        self._check_known()
        self._check_photons()

    def _check_photons(self) -> None:
        poisson = "--noise poisson"
        refuse(given(self, "peak", "background"), f"--noise gaussian; add {poisson}",
               not self.counted)  # fmt: skip
        if not self.counted:
            return
        refuse(given(self, "model"), f"{poisson}: no network here was trained for photons")
        if self.peak is None:
            raise InputError(
                f"{poisson} needs --peak N: the counts that are expected where the picture is 1 "
                "(white). It is the number of white divided by what the camera gives for a photon, "
                "its gain; --peak counts where the numbers of the file are counts"
            )
        if self.peak_counts is None and self.simulate:
            raise InputError("--peak counts is for files of counts; --simulate needs --peak N")
        if self.background is not None:
            checked_number("--background", self.background, least=0.0)

    def _check_known(self) -> None:
        """What a photograph does not show is not guessed: a default would be taken for known."""
        if self.simulate or self.kernel not in _UNSEEN:
            return
        option, why = _UNSEEN[self.kernel]
        if (self.length if option == "--length" else self.kernel_size) is None:
            raise InputError(
                f"--kernel {self.kernel} needs {option}: {why}. Pass {option}, or find a kernel "
                "in the picture with --kernel blind"
            )

    def _check_kernel_out(self) -> None:
        if self.kernel_out is None:
            return
        if self.kernel_out.suffix.lower() not in (".npy", ".png"):
            raise InputError(f"--kernel-out is {self.kernel_out}; expected a .npy or .png file")
        if is_batch(self):
            raise InputError("--kernel-out is one file; give one picture at a time")
        inputs = (Path(self.inputs[0]), *self.companions(Path(self.inputs[0])))
        check_target(self.kernel_out, overwrite=self.overwrite, inputs=inputs)
