"""What a caller can set of a solver."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pnp_recon.errors import InputError
from pnp_recon.solvers.catalogue import SolverEntry, solvers_with


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
        InputError: strength is not a positive number.
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

    def check(self, entry: SolverEntry) -> None:
        """Refuses what a solver does not know.

        Raises:
            InputError: naming the solvers that take the setting, and what this one takes.
        """
        every = {"strength", "allow_uncertified"}
        for field in fields(self):
            name = field.name
            if name in every or name in entry.takes or getattr(self, name) is None:
                continue
            takes = f"takes {', '.join(entry.takes)}" if entry.takes else "takes no such setting"
            raise InputError(
                f"{name} belongs to {', '.join(solvers_with(name))}; {entry.name} {takes}"
            )
