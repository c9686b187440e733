"""What a theorem implies for every run: laws that the loop can check, and their rates.

For an α-averaged T with fixed point z*, ‖z_{k+1}−z_k‖ never increases and
(k+1)·‖z_{k+1}−z_k‖² ≤ α/(1−α)·‖z₀−z*‖² (Bauschke & Combettes 2017, Thm 5.15 and its proof).
Iterations of another kind (accelerated ones, conjugate gradients) bring laws of their own: a rate,
and an inequality of each step whose two sides the solver measures (`Step.ratio`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

# Rounding of one evaluation of T in units of the machine epsilon, relative to ‖z‖.
ROUNDING_UNITS = 32.0
# Of an energy in float64, relative: far above its rounding, far below a step that counts.
ENERGY_ROUNDING = 1e-12
H1 = "H1: E falls by a‖x_{k+1}−x_k‖² at least (ratio)"
H2 = "H2: ‖∇E(x_{k+1})‖ at most b‖x_{k+1}−x_k‖ (ratio)"
# What the history does not show, so that the run tries it: the beginning of an observation.
GRADIENT = "the gradient is that of the energy"
IN_KERNEL = "the gradient in the kernel is that of the energy"
SAME = "the energy is at the end what it was at first"
POSITIVE = "R_σ is not negative"
TOTAL = "Σ A x = Σ y"
# The limits of such observations, where they are not 1; a file that says others is not believed.
TRIED = {GRADIENT: 1e-3, IN_KERNEL: 1e-3, SAME: ENERGY_ROUNDING, POSITIVE: 1e-9}
# A `Step.ratio` of a step that had nothing to be compared with, such as the first of pairs.
UNCOMPARED = -1.0


@dataclass(frozen=True)
class Laws:
    """The consequences of a theorem that a run can check.

    Attributes:
        monotone: the residuals never increase; they shrink by `factor` at least.
        rate: the k-th residual, k = 0, 1, ..., is at most rate(k)·‖z₀−z*‖; None: no such bound.
        rate_words: the rate as it is written in reports.
        step: what it means that every `Step.ratio` is at most 1; empty where there is none.
        descent: a and b of H1 and H2, which every step of a descent obeys; None elsewhere.
        factor: q ≤ 1 with ‖z_{k+1} − z_k‖ ≤ q‖z_k − z_{k−1}‖, below 1 for a contraction.
    """

    monotone: bool = False
    rate: Callable[[int], float] | None = None
    rate_words: str = ""
    step: str = ""
    factor: float = 1.0
    descent: tuple[float, float] | None = None

    @property
    def monotone_words(self) -> str:
        """The monotone law as it is written in reports."""
        if self.factor < 1:
            return "‖z_{k+1}−z_k‖ at most q‖z_k−z_{k−1}‖ (ratio)"
        return "‖z_{k+1}−z_k‖ never increases (ratio of successive)"


def limit_of(law: str) -> float:
    """What an observation of this law must not exceed."""
    return next((limit for words, limit in TRIED.items() if law.startswith(words)), 1.0)


def averaged_laws(alpha: float | None, step: str = "") -> Laws:
    """Laws of z ← T(z) with an α-averaged T; no rate where α is unknown or 1."""
    if alpha is None or alpha >= 1:
        return Laws(step=step)
    factor = math.sqrt(alpha / (1 - alpha))
    return Laws(True, lambda k: factor / math.sqrt(k + 1), "O(1/√k)", step)


def contracting_laws(alpha: float | None, q: float | None, step: str = "") -> Laws:
    """Laws of an averaged map, and of a contraction where the constant q is below 1.

    ‖z_{k+1} − z_k‖ ≤ q‖z_k − z_{k−1}‖, and ≤ (1 + q)‖z_k − z*‖ ≤ (1 + q) q^k ‖z₀ − z*‖ (Banach).
    """
    laws = averaged_laws(alpha, step)
    slow = laws.rate
    if q is None or q >= 1 or slow is None:
        return laws
    return Laws(laws.monotone, lambda k: min(slow(k), (1 + q) * q**k), "linear", step, q)


def picard_rate(averagedness: float, k: int) -> float:
    """Proven bound of ‖z_k − S z_k‖/‖z_0 − z*‖ for z ← S(z) with an averaged S.

    For S = (1−μ)I + μR, ½ ≤ μ ≤ 1 and R nonexpansive, the tight bound is

        ‖z_k − S z_k‖² / (4μ²‖z_0 − z*‖²) ≤ (1 − 1/(k+1))^k / (4μ(1−μ)(k+1))   if (2μ−1)² ≤ k/(k+1),
                                          ≤ (2μ−1)^{2k}                         otherwise

    (Lieder 2018, Thm 4.9; Gu & Yang 2020 for μ = ½), attained by a rotation R of the plane. An S
    with μ < ½ is ½-averaged as well; there μ/((1−μ)(k+1)) (Bauschke & Combettes 2017, Thm 5.15)
    is the smaller one for large k, and the smaller one is returned.
    """
    mu = max(averagedness, 0.5)
    if (2 * mu - 1) ** 2 <= k / (k + 1):
        tight = (k / (k + 1)) ** k * mu / ((1 - mu) * (k + 1))
    else:
        tight = 4 * mu**2 * (2 * mu - 1) ** (2 * k)
    if averagedness < 0.5:
        tight = min(tight, averagedness / ((1 - averagedness) * (k + 1)))
    return math.sqrt(tight)
