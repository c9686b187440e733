"""Filtered back-projection for every scan geometry, in torch: differentiable, on any device.

Each view is weighted, filtered along the detector by a band-limited ramp, and smeared back over
the pixels by linear interpolation. Knows the scan's geometry only, no operator: the scale follows
from the continuous inversion formulas (Kak & Slaney 1988, Principles of Computerized Tomographic
Imaging, chapter 3; Feldkamp, Davis & Kress 1984 for cone beams).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

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

# A gap between neighbouring views this many times the median is a part that was not scanned.
MISSING_GAP = 4.0
# Fan-beam views within this angle of the ends of a scan fade in, where others see the same lines.
FADE = math.radians(10)
# Pixels times views that are smeared in one go: few large operations, little memory.
POINTS_AT_ONCE = 1 << 18


def filtered_back_projection(
    geometry: ScanGeometry,
    y: Tensor,
    image_size: Sequence[int],
    filter: FilterName = "hann",
    cutoff: float = 1.0,
) -> Tensor:
    """The picture of line integrals, in 1/mm.

    Scans over less than half a turn lack directions: the rest is scaled up by π over the angle
    that was seen, so that the mean brightness stays right. Short fan and cone scans weight lines
    that were seen twice (Noo, Defrise, Clackdoyle & Kudo 2002, eq. 26). Cone beams are exact in
    the middle plane only.

    Args:
        geometry: the scan.
        y: (..., angles, detectors), or (..., angles, rows, columns) of a cone beam.
        image_size: (H, W), or (depth, H, W) of a cone beam.
        filter: window on the ramp: 'ramp' (none), 'shepp-logan', 'cosine', 'hamming', 'hann'.
        cutoff: where the window ends, as a part of the detector's Nyquist frequency, in (0, 1].

    Returns:
        (..., *image_size).
    """
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
    filtered = _filter(geometry, stack * _ray_weights(geometry, y), filter, cutoff)
    size = tuple(image_size) if len(shape) == 3 else (1, *image_size)
    picture = _smear(geometry, filtered, size)
    return picture.reshape(*y.shape[: -len(shape)], *image_size)


def ramp_filtered(geometry: ScanGeometry, y: Tensor) -> Tensor:
    """A measurement whose transposed projection is about its filtered back-projection.

    Weights of the rays, ramp with the Hann window, and the scale by which a ray-driven transpose
    (Σ over rays of length in the pixel × value) differs from a mean over views: the spacing of
    the rays over a pixel's area. Exact up to interpolation for a parallel beam; a fan beam's
    transpose lacks the weight of the distance from the source.

    Args:
        y: (..., angles, detectors), parallel or fan beam.
    """
    filtered = _filter(geometry, y * _ray_weights(geometry, y)[:, 0], "hann", 1.0)
    rays = geometry.detector_mm / geometry.magnification
    return filtered * (rays / geometry.pixel_mm**2)


def _spacing(geometry: ScanGeometry) -> float:
    """Between detector pixels: in mm at the rotation axis, or radians for a curved detector."""
    if geometry.kind == "fan_curved":
        return geometry.detector_mm / (_radius(geometry) * geometry.magnification)
    return geometry.detector_mm / geometry.magnification


def _radius(geometry: ScanGeometry) -> float:
    return math.inf if geometry.source_radius is None else geometry.source_radius


def _positions(geometry: ScanGeometry, like: Tensor) -> Tensor:
    """Where the detector pixels (columns) lie, in the units of `_spacing`; the axis is at zero."""
    index = torch.arange(geometry.detector_count, dtype=torch.float64, device=like.device)
    middle = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    return (index - middle) * _spacing(geometry)


def _ray_weights(geometry: ScanGeometry, like: Tensor) -> Tensor:
    """What a ray is multiplied by before filtering: (angles, rows, columns), or broadcast to it.

    The cosine of the ray's slope, the angle that its view stands for, and the share of it among
    the rays that see the same line.
    """
    angles = torch.tensor(geometry.angles, dtype=torch.float64, device=like.device)
    parallel = geometry.source_radius is None
    steps, seen = _angular_steps(angles, math.pi if parallel else 2 * math.pi)
    scale = max(1.0, math.pi / seen)
    if parallel:
        return (scale * steps)[:, None, None].to(like)
    u, radius = _positions(geometry, like), _radius(geometry)
    if geometry.kind == "fan_curved":
        fan, cosine = u, radius * torch.cos(u)[None, None]
    else:
        rows = torch.zeros(1, dtype=u.dtype, device=u.device)
        if geometry.detector_rows is not None:
            index = torch.arange(geometry.detector_rows, dtype=u.dtype, device=u.device)
            rows = (index - (geometry.detector_rows - 1) / 2) * _spacing(geometry)
        fan = torch.atan(u / radius)
        cosine = (radius / torch.sqrt(radius**2 + u**2 + rows[:, None] ** 2))[None]
    share = _shares(angles, fan, seen)[:, None, :]
    return (scale * steps[:, None, None] * share * cosine).to(like)


def _angular_steps(angles: Tensor, period: float) -> tuple[Tensor, float]:
    """The angle that each view stands for (half of the gaps beside it), and their sum."""
    order = (angles % period).argsort()
    turned = (angles % period)[order]
    gaps = torch.diff(turned, append=turned[:1] + period)
    real = gaps[gaps > 1e-9]  # views may repeat: half a turn later, lines are the same
    usual = float(real.median()) if len(real) > 1 else period
    gaps = torch.where(gaps > MISSING_GAP * usual, usual, gaps)
    steps = torch.empty_like(gaps)
    steps[order] = (gaps + gaps.roll(1)) / 2
    return steps, float(gaps.sum())


def _shares(angles: Tensor, fan: Tensor, seen: float) -> Tensor:
    """(angles, columns): 1 for a line that is seen once; shares of it add up to 1 if twice.

    The ray at (β, γ) is the line of (β + π − 2γ, −γ). Views fade in at the ends of the scan.
    """
    if seen > 2 * math.pi - 1e-6:
        return torch.full((len(angles), len(fan)), 0.5, dtype=fan.dtype, device=fan.device)
    step = seen / len(angles)
    turned = torch.sort(angles % (2 * math.pi)).values
    gaps = torch.diff(turned, append=turned[:1] + 2 * math.pi)
    first = turned[(int(gaps.argmax()) + 1) % len(turned)] - step / 2  # after the largest gap

    def presence(beta: Tensor) -> Tensor:
        inside = (beta - first) % (2 * math.pi)
        edge = torch.minimum(inside, seen - inside).clamp(0, FADE)
        return torch.sin(math.pi / 2 * edge / FADE) ** 2

    here = presence(angles)[:, None].expand(-1, len(fan))
    return here / (here + presence(angles[:, None] + math.pi - 2 * fan))


def _filter(geometry: ScanGeometry, t: Tensor, name: FilterName, cutoff: float) -> Tensor:
    """Convolve along the last axis with the band-limited ramp (Kak & Slaney, eqs. 3.61, 3.129)."""
    count, step = t.shape[-1], _spacing(geometry)
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
    points = x.repeat(height), -down.repeat_interleave(width)
    angles = torch.tensor(geometry.angles, dtype=torch.float64).to(filtered)
    together = max(1, POINTS_AT_ONCE // (depth * height * width * len(filtered)))
    picture = filtered.new_zeros(len(filtered), depth, height * width)
    for values, some in zip(filtered.split(together, 1), angles.split(together), strict=True):
        picture = picture + _smear_views(geometry, values, some[:, None], points, z)
    return picture.reshape(-1, depth, height, width)


def _smear_views(
    geometry: ScanGeometry, values: Tensor, angles: Tensor, points: tuple[Tensor, Tensor], z: Tensor
) -> Tensor:
    """The part (N, depth, P) of some views (N, V, rows, columns) with angles (V, 1)."""
    x, y = points
    radius, step = geometry.source_radius, _spacing(geometry)
    middle = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    along = torch.cos(angles) * x + torch.sin(angles) * y
    if radius is None:
        return _interpolate(values, along / step + middle).sum(1)
    far = radius - torch.sin(angles) * x + torch.cos(angles) * y  # from the source, along its ray
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

    Times `weight` (V, P) where given. Returns (N, V, R, P).
    """
    count = values.shape[-1]
    padded = torch.nn.functional.pad(values, (1, 1))
    position = (position + 1).clamp(0, count + 1)
    left = position.floor().clamp_max(count)
    part = position - left
    if position.ndim == 2:
        left, part = left[:, None], part[:, None]
    index = left.long().expand(*values.shape[:3], -1)
    found = torch.lerp(padded.gather(-1, index), padded.gather(-1, index + 1), part)
    return found if weight is None else found * weight[:, None]
