"""The options of `pnp-inpaint` and what they mean. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from pnp_recon.cli.run.flags import output_option, sigma_option, simulate_option
from pnp_recon.cli.run.region import PictureOptions
from pnp_recon.errors import InputError

DEFAULT_MISSING = 0.5


class MaskKind(StrEnum):
    pixels = "pixels"
    blocks = "blocks"
    strokes = "strokes"


@dataclass(frozen=True)
class InpaintOptions(PictureOptions):
    """The options of `pnp-inpaint`."""

    # fmt: off
    output: Annotated[str | None, output_option("NAME_inpainted.EXT")] = None
    mask: Annotated[Path | None, typer.Option(
        "--mask", metavar="MASK",
        help="The mask is a picture of the same size, in which white is known and black is "
        "missing. For several pictures it may be a folder with the same names.",
    )] = None
    missing: Annotated[float | None, typer.Option(
        "--missing",
        help="With --simulate: remove this share of the pixels, between 0 and 1 (default 0.5).",
    )] = None
    mask_kind: Annotated[MaskKind | None, typer.Option(
        "--mask-kind",
        help="With --simulate: remove single pixels, blocks or strokes (default pixels).",
    )] = None
    keep_known: Annotated[bool, typer.Option(
        "--keep-known",
        help="Put the known pixels back into the result, exactly as they were. What is then "
        "written is no longer the picture that the certificate is about.",
    )] = False
    simulate: Annotated[bool, simulate_option(
        "IN is clean. Remove pixels (--mask, or --missing and --mask-kind), add the noise of "
        "--sigma, then restore it and compare.",
    )] = False
    sigma: Annotated[str | None, sigma_option(
        "The noise of the known pixels has this standard deviation, such as 0.03 or "
        "7.65/255; auto estimates it. The default is 0.",
    )] = None
    # fmt: on

    default_level: ClassVar[float | None] = 0.0
    default_simulated_level: ClassVar[float] = 0.0

    @property
    def missing_share(self) -> float:
        return DEFAULT_MISSING if self.missing is None else self.missing

    @property
    def kind(self) -> MaskKind:
        return MaskKind.pixels if self.mask_kind is None else self.mask_kind

    def mask_file(self, source: Path) -> Path | None:
        """The mask of one picture."""
        if self.mask is None:
            return None
        return self.mask / source.name if self.mask.is_dir() else self.mask

    def companions(self, source: Path) -> tuple[Path, ...]:
        mask = self.mask_file(source)
        return () if mask is None else (mask,)

    def check(self) -> None:
        super().check()
        drawn = {"--missing": self.missing, "--mask-kind": self.mask_kind}
        given = [option for option, value in drawn.items() if value is not None]
        if self.mask is None and not self.simulate:
            raise InputError(
                "which pixels are missing is not said; give --mask MASK (white is known), or "
                "--simulate to remove some from a clean picture"
            )
        if self.mask is not None and given:
            raise InputError(f"{given[0]} does not go with --mask, which says all; give one")
        if self.mask is not None and not self.mask.exists():
            raise InputError(f"--mask is {self.mask}, which does not exist; expected a picture")
        if not 0 < self.missing_share < 1:
            raise InputError(
                f"--missing is {self.missing_share}; expected a share strictly between 0 and 1"
            )
