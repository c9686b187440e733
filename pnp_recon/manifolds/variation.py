"""The functional that is minimised: distances to the data, and a variation between neighbours.

E(x) = ½ Σ d(x_i, y_i)² + strength · Σ h(d(x_i, x_j)) over horizontal and vertical neighbours, with
Huber's h(t) = t²/(2·knee) below the knee and t − knee/2 above: total variation that is smooth where
neighbours nearly agree. h is convex and does not fall, distances are convex on a Hadamard manifold,
and ½d(·, y)² is 1-strongly convex there; so E is 1-strongly convex, whatever the strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.manifolds.base import Manifold
from pnp_recon.problems.numbers import checked_number

# The first and the second of all neighbours, along the rows and down the columns.
PAIRS = (
    ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ((slice(None, -1),), (slice(1, None),)),
)


@dataclass(frozen=True, eq=False)
class Variation:
    """E of a field.

    Attributes:
        space: where the values lie.
        y: data (H, W, *point); a curve has H = 1.
        strength: weight of the variation, at least 0, in units of the distance.
        knee: above 0; differences below it are smoothed quadratically.

    Raises:
        InputError: numbers out of range, data off the manifold, or no field.
    """

    space: Manifold
    y: Tensor
    strength: float
    knee: float

    def __post_init__(self) -> None:
        if not isinstance(self.space, Manifold):
            raise InputError(f"space is {self.space!r:.60}; expected a manifold, such as Circle()")
        checked_number("strength", self.strength, least=0.0)
        checked_number("knee", self.knee, above=0.0)
        self.space.require(self.y)
        shape, point = tuple(self.y.shape), self.space.point_axes
        if self.y.ndim != 2 + point or not self.y.numel():
            axes = f" and {point} of a point" if point else ""
            raise InputError(
                f"y has the shape {shape}; expected a field of {self.space.name}: (H, W){axes}, "
                "H = 1 for a curve"
            )

    def value(self, x: Tensor) -> float:
        """E(x)."""
        terms = self.space.distance(x, self.y).square().sum() / 2
        for first, second in PAIRS:
            found = self.space.distance(x[first], x[second])
            terms = terms + self.strength * huber(found, self.knee).sum()
        return float(terms)

    def value_and_gradient(self, x: Tensor) -> tuple[float, Tensor]:
        """E(x) and its gradient: a tangent vector at every pixel, (H, W, *tangent).

        The gradient of h(d(x_i, ·)) is −h'(d)/d times the logarithm of x_i.
        """
        there = self.space.log(x, self.y)
        value = self.space.inner(x, there, there).sum() / 2
        gradient = -there
        for first, second in PAIRS:
            ahead, back, found = self.space.logs(x[first], x[second])
            slope = self.strength / found.clamp_min(self.knee)
            value = value + self.strength * huber(found, self.knee).sum()
            gradient[first] -= self.space.scaled(ahead, slope)
            gradient[second] -= self.space.scaled(back, slope)
        return float(value), gradient

    def norm(self, x: Tensor, v: Tensor) -> float:
        """Length of a tangent vector of the whole field: √Σ‖v_i‖²."""
        return float(self.space.inner(x, v, v).sum().clamp_min(0).sqrt())

    def distance(self, x: Tensor, z: Tensor) -> float:
        """Distance of two fields: √Σ d(x_i, z_i)²."""
        return float(self.space.distance(x, z).norm())


def huber(t: Tensor, knee: float) -> Tensor:
    """t²/(2·knee) below the knee, t − knee/2 above."""
    return torch.where(t < knee, t.square() / (2 * knee), t - knee / 2)
