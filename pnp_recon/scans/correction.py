"""From what a detector recorded to line integrals: flat and dark fields, dead pixels, −log.

Stripes (rings in the slice) that detector pixels of wrong gain leave are not removed; a weighted
fidelity and more flat fields are the remedies here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.scans.counts import SMALLEST_COUNT, check_counts
from pnp_recon.scans.files import Scan
from pnp_recon.scans.plausibility import (
    flat_values,
    refuse_no_line_integrals,
    saturation,
    starved,
)

Average = Literal["median", "mean"]

# A pixel that records less than this part of the median of its slice sees no beam to speak of.
_DEAD = 0.01

# More than this part of the detector dead is a wrong flat field, not a detector with a few faults.
_MOST_DEAD = 0.25

# Where not even this part of the photons comes through, no ray passes beside the object.
_NO_AIR = 0.01

# Least transmission that is believed where no counts say better: a line integral of 11.5.
SMALLEST_INTENSITY = 1e-5


@dataclass(frozen=True, eq=False)
class Corrected:
    """A scan as line integrals, and what had to be done for it.

    Attributes:
        scan: the scan with `kind` "line integrals" and without fields.
        weights: (slices, angles, detectors) inverse variances of the line integrals up to one
            factor, the detector's photons for each count; zero at dead pixels. None where nothing
            was counted, so that all rays are worth the same.
        dead: (slices, detectors) True where a pixel sees no beam; its line integrals are
            interpolated from its neighbours.
        floored: number of values below the smallest that is believed, raised to it.
        doubts: what may be wrong with the data, a sentence each.
    """

    scan: Scan
    weights: Float[Tensor, "slices angles detectors"] | None
    dead: Bool[Tensor, "slices detectors"]
    floored: int
    doubts: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What a report should say, one sentence each; empty if all was well."""
        notes = []
        if number := int(self.dead.sum()):
            notes.append(f"{number} of {self.dead.numel()} detector pixels are dead: interpolated")
        if self.floored:
            total = self.scan.data.numel()
            notes.append(f"{self.floored} of {total} rays let no light through: set to the floor")
        return notes


def to_line_integrals(
    scan: Scan, incident: float | None = None, average: Average = "median"
) -> Corrected:
    """The line integrals of a scan of any kind.

    - counts with flat fields: −log((raw − dark)/(flat − dark)) with weights raw − dark;
    - counts without: −log(counts/incident), see `counts.log_transform`, weights the counts;
    - intensities: −log, nothing below 1e-5 is believed; weights the intensities;
    - line integrals: as they are, without weights.

    Noise makes some air brighter than the flat field: negative line integrals are kept, as to cut
    them off would bias the mean.

    Args:
        scan: as read.
        incident: photons (in the unit of the counts) that enter each ray; for counts without flat
            fields only.
        average: how several flat or dark fields become one; the median is not led astray by a
            single flash, the mean has a little less noise.

    Raises:
        InputError: flat and dark fields that do not fit, more than a quarter of a detector dead,
            counts without flat fields and without `incident`, negative counts or intensities,
            no value but zero, or a kind that was assumed and cannot be (see `plausibility`).
    """
    if incident is not None and (scan.kind != "counts" or scan.flat is not None):
        raise InputError(
            "incident photons were given, but the scan "
            + ("has flat fields" if scan.flat is not None else f"holds {scan.kind}")
            + "; leave them out"
        )
    slices, _, detectors = scan.data.shape
    alive = torch.zeros(slices, detectors, dtype=torch.bool)
    if scan.kind == "line integrals":
        if scan.kind_assumed:
            refuse_no_line_integrals(scan.data, scan.source)
        doubts = tuple(flat_values(scan.data, scan.source))
        return Corrected(_bare(scan, scan.data), None, alive, 0, doubts)
    check_counts(scan.data, f"{scan.source}: the {scan.kind}")
    doubts = (*flat_values(scan.data, scan.source), *saturation(scan.data, "the values"))
    if scan.kind == "counts" and scan.flat is not None:
        flat = average_fields(scan.flat, average)
        dark = torch.zeros_like(flat) if scan.dark is None else average_fields(scan.dark, average)
        doubts = (*doubts, *saturation(scan.flat, "the flat fields"))
        found = _flat_corrected(scan, flat, dark)
        return replace(found, doubts=(*doubts, *found.doubts))
    if scan.kind == "counts":
        if incident is None:
            raise InputError(
                f"{scan.source} holds counts without flat fields; give the number of incident "
                "photons, or flat fields"
            )
        blank, floor = incident, SMALLEST_COUNT
        if float(scan.data.max()) < _NO_AIR * incident:
            doubts = (
                *doubts,
                f"no ray lets more than {float(scan.data.max()) / incident:.1%} of --incident "
                "through; are the values counts in that unit?",
            )
        typical = float(scan.data.flatten().median())
        if typical > 1.1 * incident:
            raise InputError(
                f"{scan.source}: the typical count is {typical:.4g}, but only {incident:g} photons "
                "entered each ray; give the number of incident photons in the unit of the counts"
            )
    else:
        blank, floor = 1.0, SMALLEST_INTENSITY
    if not (math.isfinite(blank) and blank > 0):
        raise InputError(f"incident is {blank}; expected a finite number of photons > 0")
    lines = math.log(blank) - scan.data.clamp_min(floor).log()
    low = scan.data < floor
    doubts = (*doubts, *starved(low))
    return Corrected(_bare(scan, lines), scan.data.clone(), alive, int(low.sum()), doubts)


