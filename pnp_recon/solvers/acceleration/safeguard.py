"""What keeps a theorem standing where an iteration leaves z ← T(z), and what still checks it.

`Pair`: for an α-averaged T and *any* two points (Bauschke & Combettes 2017, Prop. 4.35)

    ‖T z − T z'‖² + (1−α)/α · ‖(I−T) z − (I−T) z'‖² ≤ ‖z − z'‖²,

and ‖T z − T z'‖ ≤ q‖z − z'‖ for a contraction. An accelerated run has no monotone residuals, but
it evaluates T, and this between successive evaluations contradicts a false certificate all the
same.

`Safeguard`: a candidate w may stand in for T z_k as long as ‖w − T z_k‖ ≤ C‖r_0‖/(n+1)^{1+ε}, n the
number of candidates taken before and r_0 = T z_0 − z_0. The deviations then have a finite sum, so
that the run is the iteration of T with summable errors, which converges to a fixed point like
the plain one (Combettes 2001; Bauschke & Combettes 2017, Prop. 5.34).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from operators.conjugate_gradient import per_image
from pnp_recon.solvers.core.laws import ROUNDING_UNITS, UNCOMPARED
from pnp_recon.solvers.core.theorem import Constant, PerturbedMap, Theorem

Norm = Callable[[Tensor], Tensor]

STEP_LAW = "‖Tz−Tz'‖² + (1−α)/α·‖(I−T)z−(I−T)z'‖² at most ‖z−z'‖² (root of the ratio)"

# C and 1 + ε of the safeguard: the sum of all deviations is below C·ζ(1+ε)·‖r_0‖ ≈ 10⁴‖r_0‖. In
# deblurring a step that helps deviates by less than ‖r_0‖: the rule binds where a run goes astray.
DEVIATION_FACTOR = 1e3
DEVIATION_EXPONENT = 1.1


@dataclass(frozen=True)
class Pair:
    """The last evaluation of T, and the inequality above between it and the next one.

    Attributes:
        alpha: proven averagedness, 1 for maps that are only nonexpansive.
        norm: the norm (B,) that T is averaged in.
        constant: q ≤ 1, below 1 for a contraction.
        gain: `Solver.rounding_gain` of T.
        last: z, T z, T z − z and what rounding and inner solves leave open of them.
    """

    alpha: float
    norm: Norm
    last: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    constant: float = 1.0
    gain: float = 1.0

    def ratio(self, z: Tensor, image: Tensor, error: Tensor) -> tuple[Tensor, Pair]:
        """Left over right side, roots of both, (B,), zero at the first evaluation; and the pair
        that the next evaluation makes with this one.

        An evaluation is off by `error` (B,) and by rounding, a together for both points. By
        Minkowski's inequality the root of the left side is off by at most √(1 + (1−α)/α)·a.
        """
        units = ROUNDING_UNITS * self.gain * torch.finfo(z.dtype).eps
        slack = error + units * torch.maximum(self.norm(z), self.norm(image))
        turn = image - z
        following = replace(self, last=(z, image, turn, slack))
        if self.last is None:
            return torch.full_like(error, UNCOMPARED), following
        weight = (1 - self.alpha) / self.alpha
        moved = self.norm(image - self.last[1]).square()
        turned = self.norm(turn - self.last[2]).square()
        left = (moved + weight * turned).sqrt()
        apart, off = self.norm(z - self.last[0]), slack + self.last[3]
        tiny = torch.finfo(z.dtype).tiny
        found = left / (apart + math.sqrt(1 + weight) * off).clamp_min(tiny)
        if self.constant < 1:
            nearer = moved.sqrt() / (self.constant * apart + off).clamp_min(tiny)
            found = torch.maximum(found, nearer)
        return found, following


@dataclass(frozen=True)
class Safeguard:
    """Decides for each picture whether a candidate stands in for T z_k.

    Attributes:
        norm: (B,), of deviations.
        budget: C‖r_0‖ (B,).
        accepted: candidates taken so far (B,).
        refused: candidates turned down (B,).
    """

    norm: Norm
    budget: Tensor
    accepted: Tensor
    refused: Tensor

    @classmethod
    def begin(cls, first_residual: Tensor, norm: Norm, factor: float = DEVIATION_FACTOR) -> Self:
        """Before the first candidate."""
        none = torch.zeros_like(first_residual)
        return cls(norm, factor * first_residual, none, none)

    def choose(self, candidate: Tensor, image: Tensor, offered: Tensor) -> tuple[Tensor, Safeguard]:
        """`candidate` where its deviation is allowed, `image` = T z_k elsewhere; and what is left.

        `offered` (B,), bool: whether there is a candidate. One that is not finite is refused.
        """
        limit = self.budget / (self.accepted + 1) ** DEVIATION_EXPONENT
        taken = offered & (self.norm(candidate - image) <= limit)
        left = replace(
            self, accepted=self.accepted + taken, refused=self.refused + (offered & ~taken)
        )
        return torch.where(per_image(taken, image), candidate, image), left

    def counts(self) -> dict[str, float]:
        """Means over the pictures of the batch."""
        return {
            "accelerated_steps": float(self.accepted.mean()),
            "refused_steps": float(self.refused.mean()),
        }


def pair_law(held: Theorem) -> str:
    """What `Pair` checks of a map with this theorem."""
    return STEP_LAW if held.error_bar is None else f"{STEP_LAW}, and ‖Tz−Tz'‖ at most q‖z−z'‖"


def safeguarded(what: str, held: Theorem, factor: float) -> Theorem:
    """The theorem of a run whose candidates pass a `Safeguard`, from that of its map T."""
    if not held.guarantee.is_averaged:
        return PerturbedMap(held.statement, held.guarantee, held.constants, held.premises)
    statement = (
        f"{what}, safeguarded: the run is the iteration of T with errors of a finite sum, so that "
        "it converges to a fixed point (Combettes 2001; Bauschke & Combettes 2017, Prop. 5.34); "
        f"T and its fixed points: {held.statement}"
    )
    how = f"the n-th candidate deviates by at most C‖r_0‖/n^{DEVIATION_EXPONENT:g}"
    constants = (*held.constants, Constant("safeguard C", factor, how))
    law, bar = pair_law(held), held.error_bar
    return PerturbedMap(statement, held.guarantee, constants, held.premises, law, bar)
