"""The options of `pnp-mri` and what they mean. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pnp_recon.cli.run.checks import flag_of, given, refuse
from pnp_recon.cli.run.flags import (
    Key,
    no_picture_option,
    output_option,
    reference_option,
    sigma_option,
    simulate_option,
)
from pnp_recon.cli.run.options import RunOptions
from pnp_recon.cli.shell import parse_positive
from pnp_recon.errors import InputError

DEFAULT_UNDERSAMPLING = 4.0


class MriMethod(StrEnum):
    """The methods of `options.Method`, and what only k-space has."""

    pnp = "pnp"
    tv = "tv"
    zero_filled = "zero-filled"
    rss = "rss"
    cgls = "cgls"

    @property
    def is_formula(self) -> bool:
        return self in (MriMethod.zero_filled, MriMethod.rss)


class Sampling(StrEnum):
    """The kinds of masks that are drawn."""

    random = "random"
    equispaced = "equispaced"
    radial = "radial"


class Phase(StrEnum):
    centre = "centre"
    whole = "global"
    none = "none"


class ZeroFrequency(StrEnum):
    centre = "centre"
    corner = "corner"


class PictureOrigin(StrEnum):
    centre = "centre"
    corner = "corner"


MethodOption = Annotated[MriMethod, typer.Option(
    "--method",
    help="The prior is learned (pnp) or total variation (tv). zero-filled is the "
    "adjoint of the data, rss the root of the sum of squares of the coils. cgls solves least "
    "squares without a prior and stops early. --denoiser wavelet takes wavelets.",
)]  # fmt: skip


@dataclass(frozen=True)
class MriOptions(RunOptions):
    """The options of `pnp-mri`."""

    # fmt: off
    inputs: Annotated[list[str], typer.Argument(
        metavar="KSPACE...",
        help="Give k-space (.npy, .npz, .h5, ISMRMRD), or with --simulate pictures (or slices as "
        "pnp-ct takes them).",
    )]
    output: Annotated[str | None, output_option("NAME_reconstructed.npy")] = None
    # More methods than the shared option has.
    method: MethodOption = MriMethod.pnp  # type: ignore[assignment]
    mask: Annotated[str | None, typer.Option(
        "--mask", metavar="random|equispaced|radial|FILE",
        help="Keep these frequencies alone: random or equispaced lines with the centre, radial "
        "spokes, or white in a mask file of the size of k-space (zero frequency in the middle). "
        "The default is what was measured, and random with --simulate.",
    )] = None
    undersampling: Annotated[float | None, typer.Option(
        "--undersampling", metavar="R",
        help="A mask that is drawn keeps one of R lines (default 4).",
    )] = None
    maps: Annotated[Path | None, typer.Option(
        "--maps", metavar="FILE",
        help="The coil maps are in this file (.npy, .npz or .h5; coils, rows, columns). By "
        "default they are those in the input file, or estimated from the centre of k-space.",
    )] = None
    phase: Annotated[Phase, typer.Option(
        "--phase",
        help="Take a phase away before the prior sees the picture: the smooth one of the centre "
        "of k-space, one number for the whole picture (global), or none.",
    )] = Phase.centre
    scale: Annotated[float | None, typer.Option(
        "--scale", metavar="S",
        help="The modulus of the picture is at most S, in the unit of the data. By default S is "
        "half as large again as that of the zero-filled picture.",
    )] = None
    key: Key = None
    order: Annotated[str | None, typer.Option(
        "--order",
        help="The array's axes have this order (s slices, c coils, y rows, x columns), such as "
        "scyx.",
    )] = None
    index: Annotated[int | None, typer.Option(
        "--slice", metavar="I", min=0,
        help="Reconstruct this slice, counted from 0. The default is the middle one.",
    )] = None
    zero_frequency: Annotated[ZeroFrequency, typer.Option(
        "--zero-frequency",
        help="Zero frequency lies in the centre of the array, or in its first corner.",
    )] = ZeroFrequency.centre
    picture_origin: Annotated[PictureOrigin, typer.Option(
        "--picture-origin",
        help="The transform took the picture's centre for its origin, as scanners and fastMRI do, "
        "or its first corner, as a plain FFT of the picture does.",
    )] = PictureOrigin.centre
    simulate: Annotated[bool, simulate_option(
        "KSPACE is a clean picture. Give it a phase, measure k-space with noise, then "
        "reconstruct it and compare.",
    )] = False
    coils: Annotated[int | None, typer.Option(
        "--coils", min=1, metavar="N",
        help="With --simulate: measure with N coils, whose maps are known (default 1).",
    )] = None
    sigma: Annotated[str | None, sigma_option(
        "The noise in the real and in the imaginary part of k-space has this standard "
        "deviation, in the unit of the data. By default it is estimated from the outermost "
        "frequencies (auto).",
        metavar="auto|S",
    )] = None
    reference: Annotated[Path | None, reference_option(
        "Compare the result with this true picture (.npy, real or complex), in the unit of "
        "the data.",
    )] = None
    no_picture: Annotated[bool, no_picture_option(".npy")] = False
    # fmt: on

    @property
    def sampling(self) -> Sampling | None:
        """The kind of mask that is drawn, if one is."""
        if self.mask is None:
            return Sampling.random if self.simulate else None
        return Sampling(self.mask) if self.mask in list(Sampling) else None

    @property
    def factor(self) -> float:
        return DEFAULT_UNDERSAMPLING if self.undersampling is None else self.undersampling

    @property
    def mask_file(self) -> Path | None:
        return None if self.mask is None or self.sampling is not None else Path(self.mask)

    def level(self) -> float | None:
        """In the unit of the data, which may be any."""
        if self.sigma is None or self.simulate:
            return super().level()
        return parse_positive(self.sigma, "--sigma")

    def companions(self, source: Path) -> tuple[Path, ...]:
        return tuple(path for path in (self.mask_file, self.maps) if path is not None)

    def check(self) -> None:
        super().check()
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise InputError(f"--scale is {self.scale}; expected a finite number above 0")
        if not (1 <= self.factor < math.inf):
            raise InputError(f"--undersampling is {self.factor}; expected a number of at least 1")
        drawn = given(self, "undersampling")
        refuse(drawn, "a mask from a file, which says all", self.mask_file is not None)
        refuse(drawn, "what was measured; add --mask random", self.sampling is None)
        of_files = ("key", "order", "zero_frequency", "picture_origin", "maps")
        refuse(given(self, *of_files), "--simulate", self.simulate)
        refuse(given(self, "coils"), "a measured scan; add --simulate", not self.simulate)
        for name in ("mask_file", "maps"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                flag = "--mask" if name == "mask_file" else flag_of(self, name)
                kinds = f", or one of {', '.join(Sampling)}" if name == "mask_file" else ""
                raise InputError(f"{flag} is {path}, which is no file; expected one{kinds}")
