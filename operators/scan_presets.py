"""Scan geometries whose detector sees the whole picture, from a few numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from operators._numbers import finite_angles, finite_number, whole_number
from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry, even_angles, half_diagonal


def parallel_beam(
    n_angles: int,
    image_size: int | Sequence[int],
    *,
    span: float = math.pi,
    start: float = 0.0,
    angles: Sequence[float] | None = None,
    pixel_mm: float = 1.0,
    detector_count: int | None = None,
    detector_mm: float | None = None,
    axis_offset: float = 0.0,
    slices: bool = False,
) -> ScanGeometry:
    """A parallel beam that sees the whole picture from every side.

    Args:
        n_angles: number of views, evenly spread over `span` radians from `start`, end excluded.
        image_size: side of the picture, or (height, width), in pixels.
        span: π is a full scan; less is a limited-angle scan.
        angles: given angles in radians instead; there must be `n_angles` of them.
        pixel_mm, detector_mm: default for the detector: the picture's pixel.
        detector_count: default: the picture's diagonal, and room for the offset.
        axis_offset: see `ScanGeometry`.
        slices: 'parallel_3d': the channels of an image are the slices of a volume.
    """
    detector_mm = pixel_mm if detector_mm is None else detector_mm
    reach = half_diagonal(image_size, pixel_mm) + abs(axis_offset)
    return ScanGeometry(
        "parallel_3d" if slices else "parallel",
        _given_angles(n_angles, angles, span, start),
        _covering(reach, detector_mm) if detector_count is None else detector_count,
        detector_mm=detector_mm,
        pixel_mm=pixel_mm,
        axis_offset=axis_offset,
    )


def fan_beam(
    n_angles: int,
    image_size: int | Sequence[int],
    source_radius: float,
    detector_radius: float,
    *,
    curved: bool = False,
    span: float = 2 * math.pi,
    start: float = 0.0,
    angles: Sequence[float] | None = None,
    pixel_mm: float = 1.0,
    detector_count: int | None = None,
    detector_mm: float | None = None,
    axis_offset: float = 0.0,
) -> ScanGeometry:
    """A fan beam, its detector flat or (`curved`) an arc around the source.

    `detector_mm` defaults to one picture pixel as seen on the detector, `detector_count` to what
    sees the whole picture. The other arguments are those of `parallel_beam`.
    """
    distance = finite_number("source_radius", source_radius, 0.0, True) + finite_number(
        "detector_radius", detector_radius, 0.0
    )
    detector_mm = pixel_mm * distance / source_radius if detector_mm is None else detector_mm
    half_fan = math.asin(half_diagonal(image_size, pixel_mm, source_radius) / source_radius)
    reach = distance * (half_fan if curved else math.tan(half_fan)) + abs(axis_offset)
    return ScanGeometry(
        "fan_curved" if curved else "fan_flat",
        _given_angles(n_angles, angles, span, start),
        _covering(reach, detector_mm) if detector_count is None else detector_count,
        detector_mm=detector_mm,
        pixel_mm=pixel_mm,
        axis_offset=axis_offset,
        source_radius=source_radius,
        detector_radius=detector_radius,
    )


def cone_beam(
    n_angles: int,
    volume_shape: Sequence[int],
    source_radius: float,
    detector_radius: float,
    *,
    span: float = 2 * math.pi,
    start: float = 0.0,
    angles: Sequence[float] | None = None,
    pixel_mm: float = 1.0,
    detector_shape: Sequence[int] | None = None,
    detector_mm: float | None = None,
    axis_offset: float = 0.0,
) -> ScanGeometry:
    """A circular cone-beam scan of a volume (depth, height, width) with a flat detector.

    `detector_shape` is (rows, columns), by default what sees the whole volume.
    """
    depth, *plane = volume_shape
    flat = fan_beam(
        n_angles,
        plane,
        source_radius,
        detector_radius,
        span=span,
        start=start,
        angles=angles,
        pixel_mm=pixel_mm,
        detector_mm=detector_mm,
        axis_offset=axis_offset,
    )
    nearest = source_radius - half_diagonal(plane, pixel_mm, source_radius)
    height = depth * pixel_mm / 2 * (source_radius + detector_radius) / nearest
    rows, columns = detector_shape or (
        _covering(height, flat.detector_mm),
        flat.detector_count,
    )
    return replace(flat, kind="cone", detector_rows=rows, detector_count=columns)


def _given_angles(
    n_angles: int, angles: Sequence[float] | None, span: float, start: float
) -> tuple[float, ...]:
    if angles is None:
        return even_angles(n_angles, finite_number("span", span), finite_number("start", start))
    given = finite_angles(angles)
    if len(given) != whole_number("n_angles", n_angles):
        raise OperatorError(f"n_angles is {n_angles}, but {len(given)} angles are given")
    return given


def _covering(reach: float, detector_mm: float) -> int:
    """How many pixels reach this far to both sides."""
    return math.ceil(2 * reach / finite_number("detector_mm", detector_mm, 0.0, True) - 1e-9)
