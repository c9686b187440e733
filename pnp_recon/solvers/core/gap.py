"""What the duality gap says of a picture: how far an objective lies above its minimum."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from pnp_recon.errors import InputError

FAULT = (
    "the duality gap is below zero or its dual point is not feasible, so that a proximal map of a "
    "conjugate, or a transpose, is wrong"
)


@dataclass(frozen=True)
class Gap:
    """What duality says of a picture of each problem of a batch, (B,) in float64.

    Attributes:
        value: bound of F(x) − min F, with a margin for rounding in float64 that is chosen, not
            proven; inf where none is known.
        objective: F(x).
        faulty: where weak duality or the inequality of Fenchel and Young is broken.
    """

    value: Tensor
    objective: Tensor
    faulty: Tensor

    @property
    def relative(self) -> float:
        """The worst bound relative to its objective; inf where one is none, or F(x) = 0."""
        share = self.value / self.objective.abs().clamp_min(1e-300)
        return math.inf if bool(self.faulty.any()) else float(share.max())

    def distance(self, modulus: float) -> Tensor:
        """Bound of ‖x − x*‖ (B,) where F is strongly convex on the box with a proven modulus.

        Raises:
            InputError: the modulus is none: a gap then says nothing of the distance.
        """
        if not 0 < modulus < math.inf:
            raise InputError(
                f"the modulus of strong convexity is {modulus}; expected a number above 0: without "
                "one a gap bounds the objective, and no distance"
            )
        return (2 * self.value.clamp_min(0) / modulus).sqrt()
