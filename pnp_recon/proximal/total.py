"""Pictures in [0, 1] that explain the total of their data: the box cut by a plane, projected on.

The values of A x sum to ⟨Aᵀ1, x⟩, so that Σ A x = Σ y is a plane. Where Aᵀ1 = c·1, as for a blur
that loses nothing at its border, it fixes the mean grey value; for a scan in the field of view, up
to how evenly rays cover the pixels, the mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.errors import InputError
from pnp_recon.proximal.base import Regulariser, checked_step, indicator, no_error

# λ of λ√k: what k rounded operations do to a sum beside k|first error|, if their errors have mean
# zero and are independent; it is more with a probability below 2k·exp(−λ²/2) (Higham & Mary 2019,
# Thm 2.4), which is 3e-8 for a million.
CHANCE = 8.0
# Channels up to which each has a plane of its own; more are the slices of a volume.
COLOURS = 4


@dataclass(frozen=True, eq=False)
class BoxTotal(Regulariser):
    """0 where 0 ≤ x ≤ 1 and ⟨normal, x⟩ = total in every part, inf elsewhere.

    The nearest point is x − t·normal, clamped, with the t that meets the plane: what it gives falls
    with t and is linear between the places where an entry meets a bound (Bauschke & Combettes 2017,
    Prop. 24.18; for a simplex Duchi et al. 2008). Exact up to rounding.

    Attributes:
        normal: (C, H, W), of either sign.
        total: (B or 1, 1) for a plane of all channels, (B or 1, C) for one in each.

    Raises:
        InputError: no picture in [0, 1] has such a total.
    """

    normal: Tensor
    total: Tensor
    name: ClassVar[str] = "box-total"

    def __post_init__(self) -> None:
        parts = self._planes()
        low, high = parts.clamp_max(0).sum(1), parts.clamp_min(0).sum(1)
        total = self.total.double()
        if not bool(((total >= low) & (total <= high)).all()):
            raise InputError(
                f"the data sum to {_told(total)}; expected from {_told(low)} to {_told(high)}, "
                "what pictures in [0, 1] give. Look at their units, or do without keep_total"
            )

    @classmethod
    def of(cls, A: LinearOperator, y: Tensor) -> Self:
        """The pictures with Σ A x = Σ y, by colour where no channel adds to another's sum.

        Raises:
            InputError: A_adjoint is not the transpose, or no picture in [0, 1] has such data.
        """
        if not A.adjoint_matched:
            raise InputError(
                f"A_adjoint of operator '{A.name}' is not the transpose of A, so that what its "
                "data sum to is not known; do without keep_total"
            )
        channels = A.image_shape[0]
        with torch.no_grad():
            if 1 < channels == A.measurement_shape[0] <= COLOURS:
                like = y[:1].double()
                ones = like.new_zeros(channels, *A.measurement_shape)
                ones[range(channels), range(channels)] = 1
                sums = torch.stack([A.A_adjoint(one[None])[0] for one in ones])
                own = sums[range(channels), range(channels)]
                if bool((sums.abs().sum(0) == own.abs()).all()):
                    return cls(own, _sums(y, channels))
            normal = A.A_adjoint(torch.ones_like(y[:1], dtype=torch.float64))[0]
        return cls(normal.double(), _sums(y, 1))

    def rows(self) -> Tensor:
        """The normal of each part as a picture, (parts, C, H, W), float64."""
        parts = self.total.shape[1]
        whole = self.normal.double()
        if parts == 1:
            return whole[None]
        return whole * torch.eye(parts).to(whole)[..., None, None]

    def off(self, y: Tensor, rounding: Tensor) -> Tensor:
        """|Σ y − total| of data over `rounding` (B, parts), in the worst part: (B,)."""
        return self._off(_sums(y, self.total.shape[1]), rounding)

    def deviation(self, x: Tensor) -> Tensor:
        """|⟨normal, x⟩ − total| over what rounding in x's precision explains, in the worst part:
        (B,), at most 1 for every result of `prox`."""
        return self._off((self._parts(x) * self._planes()).sum(2), self.rounding(x))

    def rounding(self, x: Tensor, *sums: tuple[int, torch.dtype]) -> Tensor:
        """By how much rounding may move the total of x: (B, parts).

        Every entry of x was rounded once from a point of the set, which was found in float64 by
        sums over the picture.

        Args:
            sums: other sums, by how many operations are rounded in which precision.
        """
        planes = self._planes().abs()
        entries = (self._parts(x).abs() * planes).sum(2)
        counted = ((3 * x[0].numel(), torch.float64), *sums)
        share = sum(CHANCE * count**0.5 * unit(dtype) for count, dtype in counted)
        return unit(x.dtype) * entries + share * planes.sum(1).clamp_min(1e-300)

    def _off(self, found: Tensor, rounding: Tensor) -> Tensor:
        return ((found - self.total.to(found)).abs() / rounding).amax(1)

    def value(self, x: Tensor) -> Tensor:
        """0 or inf; a point that rounding has put beside the plane counts as on it."""
        boxed = ((x >= 0) & (x <= 1)).flatten(1).all(1)
        return indicator(boxed & (self.deviation(x) <= 1), x)

    def prox(self, x: Tensor, step: float, *, tol: float = 0.0) -> tuple[Tensor, Tensor]:
        checked_step(step)
        parts, flat = self._planes(), self._parts(x)
        moved = flat - self._shift(flat, parts)[..., None] * parts
        # ±inf becomes NaN (x − x), so that clamping hides no divergence.
        return moved.clamp(0, 1).view_as(x).to(x) + (x - x), no_error(x)

    def _shift(self, x: Tensor, normal: Tensor) -> Tensor:
        """t (B, parts) of pictures (B, parts, n): by bisection among the places, then a line."""
        some = normal != 0
        by = torch.where(some, normal, 1.0)
        ends = torch.cat([x / by, (x - 1) / by], 2)
        # An entry that counts for nothing repeats another place.
        first = torch.where(some.repeat(1, 2), ends, torch.inf).amin(2, keepdim=True)
        first = torch.where(first.isfinite(), first, 0.0)
        places = torch.where(some.repeat(1, 2), ends, first).sort(2).values
        goal = self.total.to(x)[..., None].expand(*x.shape[:2], 1)

        def at(t: Tensor) -> Tensor:
            return ((x - t * normal).clamp(0, 1) * normal).sum(2, keepdim=True)

        low = torch.zeros_like(goal, dtype=torch.long)
        high = torch.full_like(low, places.shape[2] - 1)
        for _ in range(places.shape[2].bit_length()):
            middle = (low + high) // 2
            above = at(places.gather(2, middle)) >= goal
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        before, after = places.gather(2, low), places.gather(2, high)
        most, least = at(before), at(after)
        fall = most - least
        part = torch.where(fall > 0, (most - goal) / fall.clamp_min(1e-300), torch.zeros_like(fall))
        return torch.lerp(before, after, part.clamp(0, 1))[..., 0]

    def _planes(self) -> Tensor:
        """Normals (parts, n), float64."""
        return self.normal.double().reshape(self.total.shape[1], -1)

    def _parts(self, x: Tensor) -> Tensor:
        return x.double().reshape(len(x), self.total.shape[1], -1)


def unit(dtype: torch.dtype) -> float:
    """What rounding to the nearest is off by at most, relative: half of machine epsilon."""
    return torch.finfo(dtype).eps / 2


def _sums(y: Tensor, parts: int) -> Tensor:
    """Totals of data in float64, (B, parts): of their channels, or of all."""
    return y.double().reshape(len(y), parts, -1).sum(2)


def _told(values: Tensor) -> str:
    return ", ".join(f"{value:.6g}" for value in values.flatten()[:4].tolist())
