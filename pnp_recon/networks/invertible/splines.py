"""Monotone rational-quadratic splines of an interval, with inverse and slope in closed form.

Source: Durkan et al. 2019 (neural spline flows), after Gregory & Delbourgo 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pnp_recon.networks.invertible.conditioners import positive

# No bin is narrower than this share of an even one, and no slope at a knot is smaller.
LEAST_SHARE, LEAST_SLOPE = 1e-2, 1e-2


@dataclass(frozen=True, eq=False)
class Spline:
    """A strictly increasing map of [−limit, limit] onto itself, the identity outside.

    Attributes:
        x, y: knots (…, n + 1), increasing from −limit to limit.
        slopes: at the knots (…, n + 1), positive; 1 at both ends, so that the map is C¹.
        limit: > 0.
    """

    x: Tensor
    y: Tensor
    slopes: Tensor
    limit: float

    @classmethod
    def of(cls, free: Tensor, limit: float) -> Spline:
        """From free numbers (…, 3n − 1): widths, heights and inner slopes; zeros: the identity."""
        bins = (free.shape[-1] + 1) // 3
        widths, heights, inner = free.split([bins, bins, bins - 1], -1)
        ends = torch.ones_like(inner[..., :1])
        rise = LEAST_SLOPE + (1 - LEAST_SLOPE) * positive(inner)
        slopes = torch.cat([ends, rise, ends], -1)
        return cls(_knots(widths, limit), _knots(heights, limit), slopes, limit)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points (…) to points (…) and the logarithm of the slope there."""
        inside = x.abs() < self.limit
        x0, y0, width, height, low, high = self._bin(x.clamp(-self.limit, self.limit), self.x)
        t = ((x - x0) / width).clamp(0, 1)
        mean = height / width
        bend = low + high - 2 * mean
        below = mean + bend * t * (1 - t)
        y = y0 + height * (mean * t**2 + low * t * (1 - t)) / below
        slope = mean**2 * (high * t**2 + 2 * mean * t * (1 - t) + low * (1 - t) ** 2) / below**2
        y = torch.where(inside, y, x)
        return y, torch.where(inside, slope, torch.ones_like(slope)).log()

    def inverse(self, y: Tensor) -> Tensor:
        """The root in [0, 1] of a quadratic, in the form that does not cancel."""
        inside = y.abs() < self.limit
        x0, y0, width, height, low, high = self._bin(y.clamp(-self.limit, self.limit), self.y)
        mean = height / width
        bend = low + high - 2 * mean
        up = y - y0
        a = height * (mean - low) + up * bend
        b = height * low - up * bend
        c = -mean * up
        root = (b**2 - 4 * a * c).clamp_min(0).sqrt()
        t = (2 * c / (-b - root)).clamp(0, 1)
        return torch.where(inside, x0 + t * width, y)

    def _bin(self, at: Tensor, knots: Tensor) -> tuple[Tensor, ...]:
        """Left ends, widths and slopes of the bins in which the points lie."""
        last = knots.shape[-1] - 2
        number = (at.detach()[..., None] >= knots.detach()).sum(-1, keepdim=True) - 1
        number = number.clamp(0, last)
        found = []
        for ends in (self.x, self.y):
            left = ends.gather(-1, number)[..., 0]
            found += [left, ends.gather(-1, number + 1)[..., 0] - left]
        low, high = (self.slopes.gather(-1, number + k)[..., 0] for k in (0, 1))
        return found[0], found[2], found[1], found[3], low, high


def _knots(free: Tensor, limit: float) -> Tensor:
    bins = free.shape[-1]
    shares = LEAST_SHARE / bins + (1 - LEAST_SHARE) * F.softmax(free, -1)
    inner = 2 * limit * shares.cumsum(-1)[..., :-1] - limit
    end = torch.full_like(inner[..., :1], limit)
    return torch.cat([-end, inner, end], -1)
