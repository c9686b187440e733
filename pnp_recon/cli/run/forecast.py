"""About how long an energy will take for an ordinary picture, said before it is begun.

A descent takes about as many evaluations of the energy and solves of the data for every picture;
one of each is timed. An estimate, and called so.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.live import time_words
from pnp_recon.cli.run.options import Options, SolverName
from pnp_recon.cli.run.solve import Prior
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.descent.solver import Descent
from pnp_recon.solvers.knobs import Knobs

# Measured with both at 128² and 200² pixels, grey and colour, blurred, the choice of a strength
# included: 5.4 s said and 5.6 s taken, 9.2 and 7.8, 10.7 and 8.9.
EVALUATIONS, SOLVES = 110.0, 90.0
# Accuracy of the solve that is timed, relative.
INEXACT = 0.1
# Less than this is not worth a line, in seconds.
SHORT = 20.0


def forecast_line(case: Case, prior: Prior, options: Options) -> str | None:
    """What the run will take, in words; None: soon done, or nobody reads it, or unknown."""
    if options.quiet or options.as_json:
        return None
    seconds = forecast(case, prior, options)
    if seconds is None or seconds < SHORT:
        return None
    return f"time: {time_words(seconds)} (an estimate)"


def forecast(case: Case, prior: Prior, options: Options) -> float | None:
    """Seconds that the descent will take, about; None: it is not one, or not one alone."""
    usual = isinstance(prior, LearnedEnergy) and options.solver == SolverName.auto
    if not usual or case.parts or case.solve is not None:
        return None
    assert isinstance(prior, LearnedEnergy)
    fidelity = case.arguments.get("fidelity")
    problem = Problem(case.A, case.y, case.noise_level, fidelity=fidelity)
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
