"""The scans that an unrolled network is trained on, as settings. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pnp_recon.errors import InputError

if TYPE_CHECKING:
    from operators import ScanGeometry


@dataclass(frozen=True)
class SimulatedScans:
    """The scans that a network is trained on: a parallel beam over 180°, photon noise.

    Attributes:
        views: number of views of each scan, evenly spread.
        incident: photons that enter each ray.
        size: side of the pictures in pixels; slices are averaged to it.
        field_mm: side of every picture in mm, whatever its size and its file say.
        count: slices to train on, None for all.
        other_geometry: what the model does with scans of another geometry, "warn" or "refuse".

    Raises:
        InputError: a value outside its range.
    """

    views: Annotated[int, "Every scan has this many views over 180 degrees."] = 50
    incident: Annotated[float, "This many photons enter each ray."] = 1e4
    size: Annotated[int, "Pictures are this many pixels wide; slices are averaged to it."] = 256
    field_mm: Annotated[float, "Every picture is this many mm wide, whatever its file says."] = (
        256.0
    )
    count: Annotated[int | None, "Train on this many slices, chosen by the seed."] = None
    other_geometry: Annotated[
        str, "The model is to warn of a scan of another geometry, or to refuse it."
    ] = "warn"

    def __post_init__(self) -> None:
        from pnp_recon.priors.unrolled_domain import POLICIES

        for name in ("views", "size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("incident", "field_mm"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(
                    f"{name.replace('_', '-')} is {getattr(self, name):g}; expected a finite "
                    "number > 0"
                )
        if self.other_geometry not in POLICIES:
            raise InputError(
                f"other-geometry is {self.other_geometry!r}; expected {' or '.join(POLICIES)}"
            )

    def geometry(self) -> ScanGeometry:
        from operators import parallel_beam

        return parallel_beam(self.views, self.size, pixel_mm=self.field_mm / self.size)
