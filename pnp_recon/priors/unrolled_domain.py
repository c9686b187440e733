"""The measurements that a network was trained for, and how others differ from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from operators import ScanGeometry
from operators.base import LinearOperator
from pnp_recon.errors import InputError

# Lengths are compared in pixels, angles in radians.
TOLERANCE = 1e-5
# The window of a measurement may differ by this share of its width.
WINDOW_TOLERANCE = 1e-4
# Another dose, or pixels of another size (rays then lose more, or less), changes the noise; up to
# this factor nothing is said.
NOISE_FACTOR = 2.0
POLICIES = ("refuse", "warn")


@dataclass(frozen=True)
class TrainedOn:
    """The measurements that a network was trained for.

    Attributes:
        operator: class of the forward operator, such as "RayTransform".
        image_shape: (C, H, W).
        geometry: how a scan was made; None where the operator has none.
        window_hu: what [0, 1] means in HU; None where pictures have no other unit.
        incident: photons that entered each ray; None where that is not the noise.
        other_geometry: what to do about another geometry or window: "refuse" or "warn".

    Raises:
        InputError: `other_geometry` is neither.
    """

    operator: str
    image_shape: tuple[int, int, int]
    geometry: ScanGeometry | None = None
    window_hu: tuple[float, float] | None = None
    incident: float | None = None
    other_geometry: str = "refuse"

    def __post_init__(self) -> None:
        if self.other_geometry not in POLICIES:
            raise InputError(
                f"other_geometry is {self.other_geometry!r}; expected {' or '.join(POLICIES)}"
            )

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> TrainedOn:
        """As model cards hold it; keys that are not known here are left alone.

        Raises:
            InputError: a value is missing or of the wrong kind.
        """
        try:
            channels, height, width = (int(n) for n in values["image_shape"])
            geometry, window = values.get("geometry"), values.get("window_hu")
            limits = None if window is None else tuple(float(limit) for limit in window)
            if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
                raise ValueError(f"window_hu is {window}")
            incident = values.get("incident")
            return TrainedOn(
                str(values["operator"]),
                (channels, height, width),
                None if geometry is None else ScanGeometry.from_dict(geometry),
                limits,  # type: ignore[arg-type]
                None if incident is None else float(incident),
                str(values.get("other_geometry", "refuse")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"what a network was trained on cannot be read ({type(error).__name__}: {error}); "
                "expected operator, image_shape [C, H, W], geometry of a scan or none, window_hu "
                "[low, high], incident, other_geometry"
            ) from error

    def __str__(self) -> str:
        _, height, width = self.image_shape
        parts = [self.operator]
        if self.geometry is not None:
            parts.append(_scan_words(self.geometry))
        parts.append(f"pictures of {width}×{height} pixels")
        if self.window_hu is not None:
            parts.append("{:g} to {:g} HU".format(*self.window_hu))
        if self.incident is not None:
            parts.append(f"{self.incident:g} photons for each ray")
        return ", ".join(parts)

    def differences(
        self, A: LinearOperator, window_hu: tuple[float, float] | None
    ) -> tuple[str, ...]:
        """Another geometry of the scan, another window: what `other_geometry` is about.

        The size of a scan's pictures belongs to it: with the same views, a larger picture is
        sampled more sparsely, and learned steps that suited the smaller one may diverge.
        """
        out: list[str] = []
        scan = getattr(A, "geometry", None)
        if self.geometry is not None and isinstance(scan, ScanGeometry):
            out += _differences(scan, self.geometry)
            out += self._size_differences(A)
        if self.window_hu is not None and window_hu is not None:
            out += _window_differences(window_hu, self.window_hu)
        return tuple(out)

    def _size_differences(self, A: LinearOperator) -> list[str]:
        if A.image_shape == self.image_shape:
            return []
        (_, height, width), (_, rows, columns) = A.image_shape, self.image_shape
        return [f"pictures of {width}×{height} pixels instead of {columns}×{rows}"]

    def lesser_differences(self, A: LinearOperator, incident: float | None) -> tuple[str, ...]:
        """Other noise; without a scan, pictures of another size: what is never refused."""
        out = [] if self.geometry is not None else self._size_differences(A)
        pairs = [("photons for each ray", incident, self.incident)]
        scan = getattr(A, "geometry", None)
        if self.geometry is not None and isinstance(scan, ScanGeometry):
            pairs.append(("mm for each pixel", scan.pixel_mm, self.geometry.pixel_mm))
        for what, found, expected in pairs:
            if found is None or expected is None:
                continue
            if not expected / NOISE_FACTOR <= found <= expected * NOISE_FACTOR:
                out.append(f"other noise, by {found:.4g} {what} instead of {expected:.4g}")
        return tuple(out)


def _differences(found: ScanGeometry, expected: ScanGeometry) -> Iterator[str]:
    """What is another scan, each in words; lengths in pixels."""
    if found.kind != expected.kind:
        yield f"{found.kind} beam instead of {expected.kind}"
    views, expected_views = len(found.angles), len(expected.angles)
    if views != expected_views:
        yield f"{views} views instead of {expected_views}"
    elif any(abs(a - b) > TOLERANCE for a, b in zip(found.angles, expected.angles, strict=True)):
        yield f"{_angle_words(found)} instead of {_angle_words(expected)}"
    for name, unit in (
        ("detector_count", ""),
        ("detector_rows", ""),
        ("detector_mm", " pixels of the picture"),
        ("axis_offset", " pixels of the picture"),
        ("source_radius", " pixels of the picture"),
        ("detector_radius", " pixels of the picture"),
    ):
        pair = [getattr(scan, name) for scan in (found, expected)]
        if unit:
            scans = (found, expected)
            pair = [None if v is None else v / s.pixel_mm for v, s in zip(pair, scans, strict=True)]
        a, b = pair
        if a != b and (a is None or b is None or abs(a - b) > TOLERANCE * max(1, abs(a), abs(b))):
            said = ["none" if v is None else f"{v:.6g}" for v in pair]
            yield f"{name.removesuffix('_mm')} of {said[0]} instead of {said[1]}{unit}"


def _window_differences(found: tuple[float, float], expected: tuple[float, float]) -> Iterator[str]:
    slack = WINDOW_TOLERANCE * (expected[1] - expected[0])
    if any(abs(a - b) > slack for a, b in zip(found, expected, strict=True)):
        said = ["{:g} to {:g} HU".format(*window) for window in (found, expected)]
        yield f"a window of {said[0]} instead of {said[1]}"


def _scan_words(scan: ScanGeometry) -> str:
    return f"{scan.kind} beam with {len(scan.angles)} views {_angle_words(scan)}"


def _angle_words(scan: ScanGeometry) -> str:
    low, high = math.degrees(min(scan.angles)), math.degrees(max(scan.angles))
    return f"from {low:.4g}° to {high:.4g}°"
