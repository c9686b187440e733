"""How far a picture moves when the measurement moves: a proven bound, where steps state a gain.

Let x_{k+1} = T(x_k; y), T(·; y) q-Lipschitz with q ≤ 1 and T(x; ·) s-Lipschitz. Then

    ‖Δx_{k+1}‖ ≤ ‖T(x; y) − T(x'; y)‖ + ‖T(x'; y) − T(x'; y')‖ ≤ q‖Δx_k‖ + s‖Δy‖,

hence ‖Δx_k‖ ≤ s(1 + q + … + q^{k−1})‖Δy‖ from one start: k·s for q = 1, and at most s/(1 − q) at
the one fixed point of a contraction, from any start. A gradient step of length τ on ½‖Ax − y‖² has
s = τ‖A‖. Parameters and the number of steps are the same for both measurements.

A descent to a critical point states no gain: which point is reached may jump with y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pnp_recon.solvers.core.theorem import AveragedMap, Constant, Contraction, Theorem

# The name of s among the constants of a theorem.
GAIN = "gain s"
# Relative allowance for the rounding of these formulas.
ROUNDING = 1e-12


def gain_constant(value: float, how: str) -> Constant:
    """s as a constant of a theorem: a step of T moves by at most s‖Δy‖ when y moves."""
    return Constant(GAIN, value * (1 + ROUNDING), f"a step moves by at most s·ε with y; {how}")


def gain(theorem: Theorem) -> float | None:
    """s, where the theorem states it."""
    found = [item.value for item in theorem.constants if item.name == GAIN]
    return found[0] if found and math.isfinite(found[0]) else None


@dataclass(frozen=True)
class DataStability:
    """Lipschitz constants of the picture as a function of the measurement, Euclidean norms.

    Attributes:
        steps: after the steps that were made, from one start; None where they were not plain
            steps of the map.
        limit: that of the one fixed point; None where the map is not known to contract.
    """

    steps: float | None
    limit: float | None

    @property
    def smallest(self) -> float | None:
        """The smaller one of those that are known."""
        known = [value for value in (self.steps, self.limit) if value is not None]
        return min(known, default=None)


def data_stability(theorem: Theorem, iterations: int) -> DataStability | None:
    """What is proven after `iterations` steps; None where the theorem states no gain.

    Args:
        theorem: its picture is its point z, up to a constant that its error bar names.
        iterations: steps made, at least 1.
    """
    s = gain(theorem)
    if s is None or not theorem.holds or iterations < 1:
        return None
    bar = theorem.error_bar
    limit = None if bar is None else bar.picture * s / (1 - bar.constant) * (1 + ROUNDING)
    steps = None
    # Not a relaxed, anchored or perturbed iteration of the map: theirs are other recursions.
    if type(theorem) in (AveragedMap, Contraction):
        q = 1.0 if bar is None else bar.constant
        series = iterations if q == 1 else (1 - q**iterations) / (1 - q)
        steps = (1.0 if bar is None else bar.picture) * s * series * (1 + ROUNDING)
    return DataStability(steps, limit)


def words(theorem: Theorem, iterations: int) -> str:
    """One sentence for a report; empty where nothing is proven."""
    found = data_stability(theorem, iterations)
    if found is None or found.smallest is None:
        return ""
    parts = []
    if found.steps is not None:
        parts.append(
            f"this picture, after as many steps from the same start, by at most {found.steps:.4g}·ε"
        )
    if found.limit is not None:
        parts.append(f"the one solution by at most {found.limit:.4g}·ε")
    known = "if what is declared is true" if theorem.conditions else "proven"
    moved = ", and ".join(parts)
    return f"if the measurement moves by ε, {moved} ({known}; Euclidean norms, same parameters)"
