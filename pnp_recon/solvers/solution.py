"""What a run leaves behind: `Solution`, its `History`, and the `Look` that callbacks get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from pnp_recon.solvers.certificate import Certificate
from pnp_recon.solvers.stopping import Status


@dataclass(frozen=True)
class History:
    """One row for each iteration, with one value for each picture of the batch.

    Attributes:
        residuals: ‖z_{k+1} − z_k‖, Euclidean over one picture.
        norms: ‖z_k‖; residuals/norms is the relative residual that stopping looks at.
        errors: proven bounds on ‖z_{k+1} − T z_k‖ (zero for closed forms).
        bounds: the theorem's bound on residuals, (α/(1−α))^½ ‖z₀−z*‖/(k+1)^½; empty where
            nothing is proven.
        checked: iterations at which the loop looked (stopping, callback).
        seconds: time since the start, at each look.
        psnr: against the reference, at each look; empty without one.
    """

    residuals: list[list[float]] = field(default_factory=list)
    norms: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)
    bounds: list[list[float]] = field(default_factory=list)
    checked: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    psnr: list[list[float]] = field(default_factory=list)

    @property
    def iterations(self) -> int:
        return len(self.residuals)

    def relative(self, iteration: int) -> list[float]:
        """Relative residual of every picture at an iteration (0-based; −1 for the last)."""
        pairs = zip(self.residuals[iteration], self.norms[iteration], strict=True)
        return [residual / max(norm, 1e-30) for residual, norm in pairs]


@dataclass(frozen=True)
class Look:
    """What a callback sees at each look: the worst relative residual, and the mean PSNR."""

    iteration: int
    residual: float
    psnr: float | None
    image: Callable[[], Tensor]


@dataclass(frozen=True)
class Solution:
    """What a run returns.

    Attributes:
        image: (B, C, H, W) in [0, 1], from the last finite iterate.
        status: how it ended.
        certificate: what was proven, with the run's observations.
        history: residuals, bounds and times.
        solver: its name in the registry.
        parameters: the solver's numbers (coupling, level, relaxation ...), for the report.
    """

    image: Tensor
    status: Status
    certificate: Certificate
    history: History
    solver: str
    parameters: dict[str, float]

    @property
    def iterations(self) -> int:
        return self.history.iterations
