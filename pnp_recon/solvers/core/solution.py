"""What a run leaves behind: `Solution`, its `History`, and the `Look` that callbacks get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.error_bar import Bar
from pnp_recon.solvers.core.gap import Gap
from pnp_recon.solvers.core.notebook import html
from pnp_recon.solvers.core.stopping import Status, Stopping
from pnp_recon.solvers.core.strength import Strength


@dataclass(frozen=True)
class History:
    """One row for each iteration, with one value for each picture of the batch.

    Attributes:
        residuals: ‖z_{k+1} − z_k‖ over one picture, or the solver's own measure of stationarity.
        norms: ‖z_k‖.
        errors: proven bounds on ‖z_{k+1} − T z_k‖ (zero for closed forms).
        bounds: the theorem's bound on residuals; empty where there is none.
        tolerances: what was asked of the errors; empty where steps are exact.
        ratios: left over right side of the inequality that the solver checks at every step.
        energies, falls, gradients, moves: what a descent found after each step: E, by how much
            it fell, ‖∇E‖, ‖z_{k+1} − z_k‖, in float64; empty elsewhere.
        checked: iterations at which the loop looked (stopping, callback).
        seconds: time since the start, at each look.
        psnr: against the reference, at each look; empty without one.
        least: norm below which z counts as zero, so that relative residuals are held against it.
        unit: rounding of one number in a step, relative: machine epsilon, or what the solver makes
            of it (`Solver.rounding_gain`).
        stride: `Solver.stride`, by which `relative` divides.
        floor: first step (0-based) from which on tolerances fall no further, or None.
        picture_errors: proven bound on the error of each picture as computed of the last iterate.
        pixels: number of values of one picture, channels included.
    """

    residuals: list[list[float]] = field(default_factory=list)
    norms: list[list[float]] = field(default_factory=list)
    errors: list[list[float]] = field(default_factory=list)
    bounds: list[list[float]] = field(default_factory=list)
    tolerances: list[list[float]] = field(default_factory=list)
    ratios: list[list[float]] = field(default_factory=list)
    energies: list[list[float]] = field(default_factory=list)
    falls: list[list[float]] = field(default_factory=list)
    gradients: list[list[float]] = field(default_factory=list)
    moves: list[list[float]] = field(default_factory=list)
    checked: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    psnr: list[list[float]] = field(default_factory=list)
    least: float = 1e-30
    stride: float = 1.0
    unit: float = 2.3e-16
    floor: int | None = None
    picture_errors: list[float] = field(default_factory=list)
    pixels: int = 1

    @property
    def iterations(self) -> int:
        return len(self.residuals)

    def relative(self, iteration: int) -> list[float]:
        """(‖z_{k+1} − z_k‖ + e_k)/(stride·‖z_k‖) of every picture (0-based k; −1 for the last).

        With the proven inner error e_k it bounds the exact residual ‖T z_k − z_k‖/‖z_k‖, which
        an inexact step could hide; the stride keeps a short step from passing for a small residual,
        and so does half a unit of rounding, in which it may vanish altogether.
        """
        rows = (self.residuals[iteration], self.errors[iteration], self.norms[iteration])
        hidden = self.unit / 2 if self.stride < 1 else 0.0
        return [
            (residual + e + hidden * norm) / (self.stride * max(norm, self.least))
            for residual, e, norm in zip(*rows, strict=True)
        ]


@dataclass(frozen=True)
class Look:
    """What a callback sees at each look: the worst relative residual, and the mean PSNR."""

    iteration: int
    residual: float
    psnr: float | None
    image: Callable[[], Tensor]


@dataclass(frozen=True, repr=False)
class Solution:
    """What a run returns.

    Attributes:
        image: (B, C, H, W), from the last finite iterate; in [0, 1] where the solver projects.
        status: how it ended.
        certificate: what was proven, with the run's observations.
        history: residuals, bounds and times.
        solver: its name in the registry.
        parameters: the solver's numbers (coupling, level, relaxation ...), for the report.
        error_bars: proven bound of the distance between each picture and that of the one fixed
            point, where the iterated map is a contraction; else empty.
        strength: how strongly the prior weighs, and how that was chosen; None for methods that
            know no prior.
        gap: what duality says of the objective, where `Stopping.gap` asked for it and the solver
            has one; of `image`, however the run ended. None after an interruption.
        found: what was reconstructed besides the picture, by name; see `Solver.found`.
        stopping: when the run was asked to stop; None where nothing was iterated.
    """

    image: Tensor
    status: Status
    certificate: Certificate
    history: History
    solver: str
    parameters: dict[str, float]
    error_bars: tuple[Bar, ...] = ()
    strength: Strength | None = None
    gap: Gap | None = None
    found: Mapping[str, Tensor] = field(default_factory=dict)
    stopping: Stopping | None = None

    @property
    def iterations(self) -> int:
        return self.history.iterations

    def __repr__(self) -> str:
        """A line: shape, ending, verdict in a word."""
        shape = "×".join(map(str, self.image.shape))
        return (
            f"<Solution {shape}, {self.solver}: {self.status.name.lower()} after "
            f"{self.iterations} iterations, {self.certificate.label}>"
        )

    def _repr_html_(self) -> str:
        """What notebooks show: the picture, the verdict and the residuals."""
        worst = [max(self.history.relative(k)) for k in range(self.iterations)]
        return html(self.image, self.certificate, worst, self.status.value)
