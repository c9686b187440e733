"""How a tomographic scan was made: angles, detector, distances. Plain numbers, no library.

Lengths are in millimetres and angles in radians. In a picture, x points right and y up; the
detector axis at angle θ is (cos θ, sin θ), and rays travel along (−sin θ, cos θ): at θ = 0 a
detector pixel sums a column. Detector index k lies at
s_k = (k − (detector_count − 1)/2) · detector_mm − axis_offset from the rotation axis's projection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from operators._numbers import finite_angles, finite_number, whole_number
from operators.errors import OperatorError

Kind = Literal["parallel", "fan_flat", "fan_curved", "parallel_3d", "cone"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What a small text file may say instead of `angles`.
ANGLE_KEYS = ("angles_deg", "n_angles", "start_deg", "span_deg")


@dataclass(frozen=True)
class ScanGeometry:
    """A circular scan. Frozen and hashable, so that results can be kept per geometry.

    Attributes:
        kind: 'parallel' (slice by slice), 'fan_flat', 'fan_curved' (an arc around the source, as
            in clinical scanners), 'parallel_3d' (a stack of slices, the image's channel axis) or
            'cone' (flat detector, circular orbit).
        angles: one for each view, in radians, in the order of the sinogram's rows; any order.
        detector_count: detector pixels of one view (columns, for a cone beam).
        detector_mm: distance between neighbouring detector pixels, on the detector itself; for
            'fan_curved' along the arc. Cone-beam pixels are square.
        pixel_mm: side of an image pixel or voxel; from a mapping or a file without it, what a
            detector pixel covers at the axis.
        axis_offset: where the rotation axis is seen on the detector, in mm from its middle,
            positive towards higher indices.
        source_radius: from the source to the rotation axis (fan and cone).
        detector_radius: from the rotation axis to the detector (fan and cone).
        detector_rows: rows of a cone-beam detector, the first above the slice of index 0's side.

    Raises:
        OperatorError: naming the field, what was found and what was expected.
    """

    kind: Kind
    angles: tuple[float, ...]
    detector_count: int
    detector_mm: float = 1.0
    pixel_mm: float = 1.0
    axis_offset: float = 0.0
    source_radius: float | None = None
    detector_radius: float | None = None
    detector_rows: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OperatorError(f"kind is {self.kind!r}; choose one of {', '.join(KINDS)}")
        object.__setattr__(self, "angles", finite_angles(self.angles))
        _set_count(self, "detector_count")
        for name in ("detector_mm", "pixel_mm"):
            _set_number(self, name, smallest=0.0, strictly=True)
        _set_number(self, "axis_offset")
        diverging = self.kind in ("fan_flat", "fan_curved", "cone")
        if diverging:
            _set_number(self, "source_radius", smallest=0.0, strictly=True)
            _set_number(self, "detector_radius", smallest=0.0)
        if self.kind == "cone":
            _set_count(self, "detector_rows")
        for name, used in (
            ("source_radius", diverging),
            ("detector_radius", diverging),
            ("detector_rows", self.kind == "cone"),
        ):
            if not used and getattr(self, name) is not None:
                raise OperatorError(f"{name} is given, but a {self.kind} scan has none; leave it")

    @property
    def magnification(self) -> float:
        """Size on the detector of what measures one at the rotation axis."""
        if self.source_radius is None or self.detector_radius is None:
            return 1.0
        return (self.source_radius + self.detector_radius) / self.source_radius

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """(angles, detectors) of a slice, or (angles, rows, columns) of a cone-beam scan."""
        if self.detector_rows is not None:
            return len(self.angles), self.detector_rows, self.detector_count
        return len(self.angles), self.detector_count

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as plain numbers, text and lists."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["angles"] = list(self.angles)
        return {key: value for key, value in values.items() if value is not None}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ScanGeometry:
        """The geometry that a mapping describes.

        Angles come as `angles` (radians), `angles_deg`, or `n_angles` evenly spread over
        `span_deg` (default 180, fan and cone 360) from `start_deg` (default 0), end excluded.
        Unknown keys raise OperatorError.
        """
        if not isinstance(values, Mapping):
            raise OperatorError(
                f"a scan geometry is a {type(values).__name__}; expected keys such as kind, angles"
            )
        names = [f.name for f in fields(ScanGeometry)]
        unknown = [str(key) for key in values if key not in (*names, *ANGLE_KEYS)]
        if unknown:
            raise OperatorError(
                f"unknown key {unknown[0]!r} in a scan geometry; "
                f"expected {', '.join((*names, *ANGLE_KEYS))}"
            )
        given = {key: value for key, value in values.items() if key in names}
        for name in ("kind", "detector_count"):
            if name not in given:
                raise OperatorError(f"a scan geometry lacks the key {name!r}")
        given["angles"] = _angles_of(values)
        geometry = ScanGeometry(**given)
        if "pixel_mm" in given:
            return geometry
        # As the detector sees it: the picture is then as fine as the measurement, and as wide.
        return replace(geometry, pixel_mm=geometry.detector_mm / geometry.magnification)


def _angles_of(values: Mapping[str, Any]) -> Iterable[float]:
    ways = [key for key in ("angles", "angles_deg", "n_angles") if key in values]
    if len(ways) != 1:
        found = " and ".join(ways) or "none"
        raise OperatorError(
            f"a scan geometry needs one of angles, angles_deg, n_angles; found {found}"
        )
    spread = [key for key in ("start_deg", "span_deg") if key in values]
    if spread and ways != ["n_angles"]:
        raise OperatorError(f"{spread[0]} goes with n_angles only; found {ways[0]}")
    if ways == ["angles"]:
        return values["angles"]
    if ways == ["angles_deg"]:
        return tuple(math.radians(a) for a in finite_angles(values["angles_deg"], "angles_deg"))
    span = 180.0 if values.get("kind") in ("parallel", "parallel_3d") else 360.0
    span = finite_number("span_deg", values.get("span_deg", span))
    start = finite_number("start_deg", values.get("start_deg", 0.0))
    return even_angles(values["n_angles"], math.radians(span), math.radians(start))


def even_angles(n_angles: int, span: float, start: float = 0.0) -> tuple[float, ...]:
    """n angles from `start` over `span` radians, the end excluded."""
    count = whole_number("n_angles", n_angles)
    return tuple(start + span * i / count for i in range(count))


def half_diagonal(
    image_size: int | Sequence[int], pixel_mm: float, source_radius: float = math.inf
) -> float:
    """From the middle to the corners in mm; OperatorError unless the source stays outside."""
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    height, width = (whole_number("image_size", side) for side in sides)
    radius = math.hypot(height, width) / 2 * finite_number("pixel_mm", pixel_mm, 0.0, True)
    if radius >= source_radius:
        raise OperatorError(
            f"source_radius is {source_radius:g} mm, inside the picture, whose corners lie "
            f"{radius:g} mm from the axis; the source must stay outside"
        )
    return radius


def _set_number(
    geometry: ScanGeometry, name: str, smallest: float | None = None, strictly: bool = False
) -> None:
    value = finite_number(name, getattr(geometry, name), smallest, strictly)
    object.__setattr__(geometry, name, value)


def _set_count(geometry: ScanGeometry, name: str) -> None:
    object.__setattr__(geometry, name, whole_number(name, getattr(geometry, name)))
