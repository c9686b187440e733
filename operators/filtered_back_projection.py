"""Filtered back-projection for every scan geometry, in torch: differentiable, on any device.

Each view is weighted, filtered along the detector by a band-limited ramp, and smeared back over
the pixels by linear interpolation. Knows the scan's geometry only, no operator: the scale follows
from the continuous inversion formulas (Kak & Slaney 1988, Principles of Computerized Tomographic
Imaging, chapter 3; Feldkamp, Davis & Kress 1984 for cone beams).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from operators._ray_weights import ray_weights, sees_whole_turn, spacing
from operators.errors import OperatorError
from operators.scan_geometry import ScanGeometry

FilterName = Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"]

# Functions of the frequency divided by the cutoff, in [0, 1].
WINDOWS: dict[FilterName, Callable[[Tensor], Tensor]] = {
    "ramp": torch.ones_like,
    "shepp-logan": lambda f: torch.sinc(f / 2),
    "cosine": lambda f: torch.cos(math.pi / 2 * f),
    "hamming": lambda f: 0.54 + 0.46 * torch.cos(math.pi * f),
    "hann": lambda f: 0.5 + 0.5 * torch.cos(math.pi * f),
}

# Pixels at an end of the detector whose mean is continued, and how far, in widths of it.
EDGE, MOST_EXTENSION = 3, 2
# Pixels times views that are smeared in one go: few large operations, little memory.
POINTS_AT_ONCE = 1 << 18


def filtered_back_projection(
    geometry: ScanGeometry,
    y: Tensor,
    image_size: Sequence[int],
    filter: FilterName = "hann",
    cutoff: float = 1.0,
    object_radius: float | None = None,
) -> Tensor:
    """The picture of line integrals, in 1/mm.

    Scans over less than half a turn lack directions: the rest is scaled up by π over the angle
    that was seen, so that the mean brightness stays right. Short fan and cone scans weight lines
    that were seen twice (Noo, Defrise, Clackdoyle & Kudo 2002, eq. 26), full turns with an offset
    detector those that were seen once (see `_ray_weights.redundancy`). Cone beams are exact in
    the middle plane only.

    Args:
        geometry: the scan.
        y: (..., angles, detectors), or (..., angles, rows, columns) of a cone beam.
        image_size: (H, W), or (depth, H, W) of a cone beam.
        filter: window on the ramp: 'ramp' (none), 'shepp-logan', 'cosine', 'hamming', 'hann'.
        cutoff: where the window ends, as a part of the detector's Nyquist frequency, in (0, 1].
        object_radius: the object is wider than the detector, and its line integrals go on beyond
            the ends like the chords of a disc of this radius about the axis (in mm on the
            detector). None: there is air beyond the ends. A guess at what was not measured: it
            takes the bright rim away, and most of the bias (Hsieh et al. 2004, "A novel
            reconstruction algorithm to extend the CT scan field-of-view").

    Returns:
        (..., *image_size).
    """
    return back_projections(geometry, y, image_size, [(filter, cutoff)], object_radius)[0]


def back_projections(
    geometry: ScanGeometry,
    y: Tensor,
    image_size: Sequence[int],
    windows: Sequence[tuple[FilterName, float]],
    object_radius: float | None = None,
) -> list[Tensor]:
    """A picture for each filter and cutoff, as `filtered_back_projection` makes one.

    Together they take less time: where pixels are seen is computed once.
    """
    for filter, cutoff in windows:
        if filter not in get_args(FilterName):
            raise OperatorError(f"filter is {filter!r}; choose one of {', '.join(WINDOWS)}")
        if not 0 < cutoff <= 1:
            raise OperatorError(f"cutoff is {cutoff}; expected a number in (0, 1]")
    shape = geometry.measured_shape
    if tuple(y.shape[-len(shape) :]) != shape:
        raise OperatorError(
            f"the sinogram has shape {tuple(y.shape)}; the scan has {shape}: angles, detectors"
        )
    stack = y.reshape(-1, *shape) if len(shape) == 3 else y.reshape(-1, shape[0], 1, shape[1])
    weighted = stack * ray_weights(geometry, y)
    wide, weighted = _extended(geometry, weighted, object_radius)
    filtered = torch.cat([_filter(wide, weighted, *window) for window in windows])
    size = tuple(image_size) if len(shape) == 3 else (1, *image_size)
    pictures = _smear(wide, filtered, size).split(len(stack))
    return [picture.reshape(*y.shape[: -len(shape)], *image_size) for picture in pictures]


def mean_of_rays(geometry: ScanGeometry, y: Tensor, image_size: Sequence[int]) -> Tensor:
    """Every pixel the mean of the values y (N, C, *measured) of the rays that meet it.

    What filtered back-projection is without its filter; zero where no ray comes. As fan beams
    are weighted, near the source rays count more.

    Returns:
        (N, C, H, W), or (N, depth, H, W) of a cone beam.
    """
    cone = geometry.detector_rows is not None
    views = y if cone else y.flatten(0, 1)[:, :, None]
    size = tuple(image_size) if cone else (1, *image_size)
    smeared = _smear(geometry, torch.cat([views, views.new_ones(1, *views.shape[1:])]), size)
    picture, seen = smeared[:-1], smeared[-1:]
    picture = picture / seen.clamp_min(1e-3 * float(seen.max()))
    return picture if cone else picture.reshape(*y.shape[:2], *image_size)


def ramp_filtered(geometry: ScanGeometry, y: Tensor) -> Tensor:
    """A measurement whose transposed projection is about its filtered back-projection.

    Weights of the rays, ramp with the Hann window, and the scale by which a ray-driven transpose
    (Σ over rays of length in the pixel × value) differs from a mean over views: the spacing of
    the rays over a pixel's area. Exact up to interpolation for a parallel beam; a fan beam's
    transpose lacks the weight of the distance from the source.

    Args:
        y: (..., angles, detectors), parallel or fan beam.
    """
    filtered = _filter(geometry, y * ray_weights(geometry, y)[:, 0], "hann", 1.0)
    rays = geometry.detector_mm / geometry.magnification
    return filtered * (rays / geometry.pixel_mm**2)


def _extended(
    geometry: ScanGeometry, t: Tensor, radius: float | None
) -> tuple[ScanGeometry, Tensor]:
    """Weighted views that go on beyond the ends of the detector, and the scan that has them.

    With the chords of a disc of `radius`; and on the short side of a full turn as far as on the
    long side, with zeros: their filtered values are none, and belong to the slice.
    """
    count, step = t.shape[-1], geometry.detector_mm
    middle = (count - 1) / 2 + geometry.axis_offset / step
    ends = (middle, count - 1 - middle)
    reach = max(ends) if abs(ends[0] - ends[1]) > 1.5 and sees_whole_turn(geometry) else 0.0
    sides = []
    for end, outermost in zip(ends, (t[..., :EDGE], t[..., -EDGE:]), strict=True):
        farthest = max(reach, (radius or 0.0) / step)
        more = min(max(math.ceil(farthest - end), 0), MOST_EXTENSION * count)
        profile = t.new_zeros(more)
        if radius is not None:
            place = (end + 1 + torch.arange(more, dtype=torch.float64)) * step
            chords = (radius**2 - place**2).clamp_min(0) / max(radius**2 - (end * step) ** 2, 1e-30)
            profile = chords.clamp_max(1).sqrt().to(t)
        sides.append(outermost.mean(-1, keepdim=True) * profile)
    left, right = sides[0].flip(-1), sides[1]
    shift = (left.shape[-1] - right.shape[-1]) / 2 * step
    if not left.shape[-1] and not right.shape[-1]:
        return geometry, t
    wide = replace(
        geometry,
        detector_count=count + left.shape[-1] + right.shape[-1],
        axis_offset=geometry.axis_offset + shift,
    )
    return wide, torch.cat([left, t, right], -1)


def _filter(geometry: ScanGeometry, t: Tensor, name: FilterName, cutoff: float) -> Tensor:
    """Convolve along the last axis with the band-limited ramp (Kak & Slaney, eqs. 3.61, 3.129)."""
    count, step = t.shape[-1], spacing(geometry)
    length = 1 << (2 * count - 1).bit_length()
    n = torch.arange(length, dtype=torch.float64, device=t.device)
    n = torch.minimum(n, length - n)
    distance = torch.sin(n.clamp_max(count) * step) / step if geometry.kind == "fan_curved" else n
    ramp = torch.where(n % 2 == 1, -1 / (math.pi * distance.clamp_min(1e-30)) ** 2, 0.0)
    ramp[0] = 0.25
    frequency = torch.linspace(0, 1, length // 2 + 1, dtype=torch.float64, device=t.device)
    window = WINDOWS[name](frequency / cutoff) * (frequency <= cutoff)
    response = torch.fft.rfft(ramp).real * window / step
    spectrum = torch.fft.rfft(t, n=length) * response.to(t.dtype)
    return torch.fft.irfft(spectrum, n=length)[..., :count]


def _smear(geometry: ScanGeometry, filtered: Tensor, size: tuple[int, ...]) -> Tensor:
    """Σ over the views of the filtered value that a pixel's ray met: (N, depth, H, W)."""
    depth, height, width = size
    z, down, x = (
        ((torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * geometry.pixel_mm).to(filtered)
        for n in (depth, height, width)
    )
    angles = torch.tensor(geometry.angles, dtype=torch.float64).to(filtered)[:, None, None]
    together = max(1, POINTS_AT_ONCE // (depth * height * width * len(filtered)))
    picture = filtered.new_zeros(len(filtered), depth, height * width)
    for values, some in zip(filtered.split(together, 1), angles.split(together), strict=True):
        picture += _smear_views(geometry, values, some, (x, -down[:, None]), z)
    return picture.reshape(-1, depth, height, width)


def _smear_views(
    geometry: ScanGeometry, values: Tensor, angles: Tensor, points: tuple[Tensor, Tensor], z: Tensor
) -> Tensor:
    """The part (N, depth, P) of some views (N, V, rows, columns) with angles (V, 1, 1).

    Args:
        points: x (W,) and y (H, 1) of the P = H·W pixels.
    """
    x, y = points
    radius, step = geometry.source_radius, spacing(geometry)
    middle = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    if radius is None:  # the sum of what a column and a row add
        place = torch.cos(angles) * (x / step) + (torch.sin(angles) * (y / step) + middle)
        return _interpolate(values, place.flatten(1)).sum(1)
    along = (torch.cos(angles) * x + torch.sin(angles) * y).flatten(1)
    # From the source, along its ray.
    far = (radius - torch.sin(angles) * x + torch.cos(angles) * y).flatten(1)
    if geometry.kind == "fan_curved":
        weight = 1 / (along**2 + far**2)
        return _interpolate(values, torch.atan2(along, far) / step + middle, weight).sum(1)
    closeness = radius / far
    values = _interpolate(values, along * closeness / step + middle, closeness**2)
    if geometry.detector_rows is None:
        return values.sum(1)
    level = z[:, None, None] * closeness / step + (geometry.detector_rows - 1) / 2
    rows = _interpolate(values.transpose(-1, -2), level.permute(1, 2, 0))
    return rows.sum(1).transpose(-1, -2)


def _interpolate(values: Tensor, position: Tensor, weight: Tensor | None = None) -> Tensor:
    """Linear interpolation of (N, V, R, K) along K at (V, P) or (V, R, P); zero beyond the ends.

    Times `weight` (V, P) where given. `position` is used up. Returns (N, V, R, P).
    """
    count = values.shape[-1]
    padded = torch.nn.functional.pad(values, (1, 1))
    position = position.add_(1).clamp_(0, count + 1)
    left = position.floor().clamp_max_(count)
    share = position.sub_(left).flatten()
    # Lists of numbers and one index into all of them take less time than an index for each.
    each = padded.flatten(1) if position.ndim == 3 else padded.transpose(1, 2).flatten(2)
    lists = each.reshape(-1, each.shape[-1])
    begins = torch.arange(0, lists.shape[1], count + 2, dtype=torch.int32, device=values.device)
    index = left.int().add_(begins.reshape(*position.shape[:-1], 1)).flatten()
    found = torch.stack(
        [torch.lerp(one.index_select(0, index), one[1:].index_select(0, index), share)
         for one in lists]
    )  # fmt: skip
    if position.ndim == 3:
        found = found.reshape(len(values), *position.shape)
    else:
        found = found.reshape(len(values), -1, *position.shape).transpose(1, 2)
    return found if weight is None else found * weight[:, None]
