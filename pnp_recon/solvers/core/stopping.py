"""Stopping rules and outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pnp_recon.problems.numbers import checked_count, checked_flag, checked_number


class Status(Enum):
    """How a run ended; the value is the sentence for the user."""

    DIRECT = "computed by a formula, without iteration"
    FIXED_DEPTH = "computed in a fixed number of steps, those of a network or of a schedule"
    CONVERGED = "converged: the relative residual reached the tolerance"
    GAP = "converged: the duality gap reached its tolerance"
    EARLY_STOP = "stopped early: for this method the early stop is the regularisation"
    LEAST_ERROR = (
        "stopped early, before the first step that is estimated to add more noise than it removes "
        "error: an estimate by the noise level, of which nothing is proven"
    )
    ITERATION_LIMIT = (
        "stopped at the iteration limit; raise max_iter (--max-iter) or loosen tol (--tol)"
    )
    TIME_LIMIT = (
        "stopped at the time limit, the picture is unfinished; raise time_limit (--time-limit) or "
        "loosen tol (--tol)"
    )
    STAGNATED = (
        "stagnated: the steps are below the rounding of this precision, and the tolerance is below "
        "what they can show; loosen tol (--tol), or compute in float64 (--dtype float64)"
    )
    INNER_LIMIT = (
        "not converged: the inner solves are less exact than the tolerance asks for, by rounding "
        "or by their own limits; loosen tol (--tol), or compute in float64 (--dtype float64)"
    )
    INTERRUPTED = "interrupted; the picture is the last iterate"
    NON_FINITE = "diverged to non-finite values; the picture is the last finite iterate"

    @property
    def succeeded(self) -> bool:
        return self in (
            Status.CONVERGED,
            Status.DIRECT,
            Status.EARLY_STOP,
            Status.FIXED_DEPTH,
            Status.GAP,
            Status.LEAST_ERROR,
        )


@dataclass(frozen=True)
class Stopping:
    """When to stop.

    Attributes:
        tol: on (‖z_{k+1} − z_k‖ + inner error)/‖z_k‖, for the worst picture of the batch.
        max_iter: iteration limit.
        gap: on the bound of (F(x) − min F)/F(x) by duality, for the worst picture, where the solver
            has a duality gap: whichever of it and `tol` is reached first. It is proven but for a
            margin for rounding, which is chosen. It costs a product with the operator and its
            transpose in float64 at each look. None: it is not computed.
        early: the limit is where the run is meant to end, as in classical iterations for noisy
            data; reaching it is `Status.EARLY_STOP`.
        least_error: for `reconstruct` with solver "landweber": the picture is the one before the
            first step that is estimated to add more noise than it removes error, which is
            `Status.LEAST_ERROR`; `max_iter` stays a limit. The noise must be white, or its level
            given for each datum, and a start of your own not made of y. See `solvers.in_time` and
            docs/control.md.
        time_limit: seconds, or None.
        check_every: iterations between two looks at the residuals; each look waits for the
            device once.

    Raises:
        InputError: a limit that is not a finite number above 0.
    """

    tol: float = 1e-4
    max_iter: int = 1000
    time_limit: float | None = None
    check_every: int = 5
    early: bool = False
    gap: float | None = None
    least_error: bool = False

    def __post_init__(self) -> None:
        checked_number("tol", self.tol, above=0.0)
        checked_count("max_iter", self.max_iter)
        checked_count("check_every", self.check_every)
        checked_flag("early", self.early)
        checked_flag("least_error", self.least_error)
        if self.gap is not None:
            checked_number("gap", self.gap, above=0.0)
        if self.time_limit is not None:
            checked_number("time_limit", self.time_limit, above=0.0)
