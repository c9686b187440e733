"""Decisions of a classifier and the radii within which they hold, from logits and constants.

Nothing here knows how the logits are computed; `classifier` says what constants and rounding are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Relative allowance for the rounding of the few sums behind a constant, a norm or a radius.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Decisions:
    """Classes and the radii within which they are proven not to change.

    Attributes:
        classes: (B,), the largest logit each.
        radii: (B,), Euclidean, in the units of the input; 0 where two logits tie.
    """

    classes: Tensor
    radii: Tensor


@dataclass(frozen=True)
class Rounding:
    """No logit is off by more than at_zero + slope·‖x‖ for a picture x; proven, float64."""

    at_zero: float
    slope: float

    def at(self, sizes: Tensor) -> Tensor:
        return self.at_zero + self.slope * (1 + ROUNDING) * sizes


EXACT = Rounding(0.0, 0.0)


def sizes(x: Tensor) -> Tensor:
    """Norms (B,) of pictures (B, …)."""
    return x.flatten(1).norm(dim=1)


def decisions(
    logits: Tensor,
    constants: Tensor,
    rounding: Rounding = EXACT,
    norms: Tensor | float = 0.0,
) -> Decisions:
    """Classes and radii.

    Args:
        logits: (B, C), float64.
        constants: (C, C), one for each pair of classes.
        rounding: how far a logit may be off; without it the radii are those of exact arithmetic.
        norms: ‖x‖ of the pictures, (B,).
    """
    norms = torch.as_tensor(norms).to(logits)
    classes = logits.argmax(1)
    leads = logits.gather(1, classes[:, None]) - logits
    own = constants[classes]
    # The rounding at the picture and at the one that attacks it, of two logits each.
    allowed = 4 * rounding.at(norms).expand(len(logits))[:, None]
    leads = ((leads - allowed) * (1 - ROUNDING)).clamp_min(0)
    others = F.one_hot(classes, logits.shape[1]) == 0
    # A class with the same functional as the winner's never overtakes it, if it is behind at all.
    safe = torch.where(leads > 0, math.inf, 0.0).to(leads)
    grown = own + 2 * rounding.slope
    radii = torch.where(grown > 0, leads / grown.clamp_min(1e-300), safe)
    return Decisions(classes, radii.masked_fill(~others, math.inf).amin(1))