def average_fields(
    fields: Float[Tensor, "fields slices detectors"], average: Average = "median"
) -> Float[Tensor, "slices detectors"]:
    """One field of several, by their median or mean.

    Raises:
        InputError: another shape, no field, or an unknown `average`.
    """
    if fields.ndim != 3 or not fields.numel():
        raise InputError(
            f"the fields have the shape {tuple(fields.shape)}; expected (fields, slices, detectors)"
        )
    if average == "mean":
        return fields.mean(0)
    if average != "median":
        raise InputError(f"average is {average!r}; expected 'median' or 'mean'")
    return fields.quantile(0.5, 0)  # torch's median takes the lower of two middle values


def _flat_corrected(scan: Scan, flat: Tensor, dark: Tensor) -> Corrected:
    """`scan` against one flat and one dark field, each (slices, detectors)."""
    beam = flat - dark
    dead = beam <= _DEAD * beam.quantile(0.5, 1, keepdim=True).clamp_min(0)
    part = float(dead.double().mean(1).max())
    if part > _MOST_DEAD:
        raise InputError(
            f"{scan.source}: {100 * part:.0f} % of a slice's detector pixels have a flat field not "
            "above the dark field; check which is which, and that the beam was on"
        )
    signal = scan.data - dark[:, None]
    beam = torch.where(dead, 1.0, beam)
    lines = beam.log()[:, None] - signal.clamp_min(SMALLEST_COUNT).log()
    weights = signal.clamp_min(0) * ~dead[:, None]
    low = (signal < SMALLEST_COUNT) & ~dead[:, None]
    whole = _bare(scan, interpolated(lines, dead))
    return Corrected(whole, weights, dead, int(low.sum()), tuple(starved(low)))


def interpolated(lines: Tensor, dead: Tensor) -> Tensor:
    """Dead pixels from the nearest live ones on both sides, linearly; constant at the ends."""
    out = lines.clone()
    places = torch.arange(lines.shape[-1])
    for index in torch.nonzero(dead.any(1)).flatten().tolist():
        live = places[~dead[index]]
        for place in places[dead[index]].tolist():
            above = min(int(torch.searchsorted(live, place)), live.numel() - 1)
            right = int(live[above])
            left = int(live[max(above - 1, 0)]) if right > place else right
            share = (place - left) / (right - left) if right > left else 0.0
            out[index, :, place] = (1 - share) * lines[index, :, left] + share * lines[
                index, :, right
            ]
    return out


def _bare(scan: Scan, lines: Tensor) -> Scan:
    return replace(scan, data=lines, flat=None, dark=None, kind="line integrals")
