"""The check that a run obeyed the laws of its theorem.

A step with ‖z_{k+1} − T z_k‖ ≤ e_k can raise ‖z_{k+1}−z_k‖ by at most e_k + e_{k+1}, over
q‖z_k−z_{k−1}‖ where T is a contraction. With
E = Σe, c = (1−α)/α and ρ_k = ‖T z_k − z_k‖, summing ‖z_{k+1}−z*‖² ≤ (‖T z_k − z*‖ + e_k)² gives
c·Σρ² ≤ (‖z₀−z*‖ + 2E)²; as ρ_k ≤ ρ_j + 2E for j ≤ k, the rate of an averaged map becomes
‖z_{k+1}−z_k‖ ≤ (‖z₀−z*‖ + 2E)/(c(k+1))^½ + 3E.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import ROUNDING_UNITS, Laws
from pnp_recon.solvers.core.solution import History


def observe(
    history: History,
    laws: Laws,
    reach: Tensor | None,
    precision: float,
    tolerances: Sequence[float] = (),
) -> tuple[Observation, ...]:
    """The laws on the worst picture of the batch; fills `history.bounds`.

    Where steps are inexact (`tolerances`, one for each) one more law holds the theorem's premise:
    an inner solve that ran into its own limit has errors that nobody proved summable. Limits are
    ratios: 1 plus what rounding and the measured inner errors allow.

    Args:
        reach: proven bound (B,) on ‖z₀−z*‖, or None.
        precision: machine epsilon of the run.
    """
    if not history.residuals:
        return ()
    growth, rate = 0.0, 0.0
    distances = None
    if laws.rate is not None and reach is not None:
        distances = reach.double().tolist()
    pictures = len(history.residuals[0])
    before, total = [0.0] * pictures, [0.0] * pictures
    for k, residual in enumerate(history.residuals):
        slack = [
            error + ROUNDING_UNITS * precision * norm
            for error, norm in zip(history.errors[k], history.norms[k], strict=True)
        ]
        for i, value in enumerate(residual):
            if k:
                allowed = laws.factor * history.residuals[k - 1][i] + slack[i] + before[i]
                growth = max(growth, value / max(allowed, 1e-300))
            total[i] += slack[i]
        before = slack
        if distances is not None and laws.rate is not None:
            factor = laws.rate(k)
            history.bounds.append([factor * distance for distance in distances])
            for i, value in enumerate(residual):
                allowed = history.bounds[k][i] + (3 + 2 * factor) * total[i]
                rate = max(rate, value / max(allowed, 1e-300))
    found = []
    if laws.monotone:
        found.append(Observation(laws.monotone_words, growth, 1.0))
    if distances is not None:
        words = f"residual below its {laws.rate_words} bound (ratio)"
        found.append(Observation(words, rate, 1.0))
    if laws.step and history.ratios:
        found.append(Observation(laws.step, max(map(max, history.ratios)), 1.0))
    if tolerances:
        inner = 0.0
        for tolerance, errors, sizes in zip(tolerances, history.errors, history.norms, strict=True):
            for error, norm in zip(errors, sizes, strict=True):
                inner = max(inner, error / (tolerance + ROUNDING_UNITS * precision * norm))
        found.append(Observation("inner error below its tolerance (ratio)", inner, 1.0))
    return tuple(found)
