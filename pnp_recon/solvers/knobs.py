"""What a caller can set of a solver."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pnp_recon.errors import InputError


@dataclass(frozen=True)
class Knobs:
    """What the caller has set; None: the solver's own choice.

    Attributes:
        strength: multiplies the weight of the prior against the data.
        step: step size.
        gamma: coupling γ > 0 of splitting methods.
        relaxation: λ or ρ; see the solver.
        denoiser_level: level at which the denoiser runs, [0, 1] scale.
        denoiser_scaling: c of D_c(x) = D(cx)/c; None: 1.
        allow_uncertified: run outside the theorem's range as well.

    Raises:
        InputError: strength or denoiser_scaling is not a positive number.
    """

    strength: float = 1.0
    step: float | None = None
    gamma: float | None = None
    relaxation: float | None = None
    denoiser_level: float | None = None
    denoiser_scaling: float | None = None
    allow_uncertified: bool = False

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InputError(f"strength must be positive, found {self.strength}")
        scaling = self.denoiser_scaling
        if scaling is not None and not 0 < scaling < math.inf:
            raise InputError(f"denoiser_scaling must be a finite number above 0, found {scaling}")
