"""Bounds of flows from constants of fields; and where eigenvalues prove nothing.

ν stands for a one-sided constant, ⟨Δf, Δx⟩ ≤ ν‖Δx‖², and ℓ for a Lipschitz constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.networks.flows.facts import Facts
from pnp_recon.networks.flows.matrices import ROUNDING
from pnp_recon.networks.flows.tableaux import Tableau


def gronwall(facts: Facts, time: float) -> float:
    """A Lipschitz constant of the flow over `time` ≥ 0: e^{νT}, or e^{ℓT} where no ν is known.

    Source: Gronwall 1919; one-sided, Dahlquist 1958.

    Raises:
        InputError: nothing is known of the field, or `time` is negative.
    """
    if time < 0:
        raise InputError(f"time is {time}; expected at least 0")
    rates = [rate for rate in (facts.one_sided, facts.lipschitz) if rate is not None]
    if not rates:
        raise InputError(f"no constant of the field is known: {facts.source}")
    return math.exp(min(rates) * time) * (1 + ROUNDING)


def gradient_one_sided(weights: Sequence[Tensor]) -> tuple[float, float]:
    """Enclosure of ν for f(t, x) = −A(t)ᵀσ(A(t)x + b): −μ*² ≤ ν ≤ 0, μ* = min over t of σ_min.

    Slopes of σ in [0, 1]; the lower end is attained by σ = id, whose ν is −μ*² itself. It is
    rounded down.

    Source: Celledoni et al. 2021, section 4.

    Args:
        weights: A at each time, matrices (m, d).
    """
    return -(min(map(_least_gain, weights)) ** 2), 0.0


def _least_gain(weight: Tensor) -> float:
    """σ_min of A (m, d) as a map of d numbers, rounded up: 0 where m < d."""
    rows, columns = weight.shape
    if rows < columns:
        return 0.0
    values = torch.linalg.svdvals(weight.detach().double())
    # As `matrices.matrix_norm_bound`: an error relative to the Frobenius norm.
    return float(values[-1]) + ROUNDING * (1 + rows) * float(values.norm())


def is_algebraically_stable(tableau: Tableau) -> bool:
    """B > 0 and BA + AᵀB − bbᵀ ⪰ 0: contractive at every step size wherever ν ≤ 0.

    Decided exactly for rational tableaux; for rounded entries (gauss4) up to 1e-12.

    Source: Burrage & Butcher 1979.
    """
    return min(tableau.weights) > 0 and float(tableau.inverse_radius) <= ROUNDING


def markus_yamabe(t: float, a: float = 1.5) -> Tensor:
    """A(t), float64 (2, 2): its eigenvalues do not depend on t, and a solution grows all the same.

    ẋ = A(t)x has the solution e^{(a−1)t}(−cos t, sin t). For 1 < a < 2 the eigenvalues have the
    real part a/2 − 1 < 0: of a field that depends on time they prove nothing; a one-sided
    constant does (here ν ≥ a − 1 > 0).

    Source: Markus & Yamabe 1960.
    """
    c, s = math.cos(t), math.sin(t)
    rows = [[-1 + a * c * c, 1 - a * s * c], [-1 - a * s * c, -1 + a * s * s]]
    return torch.tensor(rows, dtype=torch.float64)
