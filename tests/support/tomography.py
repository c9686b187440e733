"""Discs and balls whose line integrals are known in closed form, and scans that see them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from operators import ScanGeometry, cone_beam, fan_beam, parallel_beam

F64 = torch.float64
MU = 0.02  # 1/mm


@dataclass(frozen=True)
class Disc:
    """A disc or ball of attenuation MU, off the middle; x right, y up, z along the slices; mm."""

    radius: float = 6.0
    x: float = 4.0
    y: float = -3.0
    z: float = 0.0


def rand(*shape: int, seed: int = 1, dtype: torch.dtype = F64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def picture(disc: Disc, size: int, pixel_mm: float, fine: int = 8) -> Tensor:
    """(size, size) in float64, each pixel averaged over fine² points."""
    t = (torch.arange(size * fine, dtype=F64) + 0.5) / fine - size / 2
    t = t * pixel_mm
    inside = (t - disc.x) ** 2 + (-t[:, None] - disc.y) ** 2 < disc.radius**2
    return MU * inside.to(F64).reshape(size, fine, size, fine).mean((1, 3))


def well_inside(disc: Disc, size: int, pixel_mm: float) -> Tensor:
    """Pixels within four fifths of the disc's radius."""
    return picture(Disc(0.8 * disc.radius, disc.x, disc.y), size, pixel_mm) > 0.999 * MU


def exact_sinogram(disc: Disc, scan: ScanGeometry) -> Tensor:
    """The chords of the disc times MU, by the positions of source and detector alone."""
    angle = torch.tensor(scan.angles, dtype=F64)
    column = torch.arange(scan.detector_count, dtype=F64) - (scan.detector_count - 1) / 2
    u = column * scan.detector_mm - scan.axis_offset
    rows = scan.detector_rows or 1
    v = (torch.arange(rows, dtype=F64) - (rows - 1) / 2) * scan.detector_mm
    a, v_, u_ = torch.broadcast_tensors(angle[:, None, None], v[:, None], u)
    axis = torch.stack([a.cos(), a.sin(), torch.zeros_like(a)], -1)
    ahead = torch.stack([-a.sin(), a.cos(), torch.zeros_like(a)], -1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    if scan.source_radius is None or scan.detector_radius is None:
        start, direction = u_[..., None] * axis, ahead
    else:
        distance = scan.source_radius + scan.detector_radius
        start = -scan.source_radius * ahead
        if scan.kind == "fan_curved":
            fan = u_[..., None] / distance
            direction = torch.cos(fan) * ahead + torch.sin(fan) * axis
        else:
            direction = distance * ahead + u_[..., None] * axis + v_[..., None] * up
    direction = direction / direction.norm(dim=-1, keepdim=True)
    to_middle = torch.tensor([disc.x, disc.y, disc.z], dtype=F64) - start
    apart = (to_middle**2).sum(-1) - (to_middle * direction).sum(-1) ** 2
    chords = 2 * MU * (disc.radius**2 - apart).clamp_min(0).sqrt()
    return chords if scan.kind == "cone" else chords[:, 0]


SIZE, PIXEL = 64, 0.5

# Every geometry, with what might go wrong in it: offsets, other detector pixels, odd angles.
FULL_SCANS: dict[str, ScanGeometry] = {
    "parallel": parallel_beam(90, SIZE, pixel_mm=PIXEL),
    "parallel full turn": parallel_beam(90, SIZE, pixel_mm=PIXEL, span=2 * math.pi),
    "parallel offset": parallel_beam(90, SIZE, pixel_mm=PIXEL, axis_offset=3.3, detector_mm=0.4),
    "parallel golden": parallel_beam(
        90, SIZE, pixel_mm=PIXEL, angles=[i * math.pi * (math.sqrt(5) - 1) / 2 for i in range(90)]
    ),
    "fan flat": fan_beam(180, SIZE, 60, 40, pixel_mm=PIXEL),
    "fan flat offset": fan_beam(180, SIZE, 60, 40, pixel_mm=PIXEL, axis_offset=-4, detector_mm=1.1),
    "fan flat short": fan_beam(130, SIZE, 60, 40, pixel_mm=PIXEL, span=math.radians(240)),
    "fan curved": fan_beam(180, SIZE, 60, 40, pixel_mm=PIXEL, curved=True, axis_offset=2),
    "fan curved short": fan_beam(
        130, SIZE, 60, 40, pixel_mm=PIXEL, curved=True, span=math.radians(240), start=0.5
    ),
}
CONE = cone_beam(60, (20, 24, 24), 60, 40, axis_offset=1.5)
