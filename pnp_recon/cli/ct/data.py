"""`pnp-ct`: from files of scans to line integrals.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from operators import RayTransform, attenuation
from operators._odl import import_tomo
from operators.errors import OperatorError
from pnp_recon.cli.ct.defects import concentric, mended, refuse_for_a_volume, unasked
from pnp_recon.cli.ct.geometry import check_views, measured_geometry
from pnp_recon.cli.ct.measurement import Measurement, storage_of
from pnp_recon.cli.ct.options import CtOptions
from pnp_recon.errors import InputError
from pnp_recon.files import PICTURE_SUFFIXES
from pnp_recon.report import SourceFile
from pnp_recon.scans import (
    Scan,
    inverse_variances,
    read_scan,
    to_line_integrals,
)
from pnp_recon.scans.angles import AngleUnit
from pnp_recon.scans.arrays import check_memory, choose, load, open_arrays
from pnp_recon.scans.files import Kind
from pnp_recon.scans.missing import gaps_in_words
from pnp_recon.scans.plausibility import below_air, odd_views, refuse_other_order

TIFF = (".tif", ".tiff")
FITTED = (
    "rings: one number for each detector pixel is fitted along with the slice, as large as the "
    "stripes"
)
# Seen on a measured slice: with stripes fitted an energy drew arcs that neither total variation nor
# the averaged denoiser shows, through air and through the object.
CALMER = (
    "prior: an averaged denoiser is the default where stripes are seen, since an energy draws "
    "strands along what is left of their rings; --denoiser energy_grey takes one all the same"
)


def measured(source: Path, reference: Path | None, options: CtOptions) -> Measurement:
    """The chosen slices of a scan, corrected, with the axis found."""
    return measurement_of(read(source, options, _asked_slices(options)), reference, options)


def read(source: Path, options: CtOptions, slices: slice | None, sha256: str | None = None) -> Scan:
    """These slices as they were measured; see `read_scan`."""
    suffix = source.suffix.lower()
    if suffix in (".dcm", ".ima") or (suffix in PICTURE_SUFFIXES and suffix not in TIFF):
        raise InputError(f"{source} is a picture, not a sinogram; add --simulate to project it")
    kind: Kind | None = "counts" if options.incident is not None else None
    if options.kind is not None:
        kind = next(k for k in get_args(Kind) if k.replace(" ", "-") == options.kind.value)
    unit: AngleUnit | None = None
    if options.angle_unit is not None:
        unit = "deg" if options.angle_unit.value == "deg" else "rad"
    scan = read_scan(
        source, options.key, options.order, kind, unit, options.angles_key, slices, sha256
    )
    check_views(options, scan)
    return scan


def measurement_of(scan: Scan, reference: Path | None, options: CtOptions) -> Measurement:
    """The slices of a scan that was read, corrected, with the axis found."""
    source = scan.source
    corrected = to_line_integrals(scan, options.incident)
    whole = mended(corrected, options)
    lines, weights, mask = whole.scan, whole.weights, whole.mask
    profile = None if whole.stripes is None else whole.stripes.profile
    if options.flip_detector:
        lines = replace(lines, data=lines.data.flip(-1))
        weights, mask, profile = (
            None if t is None else t.flip(-1) for t in (weights, mask, profile)
        )
    located = measured_geometry(options, lines, scan.kind == "counts")
    geometry = located.geometry
    gaps = gaps_in_words(scan.missing)
    doubts = [*scan.doubts, *gaps, *corrected.doubts, *below_air(lines.data, whole.noise)]
    fitted: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    ridge, is_cone = math.inf, geometry.kind == "cone"
    axis = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    if whole.stripes is not None and profile is not None:
        round_object = concentric(lines.data, profile, axis, whole.noise)
        if round_object is None:
            fitted, ridge = (FITTED,), (whole.noise / whole.stripes.level) ** 2
        else:
            taken, said = round_object
            lines, profile = replace(lines, data=lines.data - taken[:, None]), None
            doubts.append(said)
    elif not (options.rings or is_cone or options.model):
        hints = unasked(lines.data, axis, whole.noise)
        doubts += hints
    calmer = options.default_energy and (whole.stripes is not None or bool(hints))
    if calmer:
        fitted = (*fitted, CALMER)
    if geometry.kind == "parallel":
        doubts += odd_views(lines.data)
        if scan.order_assumed:
            refuse_other_order(lines.data, source)
    if is_cone:
        refuse_for_a_volume(options)
        _check_projector(source)
    count, side = lines.data.shape[0], options.size or geometry.detector_count
    if is_cone and count < scan.total:
        raise InputError("--slice does not go with a cone beam, which is one volume")
    if is_cone and options.stretch is not None:
        raise InputError("--slices does not go with a cone beam, which is one volume; leave it out")
    check_memory(_bytes(count, side, lines.data), f"{source}: {count} slices of {side}×{side}")
    y = lines.data
    noise, origin = whole.noise, "given"
    if options.noise_level is None:
        origin = "estimated from the sinogram"

    def arranged(t: Tensor) -> Tensor:
        """(slices, angles, detectors) as the operator has it; a cone's slices are its rows."""
        return t.transpose(0, 1)[None] if is_cone else t[:, None]

    image = (count if is_cone else 1, side, side)
    A = RayTransform(geometry, image, storage=storage_of(options, geometry))
    truth = None if reference is None else _reference(reference, (count, side, side), options)
    if weights is not None:
        if options.incident is None or options.noise_level is not None:
            # Known up to the detector's gain: the noise of a typical ray says which. Photons that
            # were counted are inverse variances as they are.
            weights = inverse_variances(weights, max(noise, 1e-12))
        weights = arranged(weights)
    shape = (scan.total, *scan.data.shape[1:])
    file = SourceFile("input", source, scan.sha256, shape)
    stated = options.detector_mm or scan.detector_mm
    known = options.geometry is not None or stated is not None
    return Measurement(
        arranged(y),
        A,
        noise,
        origin,
        weights,
        truth,
        file,
        first=scan.first,
        length="mm" if known else "pixel",
        mask=None if mask is None else arranged(mask),
        stripes=None if profile is None else arranged(profile[:, None]),
        ridge=ridge,
        calmer=calmer,
        defects=whole.numbers,
        lines=(*located.lines, *corrected.notes, *whole.lines, *fitted),
        warnings=(*doubts, *located.warnings),
    )


