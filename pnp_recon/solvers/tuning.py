"""The automatic choice of a solver's certified knobs from the noise level.

A strong denoiser, weakly coupled: the denoiser runs at a level s above the noise that hardly
follows it, s ∝ σ^0.2, and the data weigh γ = c·(s/σ)², as in a Gaussian model whose prior has
variance s². The numbers come from scripts/tables/tuning.py (BSDS500 val without BSD68); they change
the picture, never the guarantee. PnP-PGD has no free coupling (τ < 2/L ties it to the step): there
the level follows the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_SOLVER = "pnp-hqs"


@dataclass(frozen=True)
class Choice:
    """Solver, denoiser level ([0, 1] scale), coupling (γ, or τL for PnP-PGD) and relaxation."""

    solver: str
    level: float
    coupling: float
    relaxation: float


@dataclass(frozen=True)
class _Splitting:
    level: float  # s·255 at σ·255 = 2.55
    factor: float  # c
    relaxation: float


SPLITTINGS = {
    "pnp-hqs": _Splitting(level=10.0, factor=5.5, relaxation=1.0),
    "pnp-drs": _Splitting(level=9.0, factor=1.7, relaxation=0.9),
}
LEVEL_EXPONENT = 0.2
# PnP-PGD: τL, and the denoiser's level in units of the noise level.
PGD_STEP, PGD_LEVEL = 1.9, 1.0
# λ = TV_FACTOR·σ^TV_EXPONENT.
TV_FACTOR, TV_EXPONENT = 0.72, 1.47
# Below this noise level (8 bit rounding is 0.29/255) γ stays where it is.
LEAST_NOISE = 0.5 / 255


def on_pictures(noise_level: float, scale: float, evenness: float) -> float:
    """The noise on the [0, 1] scale that choices go by; the arguments of `automatic`."""
    return max(noise_level / scale, LEAST_NOISE * evenness)


def automatic(
    noise_level: float, solver: str = "auto", scale: float = 1.0, evenness: float = 1.0
) -> Choice:
    """The tuned choice for a noise level.

    Args:
        noise_level: standard deviation of the noise in the data, in the units of the data.
        solver: a name, or "auto".
        scale: ‖A‖ (or √L of another fidelity): noise_level/scale is what the noise amounts to on
            the [0, 1] scale of the picture where A sees it best. 1 for blurs and masks.
        evenness: that of the problem, which lowers `LEAST_NOISE`: for rays that count very
            differently it would be reached by the best of them while the others are noisy.
    """
    name = DEFAULT_SOLVER if solver == "auto" else solver
    noise = on_pictures(noise_level, scale, evenness)
    if name not in SPLITTINGS:
        return Choice(name, PGD_LEVEL * noise, PGD_STEP, 1.0)
    tuned = SPLITTINGS[name]
    level = tuned.level / 255 * (255 * noise / 2.55) ** LEVEL_EXPONENT
    found = coupling(tuned.factor, level, noise_level, scale, evenness)
    return Choice(name, level, found, tuned.relaxation)


def coupling(
    factor: float, level: float, noise_level: float, scale: float = 1.0, evenness: float = 1.0
) -> float:
    """γ = factor·(level/noise)² of a splitting; `level` on the [0, 1] scale, the rest as above."""
    noise = on_pictures(noise_level, scale, evenness)
    return factor * (level / (noise * scale)) ** 2


def total_variation_weight(noise_level: float, scale: float = 1.0, evenness: float = 1.0) -> float:
    """Weight of TV against ½‖A x − y‖² for pictures in [0, 1]; the arguments of `automatic`.

    λ = ‖A‖²·0.72·(σ/‖A‖)^1.47: a line through the best weights of deblurring at σ·255 = 2.55 and
    7.65 (`docs/results/tuning.jsonl`).
    """
    noise = on_pictures(noise_level, scale, evenness)
    return TV_FACTOR * noise**TV_EXPONENT * scale**2


@dataclass(frozen=True)
class EnergyChoice:
    """How an energy R_σ is weighed against the data.

    Attributes:
        level: σ, [0, 1] scale.
        noise: level in the data, in their units.
        factor: c of λ = c (noise/σ)².
        curvature: about the largest curvature of R_σ: the first step is 1/(λ·curvature).
    """

    level: float
    noise: float
    factor: float
    curvature: float

    def weight(self, level: float) -> float:
        """λ at a level."""
        return self.factor * (self.noise / level) ** 2


# For an energy: σ·255 at noise of 2.55, its exponent, c, and about the largest curvature of R_σ.
# Found on val without BSD68, as the numbers above: a level above the noise where that is weak.
ENERGY_LEVEL, ENERGY_EXPONENT, ENERGY_FACTOR, ENERGY_CURVATURE = 7.65, 0.35, 0.4, 1.3


def energy_choice(
    noise_level: float,
    scale: float,
    levels: tuple[float, float],
    card: Mapping[str, Any],
    evenness: float = 1.0,
) -> EnergyChoice:
    """The tuned choice of an energy for a noise level.

    Args:
        noise_level, scale: as for `automatic`.
        levels: at which the energy may be used, [0, 1] scale.
        card: that of the energy; its "coupling" overrides the numbers above.
        evenness: as for `automatic`.
    """
    tuned = card.get("coupling", {})
    noise = on_pictures(noise_level, scale, evenness)
    level = tuned.get("level", ENERGY_LEVEL) / 255 * (255 * noise / 2.55) ** ENERGY_EXPONENT
    level = min(max(level, noise, levels[0]), levels[1])
    return EnergyChoice(
        level,
        noise * scale,
        tuned.get("factor", ENERGY_FACTOR),
        tuned.get("curvature", ENERGY_CURVATURE),
    )
