"""What time a run will take, said before it is begun: the one rule of all commands.

It is a range: one piece of the work, timed on the very data, times how many of them runs took.
Where crops speak for a large picture, what they took is the piece. What is left is then told by the
iterations themselves (`live.Course`). All of it are estimates, and called so. For memory see
`memory`.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from operators.errors import OperatorError
from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.flags import SolverName
from pnp_recon.cli.run.live import span_words, time_words
from pnp_recon.cli.run.options import Options
from pnp_recon.cli.run.solve import Prior, searched, solver_name
from pnp_recon.errors import PnPReconError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Regulariser
from pnp_recon.solvers.catalogue import DEFAULT_SOLVERS, SOLVERS
from pnp_recon.solvers.choice import configured
from pnp_recon.solvers.descent.solver import Descent
from pnp_recon.solvers.knobs import Knobs

# Less is not worth a line, in seconds.
SHORT = 20.0
# From so many pixels on a step of a map or a functional is timed.
PIXELS = 200 * 200

# What runs took, with the usual tolerance. A descent: evaluations of the energy and solves of the
# data, its search of the strength included (128² and 200² pixels, grey and colour, blurred: 5.4 s
# said and 5.6 taken, 9.2 and 7.8, 10.7 and 8.9).
EVALUATIONS, SOLVES = 110.0, 90.0
# Others: iterations, and steps of the search, whose pictures are two (scans of 128² to 512² pixels,
# a blur and missing pixels).
ITERATIONS = {"functional": 170, "denoiser": 30, "energy": 3}
SEARCH = {"functional": 320, "denoiser": 120}
# Accuracy of the solve that is timed, relative.
INEXACT = 0.1
# Other pictures take other numbers of them.
RANGE = 0.6, 2.0
# Caches and transforms: pixels that are n times as many as a crop's took n to n^1.4 times as long
# (1.7 n at 1 megapixel and 5.7 n at 12, on a machine that was busy with other things).
GROWTH = 1.4


@dataclass(frozen=True)
class Span:
    """Seconds, from `low` to `high`."""

    low: float
    high: float

    @property
    def words(self) -> str:
        return span_words(self.low, self.high)


# ---- time ----------------------------------------------------------------------------------------


def time_lines(span: Span | None, why: str = "", slower: str = "") -> tuple[str, ...]:
    """A range of time in words, or its lower end where it may be longer; nothing where it is not
    known."""
    if span is None:
        return ()
    words = f"{time_words(span.low)} or much longer: {slower}" if slower else span.words
    return (f"time: {words} ({why}an estimate)",)


def by_a_piece(case: Case, prior: Prior, options: Options) -> Span | None:
    """What the run will take, by one piece of its work; None: nobody reads it, it is soon over, or
    its solver is one of which nothing is known."""
    if options.quiet or options.as_json or case.solve is not None or options.model is not None:
        return None
    part = case.parts[len(case.parts) // 2] if case.parts else case
    try:
        with torch.no_grad():
            seconds = _of_one(part, prior, options)
    except (PnPReconError, OperatorError):
        return None  # the run will say why
    if seconds is None:
        return None
    low, high = (share * seconds * max(len(case.parts), 1) for share in RANGE)
    return None if high < SHORT else Span(low, high)


def by_a_crop(seconds: float, share: float) -> Span:
    """What a picture takes whose crop took `seconds`; it has `share` times the crop's values."""
    return Span(share * seconds, max(share, share**GROWTH) * seconds)


def iterations_of(prior: Prior) -> int | None:
    """How many a run with a prior takes, about; None: unknown."""
    return None if prior is None or isinstance(prior, LearnedReconstruction) else ITERATIONS[
        prior.kind
    ]  # fmt: skip


def _of_one(case: Case, prior: Prior, options: Options) -> float | None:
    known = {name: case.arguments.get(name) for name in ("fidelity", "start")}
    problem = Problem(case.A, case.y, case.noise_level, **known)
    if isinstance(prior, LearnedEnergy):
        if options.solver.value not in (SolverName.auto.value, DEFAULT_SOLVERS[prior.kind]):
            return None
        return _of_descent(problem, prior)
    if not isinstance(prior, Denoiser | Regulariser) or case.pixels < PIXELS:
        return None
    name = solver_name(case, options)
    solver = configured(prior, None if name == "auto" else SOLVERS[name], problem, Knobs())
    state = solver.init()
    state = solver.step(state, 0).state  # prepares what others have
    each = _seconds(lambda: solver.step(state, 1))
    count = ITERATIONS[prior.kind] + (SEARCH[prior.kind] if searched(case, options) else 0)
    return count * each


def _of_descent(problem: Problem, prior: LearnedEnergy) -> float:
    objective = Descent.configure(problem, prior, Knobs()).objective
    start = problem.first_guess()
    _, slope = objective.value_and_gradient(start)  # the first call prepares what others have
    evaluation = _seconds(lambda: objective.value_and_gradient(start))
    solve = _seconds(lambda: objective.metric_solve(slope, INEXACT))
    return EVALUATIONS * evaluation + SOLVES * solve


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin
