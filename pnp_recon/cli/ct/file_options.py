"""The options of `pnp-ct` about what is in the file of a scan. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from pnp_recon.cli.run.flags import Key
from pnp_recon.cli.run.options import RunOptions


class AngleUnit(StrEnum):
    deg = "deg"
    rad = "rad"


class ScanKind(StrEnum):
    counts = "counts"
    intensities = "intensities"
    line_integrals = "line-integrals"


@dataclass(frozen=True)
class ScanFileOptions(RunOptions):
    """What is read, and what it is."""

    # fmt: off
    slices: Annotated[str, typer.Option(
        "--slice", metavar="all|I|I:J",
        help="Reconstruct these slices of the scan, counted from 0, J excluded, as one result, in "
        "memory; for a stack see --slices.",
    )] = "all"
    key: Key = None
    order: Annotated[str | None, typer.Option(
        "--order",
        help="The array's axes have this order (s slices, a angles, d detectors), such as asd.",
    )] = None
    angles_key: Annotated[str | None, typer.Option(
        "--angles-key",
        help="The angles in the file have this name. By default they are looked for: angles, "
        "theta, rotation_angle, anglesRad and so on.",
    )] = None
    angle_unit: Annotated[AngleUnit | None, typer.Option(
        "--angle-unit",
        help="The angles in the file are in this unit. By default it is what the file states or "
        "their name means, and what cannot be is refused.",
    )] = None
    stack: Annotated[bool, typer.Option(
        "--stack",
        help="A folder is one scan, with a TIFF for each projection; those named flat and dark "
        "are its fields.",
    )] = False
    kind: Annotated[ScanKind | None, typer.Option(
        "--kind",
        help="The array's values are of this kind. By default they are counts where there are "
        "flat fields, otherwise line integrals.",
    )] = None
    incident: Annotated[float | None, typer.Option(
        "--incident", metavar="N",
        help="The values are photon counts, and N photons entered each ray.",
    )] = None
    zingers: Annotated[bool | None, typer.Option(
        "--zingers/--no-zingers",
        help="Give no weight to values that stand out of all values around them, as flashes in the "
        "detector do. They are looked for by default.",
    )] = None
    dead_pixels: Annotated[bool | None, typer.Option(
        "--dead-pixels/--no-dead-pixels",
        help="Give no weight to detector pixels that show the same in every view. They are looked "
        "for by default.",
    )] = None
    rings: Annotated[bool, typer.Option(
        "--rings",
        help="Fit one number for each detector pixel along with the slice, for stripes in the "
        "sinogram that make rings. Where the object is round about the rotation axis they are "
        "taken out of the data instead, and the run says so.",
    )] = False
    drift: Annotated[bool, typer.Option(
        "--drift",
        help="The beam's brightness changes from view to view. Bring the air at both ends of the "
        "detector to zero.",
    )] = False
    # fmt: on

    @property
    def whole_folders(self) -> bool:
        return self.stack