def _check_projector(source: Path) -> None:
    """Refuses a cone beam where nothing projects it.

    Raises:
        InputError: saying what does, and what can be done without.
    """
    try:
        import_tomo("astra_cuda")
    except OperatorError as error:
        raise InputError(
            f"{source} is a cone beam's scan, as --geometry says, which is one volume and needs "
            f"projectors in three dimensions: {error}. Without them the row of the detector in the "
            "plane of the source can be reconstructed as a fan beam (--slice ROW --beam fan-flat "
            "with --source-radius and --detector-radius)"
        ) from error


def _asked_slices(options: CtOptions) -> slice | None:
    """--slice; None: all. The reader holds it against what there is."""
    if options.slices == "all":
        return None
    first, colon, last = options.slices.partition(":")
    try:
        start = int(first) if first or not colon else 0
        return slice(start, (int(last) if last else None) if colon else start + 1)
    except ValueError:
        raise InputError(
            f"--slice is {options.slices!r}; expected all, a number such as 3, or a range such as "
            "0:10"
        ) from None


def _bytes(count: int, side: int, sinogram: Tensor) -> int:
    """What the slices take, however few are worked on at a time: start, result, and its copy in
    the unit of the file; and data, weights and data in the window."""
    views, detectors = sinogram.shape[1:]
    return 4 * count * (4 * side * side + 3 * views * detectors)


def _reference(path: Path, shape: tuple[int, int, int], options: CtOptions) -> Tensor:
    """True slices (slices, 1, H, W) in 1/mm."""
    with open_arrays(path) as entries:
        name = choose(entries, None, (2, 3))
        values = torch.from_numpy(load(entries[name], name or "the array"))
    values = values if values.ndim == 3 else values[None]
    if tuple(values.shape) != shape:
        raise InputError(
            f"the reference {path} has the shape {tuple(values.shape)}, the result "
            f"{shape} (slices, rows, columns); expected the same"
        )
    return (attenuation(values) if options.in_hounsfield else values)[:, None]
