"""What each ray of a scan weighs in filtered back-projection, and where the rays are.

Views stand for angles, slanted rays for shorter ones, and lines that are seen twice share their
weight. Knows the scan's geometry only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from operators.scan_geometry import ScanGeometry

# A gap between neighbouring views this many times the median is a part that was not scanned.
MISSING_GAP = 4.0
# Fan-beam views within this angle of the ends of a scan fade in, where others see the same lines.
FADE = math.radians(10)


def spacing(geometry: ScanGeometry) -> float:
    """Between detector pixels: in mm at the rotation axis, or radians for a curved detector."""
    if geometry.kind == "fan_curved":
        return geometry.detector_mm / (radius_of(geometry) * geometry.magnification)
    return geometry.detector_mm / geometry.magnification


def radius_of(geometry: ScanGeometry) -> float:
    return math.inf if geometry.source_radius is None else geometry.source_radius


def positions(geometry: ScanGeometry, like: Tensor) -> Tensor:
    """Where the detector pixels (columns) lie, in the units of `_spacing`; the axis is at zero."""
    index = torch.arange(geometry.detector_count, dtype=torch.float64, device=like.device)
    middle = (geometry.detector_count - 1) / 2 + geometry.axis_offset / geometry.detector_mm
    return (index - middle) * spacing(geometry)


def ray_weights(geometry: ScanGeometry, like: Tensor) -> Tensor:
    """What a ray is multiplied by before filtering: (angles, rows, columns), or broadcast to it.

    The cosine of the ray's slope, the angle that its view stands for, and the share of it among
    the rays that see the same line.
    """
    angles = torch.tensor(geometry.angles, dtype=torch.float64, device=like.device)
    parallel = geometry.source_radius is None
    steps, seen = _angular_steps(angles, math.pi if parallel else 2 * math.pi)
    scale = max(1.0, math.pi / seen)
    u, radius = positions(geometry, like), radius_of(geometry)
    if parallel:
        whole = sees_whole_turn(geometry)
        share = 2 * redundancy(u, spacing(geometry)) if whole else torch.ones_like(u)
        return (scale * steps[:, None, None] * share).to(like)
    if geometry.kind == "fan_curved":
        fan, cosine = u, radius * torch.cos(u)[None, None]
    else:
        rows = torch.zeros(1, dtype=u.dtype, device=u.device)
        if geometry.detector_rows is not None:
            index = torch.arange(geometry.detector_rows, dtype=u.dtype, device=u.device)
            rows = (index - (geometry.detector_rows - 1) / 2) * spacing(geometry)
        fan = torch.atan(u / radius)
        cosine = (radius / torch.sqrt(radius**2 + u**2 + rows[:, None] ** 2))[None]
    if seen > 2 * math.pi - 1e-6:
        share = redundancy(fan, float((fan[1:] - fan[:-1]).min()) if len(fan) > 1 else 1.0)
        share = share.expand(len(angles), 1, -1)
    else:
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


def sees_whole_turn(geometry: ScanGeometry) -> bool:
    """Whether the views go all the way round, so that a line is seen from both of its ends."""
    angles = torch.tensor(geometry.angles, dtype=torch.float64)
    return _angular_steps(angles, 2 * math.pi)[1] > 2 * math.pi - 1e-6


def redundancy(place: Tensor, step: float) -> Tensor:
    """Shares (columns,) of the rays of a full turn; those of the two rays of a line add up to 1.

    The ray at `place` from the axis and the one at −place half a turn later are one line. One half
    each, where the detector lies evenly about the axis. Where it is offset, what its short side
    does not see is seen once, and the shares go over smoothly from 0 at the short end to 1 (Wang
    2002, "X-ray micro-CT with a displaced detector array", Med. Phys. 29, 1634).

    Args:
        place: where the detector pixels are, 0 on the axis, in mm or radians.
        step: between them.
    """
    low, high = -float(place.min()) + step / 2, float(place.max()) + step / 2
    if abs(high - low) < 1.5 * step:
        return torch.full_like(place, 0.5)
    longer = place if high > low else -place
    overlap = min(low, high)
    if overlap <= 0:  # the axis is beside the detector: every line is seen once
        return torch.ones_like(place)
    return (1 + torch.sin(math.pi / 2 * (longer / overlap).clamp(-1, 1))) / 2
