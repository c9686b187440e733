"""The automatic choice of a solver's certified knobs from the noise level.

A strong denoiser, weakly coupled: the denoiser runs at a level s above the noise that hardly
follows it, s ∝ σ^0.2, and the data weigh γ = c·(s/σ)², as in a Gaussian model whose prior has
variance s². The numbers come from `scripts/tune.py` (BSDS500 val without BSD68); they change the
picture, never the guarantee. PnP-PGD has no free coupling (τ < 2/L ties it to the step): there the
level follows the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

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
# Below this noise level (8 bit rounding is 0.29/255) γ stays where it is.
LEAST_NOISE = 0.5 / 255


def automatic(noise_level: float, solver: str = "auto") -> Choice:
    """The tuned choice for a noise level on the [0, 1] scale."""
    name = DEFAULT_SOLVER if solver == "auto" else solver
    noise = max(noise_level, LEAST_NOISE)
    if name not in SPLITTINGS:
        return Choice(name, PGD_LEVEL * noise, PGD_STEP, 1.0)
    tuned = SPLITTINGS[name]
    level = tuned.level / 255 * (255 * noise / 2.55) ** LEVEL_EXPONENT
    return Choice(name, level, tuned.factor * (level / noise) ** 2, tuned.relaxation)
