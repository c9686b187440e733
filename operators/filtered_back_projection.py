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

from operators.base import OperatorError
from operators.scan_geometry import ScanGeometry

FilterName = Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"]

# Of the frequency divided by the cutoff, in [0, 1].
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


def _spacing(geometry: ScanGeometry) -> float:
    """Between detector pixels: in mm at the rotation axis, or radians for a curved detector."""
    if geometry.kind == "fan_curved":
        return geometry.detector_mm / (_radius(geometry) * geometry.magnification)
    return geometry.detector_mm / geometry.magnification


def _radius(geometry: ScanGeometry) -> float:
    return math.inf if geometry.source_radius is None else geometry.source_radius


def _positions(geometry: ScanGeometry, like: Tensor) -> Tensor:
    """Of the detector pixels (columns), in the units of `_spacing`, zero at the axis."""
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
    options = {"dtype": filtered.dtype, "device": filtered.device}
    z, down, x = (
        (torch.arange(n, **options) - (n - 1) / 2) * geometry.pixel_mm  # type: ignore[arg-type]
        for n in (depth, height, width)
    )
    middle = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    radius, step = geometry.source_radius, _spacing(geometry)
    picture = filtered.new_zeros(len(filtered), depth, height * width)
    for i, angle in enumerate(geometry.angles):
        cosine, sine = math.cos(angle), math.sin(angle)
        along = (cosine * x - sine * down[:, None]).flatten()
        value = filtered[:, i]
        if radius is None:
            picture = picture + _columns(value, along / step + middle)
            continue
        far = (radius - sine * x - cosine * down[:, None]).flatten()
        if geometry.kind == "fan_curved":
            value = _columns(value, torch.atan2(along, far) / step + middle)
            picture = picture + value / (along**2 + far**2)
            continue
        closeness = radius / far
        value = _columns(value, along * closeness / step + middle)
        if geometry.detector_rows is not None:
            level = z[:, None] * closeness / step + (geometry.detector_rows - 1) / 2
            value = _rows(value, level)
        picture = picture + closeness**2 * value
    return picture.reshape(-1, depth, height, width)


def _columns(value: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of (N, rows, columns) at fractional columns (P,); zero beyond them."""
    padded = torch.nn.functional.pad(value, (1, 1))
    position = (position + 1).clamp(0, value.shape[-1] + 1)
    left = position.detach().floor().clamp_max(value.shape[-1])
    part = position - left
    index = left.long()
    return torch.lerp(padded[..., index], padded[..., index + 1], part)


def _rows(value: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of (N, rows, P) at fractional rows (depth, P); zero beyond them."""
    padded = torch.nn.functional.pad(value, (0, 0, 1, 1))
    position = (position + 1).clamp(0, value.shape[-2] + 1)
    top = position.floor().clamp_max(value.shape[-2])
    index = top.long().expand(len(value), -1, -1)
    return torch.lerp(padded.gather(1, index), padded.gather(1, index + 1), position - top)
