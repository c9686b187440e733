"""What a caller can set of a solver."""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.errors import StepSizeError
from pnp_recon.problems.numbers import checked_number


@dataclass(frozen=True)
class Knobs:
    """What the caller has set; None: the solver's own choice.

    Attributes:
        strength: multiplies the weight of the prior against the data.
        step: step size.
        gamma: coupling γ > 0 of splitting methods.
        coupling: c of γ = c·(denoiser_level/noise)²/strength, in place of a γ; see `tuning`.
        relaxation: λ or ρ; see the solver.
        denoiser_level: level at which the denoiser runs, [0, 1] scale.
        denoiser_scaling: c of D_c(x) = D(cx)/c; None: 1.
        continuation: level at which the continuation that is the start of a descent begins, [0, 1]
            scale.
        keep_total: pictures explain the total of the data, see `proximal.BoxTotal`; None: no.
        allow_uncertified: run outside the theorem's range as well.

    Raises:
        InputError: a setting is not a finite number, or one that has to be positive is not.
        StepSizeError: step, gamma or relaxation is none. Which are covered, the solver says.
    """

    strength: float = 1.0
    step: float | None = None
    gamma: float | None = None
    relaxation: float | None = None
    denoiser_level: float | None = None
    denoiser_scaling: float | None = None
    allow_uncertified: bool = False
    continuation: float | None = None
    coupling: float | None = None
    keep_total: bool | None = None

    def __post_init__(self) -> None:
        checked_number("strength", self.strength, above=0.0)
        for name in ("step", "relaxation"):
            if (value := getattr(self, name)) is not None:
                hint = " inside the proven range of its solver"
                checked_number(name, value, hint=hint, error=StepSizeError)
        if self.gamma is not None:
            checked_number("gamma", self.gamma, above=0.0, error=StepSizeError)
        for name in ("denoiser_scaling", "coupling"):
            if (value := getattr(self, name)) is not None:
                checked_number(name, value, above=0.0)
        for name in ("denoiser_level", "continuation"):
            if (value := getattr(self, name)) is not None:
                checked_number(name, value, least=0.0)
