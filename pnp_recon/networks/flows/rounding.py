"""How far a flow computed in float64 can be from the flow: a proven bound, from norms alone.

The standard model (Higham 2002, sections 2.2 and 3.1): an operation has a relative error of at most
u = 2⁻⁵³, and a sum of n products, in any order, with or without fused operations, an error of at
most γ_n Σ|xᵢyᵢ|, γ_n = nu/(1 − nu). It covers products of matrices that are summed term by term,
and not fast ones (Strassen, Winograd). Nothing may overflow; what underflows is far below the rest.

Proof: docs/theory.md, "Rounding of a decision". It knows neither torch nor networks.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.networks.flows.tableaux import Tableau

UNIT = 2.0**-53
# What evaluating these bounds in float64 may lose of them, far above its own rounding.
EVALUATION = 1 + 1e-6


def gamma(count: int) -> float:
    """γ_n = nu/(1 − nu)."""
    return count * UNIT / (1 - count * UNIT)


@dataclass(frozen=True)
class FieldRounding:
    """What the rounding of f(z) = −Wᵀσ(Wz + b) depends on; σ(0) = 0, slopes in [0, 1].

    Attributes:
        norm: ‖W‖ ≤ norm.
        absolute: ‖|W|‖ ≤ absolute, of the moduli; the Frobenius norm will do.
        bias: ‖b‖ ≤ bias.
        length: the longest sum of products, of W and of Wᵀ, and one for each rounding that an
            entry of W or the bias has seen before.
        activation: rounding units that σ may be off, relative to its argument; 0 where it only
            selects and clips.
    """

    norm: float
    absolute: float
    bias: float
    length: int
    activation: int = 0

    def size(self, z: float) -> float:
        """‖f(z)‖ at most, for ‖z‖ ≤ z."""
        return self.norm * (self.norm * z + self.bias)

    def error(self, z: float) -> float:
        """‖computed f(z) − f(z)‖ at most, for ‖z‖ ≤ z."""
        inner = gamma(self.length + 1) * (self.absolute * z + self.bias)
        reached = self.norm * z + self.bias + inner
        act = inner + gamma(self.activation) * reached
        return self.norm * act + gamma(self.length) * self.absolute * (
            reached + gamma(self.activation) * reached
        )


def step_rounding(tableau: Tableau, h: float, field: FieldRounding, z: float) -> float:
    """‖computed step − step‖ at most, from one and the same z with ‖z‖ ≤ z.

    Args:
        tableau: explicit; its entries are rounded to float64.
        h: the step, as it is computed.
        field: see `FieldRounding`.
        z: bound of the norm of what the step begins with.
    """
    smooth = field.norm**2
    slopes: list[float] = []  # bounds of the computed slopes
    errors: list[float] = []  # and of their distance from those of the exact step
    for row in (*tableau.a, tableau.b):
        weights = [abs(h * weight) for weight in row[: len(slopes)]]
        terms = sum(1 for weight in weights if weight)
        reach = z + sum(w * s for w, s in zip(weights, slopes, strict=True))
        # Each term: three roundings of weight, step and their product with the slope, then sums.
        rounding = gamma(terms + 4) * reach if terms else 0.0
        off = rounding + sum(w * e for w, e in zip(weights, errors, strict=True))
        at = reach + off
        slopes.append(field.size(at) + field.error(at))
        errors.append(smooth * off + field.error(at))
    return off * EVALUATION


def step_at_zero(tableau: Tableau, h: float, field: FieldRounding) -> float:
    """‖Φ(0)‖ at most, for one exact step Φ."""
    slopes: list[float] = []
    for row in (*tableau.a, tableau.b):
        reach = sum(abs(h * w) * s for w, s in zip(row[: len(slopes)], slopes, strict=True))
        slopes.append(field.size(reach))
    return reach * EVALUATION
