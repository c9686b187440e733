"""How far a picture is from the fixed point of a contraction: a proven bound, in image units.

Let T have the constant q < 1 and the fixed point z*. At any z, whatever iteration led there, with
the residual r = ‖T z − z‖ measured to an error e (Banach 1922):

    ‖z − z*‖ ≤ (r + e)/(1 − q).

A map M with constant a and M z* = z* that is computed to e takes z to within a(r + e)/(1 − q) + e
of z*: T itself (a = q), which is (q r + e)/(1 − q), or a relaxation of it. The picture of a point
is no further from that of z* than its own constant allows. Numbers alone: no tensors, no solver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pnp_recon.solvers.core.laws import ROUNDING_UNITS


@dataclass(frozen=True)
class Bar:
    """A bound of the distance between a picture and that of the fixed point.

    Attributes:
        norm: Euclidean, over all the pixels and channels of the picture.
        pixels: how many there are.
    """

    norm: float
    pixels: int

    @property
    def rms(self) -> float:
        """Root of the mean square over the pixels, pictures being in [0, 1]."""
        return self.norm / math.sqrt(self.pixels)

    @property
    def rms_255(self) -> float:
        """`rms` in grey levels of 8 bit, of 255."""
        return 255 * self.rms

    @property
    def says_something(self) -> bool:
        """Below the distance that any two pictures in [0, 1] can have."""
        return self.rms < 1

    def __str__(self) -> str:
        if not self.says_something:
            return "the proven error bar is wider than the range of pictures"
        return f"within {self.rms_255:.2g}/255 of it, root mean square"


@dataclass(frozen=True)
class ErrorBar:
    """What the bar of a run rests on.

    Attributes:
        constant: q < 1 of T, whose residuals ‖T z − z‖ the run measures.
        after: constant a of the map from that z to the point whose picture is shown; None: q.
        picture: Lipschitz constant of the picture as a function of its point.
    """

    constant: float
    after: float | None = None
    picture: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.constant < 1:
            raise ValueError(f"a contraction has a constant in [0, 1), found {self.constant}")

    def bound(self, residual: float, error: float = 0.0, rounding: float = 0.0) -> float:
        """Bound on the distance of the shown point from z*.

        Args:
            residual: ‖T z − z‖ as measured.
            error: proven bound on the error of the step, inner solves included.
            rounding: what rounding may have changed of T z.
        """
        off = error + rounding
        after = self.constant if self.after is None else self.after
        # 1 − q is exact for q ≥ ½ (Sterbenz 1974); the rest is a few roundings.
        return (after * (residual + off) / (1 - self.constant) + off) * (1 + 1e-14)

    def bar(
        self,
        residual: float,
        error: float,
        pixels: int,
        *,
        norm: float = 0.0,
        precision: float = 0.0,
        picture_error: float = 0.0,
    ) -> Bar:
        """The bar of one picture after a step.

        Args:
            residual, error: what `History` has of that step.
            pixels: how many the picture has, times channels.
            norm: ‖z‖, which rounding is relative to.
            precision: machine epsilon of the run.
            picture_error: proven bound on the error with which the picture was computed of its
                point (`Solver.picture_error`).
        """
        rounding = ROUNDING_UNITS * precision * norm
        distance = self.bound(residual, error, rounding)
        return Bar(self.picture * distance + picture_error + rounding, pixels)

    def moved_by(self, after: float | None) -> ErrorBar:
        """The bar where the point shown is that of another map with the same fixed point."""
        return replace(self, after=after)
