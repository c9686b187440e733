"""`pnp-ct`: how the scan was made, from the options, a geometry file, and the scan's own angles.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from torch import Tensor

from operators import ScanGeometry, fan_beam, parallel_beam
from operators.scan_geometry import even_angles
from pnp_recon.cli.ct.options import DEFAULT_VIEWS, Beam, CtOptions
from pnp_recon.errors import InputError
from pnp_recon.scans import RotationAxis, Scan
from pnp_recon.scans.axis_check import AGREED, POOR_FIT, locate_axis
from pnp_recon.scans.geometry import read_geometry

# Line integrals whose axis is so near the detector's middle, in pixels, are centred.
CENTRED = 0.3
BEAMS = {
    "parallel": "parallel beam",
    "fan_flat": "fan beam, flat detector",
    "fan_curved": "fan beam, curved detector",
    "cone": "cone beam",
}


@dataclass(frozen=True)
class Located:
    """A geometry, and what is to be said about how it was found."""

    geometry: ScanGeometry
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def simulated_geometry(
    options: CtOptions, size: tuple[int, int], pixel_mm: float | None
) -> Located:
    """The scan that --simulate makes of a slice (H, W); its own pixel size, unless the options say.

    Raises:
        InputError: --axis asks for something that a simulation does not have.
    """
    if options.axis == "auto":
        raise InputError("--axis auto does not go with --simulate, which knows the axis")
    if options.geometry is not None:
        return _with_axis(options, _read(options))
    side = options.pixel_mm or pixel_mm or 1.0
    views = options.views or DEFAULT_VIEWS
    beam = options.beam or Beam.parallel
    span = math.radians(_span(options, beam))
    if not beam.is_fan:
        scan = parallel_beam(views, size, span=span, pixel_mm=side, detector_mm=options.detector_mm)
        return _with_axis(options, scan)
    assert options.source_radius is not None
    assert options.detector_radius is not None
    scan = fan_beam(
        views,
        size,
        options.source_radius,
        options.detector_radius,
        curved=beam == Beam.fan_curved,
        span=span,
        pixel_mm=side,
        detector_mm=options.detector_mm,
    )
    return _with_axis(options, scan)


def measured_geometry(options: CtOptions, scan: Scan, counted: bool) -> Located:
    """The geometry of line integrals that were read from a file; `counted`: made of counts.

    Raises:
        InputError: nothing says the angles, or they or the detector disagree with the scan.
    """
    if options.geometry is not None:
        given = _read(options)
        _compare(given, options, scan)
        given = _turned(given, options)
        return _with_axis(options, given, scan, counted)
    beam = options.beam or Beam.parallel
    detector_mm = options.detector_mm or scan.detector_mm or 1.0
    geometry = ScanGeometry(
        beam.kind,  # type: ignore[arg-type]  # a test holds the names together
        _angles(options, scan, beam),
        scan.data.shape[-1],
        detector_mm=detector_mm,
        source_radius=options.source_radius,
        detector_radius=options.detector_radius,
    )
    side = options.pixel_mm or detector_mm / geometry.magnification
    geometry = _turned(replace(geometry, pixel_mm=side), options)
    return _with_axis(options, geometry, scan, counted)


def _turned(geometry: ScanGeometry, options: CtOptions) -> ScanGeometry:
    """The scan as it is where its angles grow clockwise."""
    if not options.clockwise:
        return geometry
    return replace(geometry, angles=tuple(-angle for angle in geometry.angles))


def describe(geometry: ScanGeometry, length: str = "mm") -> str:
    """One line about a scan; `length` is the unit of lengths."""
    degrees = [math.degrees(angle) for angle in geometry.angles]
    pixels = f"{geometry.detector_count} detector pixels"
    if length == "mm":
        pixels += f" of {geometry.detector_mm:.4g} mm"
    else:
        pixels += " of unknown size, the unit of lengths"
    falling = len(degrees) > 1 and all(after < before for before, after in pairwise(degrees))
    first, last = (max, min) if falling else (min, max)
    turn = " (clockwise)" if falling else ""
    return (
        f"{BEAMS[geometry.kind]}, {len(degrees)} views from {first(degrees):.4g}° to "
        f"{last(degrees):.4g}°{turn}, {pixels}"
    )


def _read(options: CtOptions) -> ScanGeometry:
    assert options.geometry is not None
    found = read_geometry(options.geometry)
    # A stack of slices is done slice by slice.
    return replace(found, kind="parallel") if found.kind == "parallel_3d" else found


def _span(options: CtOptions, beam: Beam) -> float:
    return options.span or (360.0 if beam.is_fan else 180.0)


def _angles(options: CtOptions, scan: Scan, beam: Beam) -> tuple[float, ...]:
    """The angles of --views and --span, or those in the file."""
    check_views(options, scan)
    views = scan.data.shape[1]
    if options.views is not None or options.span is not None:
        return even_angles(views, math.radians(_span(options, beam)))
    if scan.angles is None:
        # Arrays without a name stand alone in their file.
        named = ", --angles-key NAME if another array has them" if scan.key else ""
        raise InputError(
            f"the geometry of {scan.source} is not known: no angles were found in the file; give "
            f"--geometry FILE, or --views and --span{named}"
        )
    return tuple(scan.angles.tolist())


def check_views(options: CtOptions, scan: Scan) -> None:
    """Refuse --views that the scan does not have (InputError)."""
    views = scan.data.shape[1]
    if options.views is not None and options.views != views:
        if scan.fields_among:
            raise InputError(
                f"--views is {options.views}, but of the {views + scan.fields_among} frames of "
                f"{scan.source} {views} are projections, the others flat and dark fields"
            )
        raise InputError(
            f"--views is {options.views}, but {scan.source} holds {views} views of "
            f"{scan.data.shape[2]} detector pixels; give --order if they were taken for one "
            "another"
        )


def _compare(given: ScanGeometry, options: CtOptions, scan: Scan) -> None:
    """A geometry file against the sinogram."""
    rows, views, columns = scan.data.shape
    if given.kind != "cone":
        rows = 1
    pairs = (
        ("detector pixels", given.detector_count, columns),
        ("views", len(given.angles), views),
        ("detector rows", given.detector_rows or 1, rows),
    )
    for what, said, found in pairs:
        if said != found:
            raise InputError(
                f"{options.geometry} says {said} {what}, but {scan.source} holds {found}; "
                "correct one of them, or give --order if the axes were taken for one another"
            )


def _with_axis(
    options: CtOptions, geometry: ScanGeometry, scan: Scan | None = None, counted: bool = False
) -> Located:
    """The rotation axis that --axis says, or that is found in the scan."""
    middle = (geometry.detector_count - 1) / 2
    pixel = options.axis_pixel
    if options.axis is None and geometry.axis_offset:
        return Located(geometry, (_axis_line(options, geometry, "given in the file"),))
    if pixel is not None:
        if not 0 <= pixel <= geometry.detector_count - 1:
            raise InputError(
                f"--axis is {pixel:g}, but the detector has the pixels 0 to "
                f"{geometry.detector_count - 1}"
            )
        away = middle - pixel if options.flip_detector else pixel - middle
        placed = replace(geometry, axis_offset=away * geometry.detector_mm)
        return Located(placed, (_axis_line(options, placed, "given"),))
    can = scan is not None and geometry.kind == "parallel"
    if options.axis == "auto" and not can:
        raise InputError(
            "--axis auto needs a parallel beam, in which opposite views mirror each other; give "
            "the detector pixel or center"
        )
    if scan is None or options.axis == "center" or not can:
        return Located(replace(geometry, axis_offset=0.0), ())
    return _found_axis(options, geometry, scan, counted)


def _found_axis(options: CtOptions, geometry: ScanGeometry, scan: Scan, counted: bool) -> Located:
    """The axis that is found, with how sure it is.

    Line integrals have mostly been centred: nobody having said anything, their axis is moved only
    where it is found elsewhere for sure.
    """
    try:
        axis = locate_axis(scan.data, _as_tensor(geometry))
    except InputError as error:
        if options.axis is not None:
            raise
        if not counted:
            return Located(geometry, ())
        line = f"rotation axis: taken to be at the detector's center ({error})"
        return Located(geometry, (), (line,))
    placed = replace(geometry, axis_offset=axis.offset * geometry.detector_mm)
    line = _axis_line(options, placed, _how(axis))
    doubt = () if axis.sure else (f"the rotation axis is doubtful: {line}; give --axis",)
    opposite = not math.isnan(axis.mismatch)
    if options.axis is not None or (counted and opposite):
        return Located(placed, (line,), doubt)
    if abs(axis.offset) <= CENTRED:
        return Located(geometry, ())
    if axis.sure:
        return Located(placed, (f"{line}; --axis center leaves it in the middle",))
    if axis.mismatch <= POOR_FIT:
        line += "; it is taken to be in the detector's middle, --axis auto takes this one"
        return Located(geometry, (), (line,))
    return Located(geometry, ())  # nothing to go by


def _how(axis: RotationAxis) -> str:
    """How an axis was found, and how sure it is."""
    how = f"found; opposite views differ by {axis.mismatch:.2g}"
    if math.isnan(axis.mismatch):
        how = "found by the views' centers of mass, there are no opposite views"
    if axis.spread is None:
        return how
    agrees = "agrees within" if axis.spread <= AGREED else "says otherwise, by"
    return f"{how}, the quality of the slice {agrees} {axis.spread:.2f} pixels"


def _as_tensor(geometry: ScanGeometry) -> Tensor:
    import torch

    return torch.tensor(geometry.angles, dtype=torch.float64)


def _axis_line(options: CtOptions, geometry: ScanGeometry, how: str) -> str:
    """In pixels of the file."""
    away = geometry.axis_offset / geometry.detector_mm
    pixel = (geometry.detector_count - 1) / 2 + (-away if options.flip_detector else away)
    return f"rotation axis: detector pixel {pixel:.2f} ({how})"
