"""The automatic choice of a solver's certified knobs from the noise level.

The numbers come from `scripts/tune.py`, which searches on BSDS500 val without BSD68 and prints
this table; they change the picture, never the guarantee.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Choice:
    """Solver, denoiser level ([0, 1] scale), coupling (γ, or τL for PnP-PGD) and relaxation."""

    solver: str
    level: float
    coupling: float
    relaxation: float


DEFAULT_SOLVER = "pnp-drs"

# Noise level·255 -> (denoiser level·255, coupling); log-linear in between, constant beyond.
TABLES: dict[str, dict[float, tuple[float, float]]] = {
    "pnp-drs": {2.55: (25.0, 50.0), 7.65: (25.0, 6.0)},
    "pnp-hqs": {2.55: (25.0, 50.0), 7.65: (25.0, 6.0)},
    "pnp-pgd": {2.55: (2.55, 1.9), 7.65: (7.65, 1.9)},
}
RELAXATION = {"pnp-drs": 0.5, "pnp-hqs": 1.0, "pnp-pgd": 1.0}


def automatic(noise_level: float, solver: str = "auto") -> Choice:
    """The tuned choice for a noise level on the [0, 1] scale."""
    name = DEFAULT_SOLVER if solver == "auto" else solver
    if name not in TABLES:
        return Choice(name, 0.0, 0.0, 1.0)
    table = sorted(TABLES[name].items())
    x = min(max(255 * noise_level, table[0][0]), table[-1][0])
    for (x0, low), (x1, high) in pairwise(table):
        if x <= x1:
            t = math.log(x / x0) / math.log(x1 / x0)
            level, coupling = (a ** (1 - t) * b**t for a, b in zip(low, high, strict=True))
            break
    else:
        level, coupling = table[-1][1]
    return Choice(name, level / 255, coupling, RELAXATION[name])
