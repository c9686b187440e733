"""Reconstruction: each denoiser inside the same certified iteration, variational methods as such.

What differs between deblurring, inpainting and tomography is the problem: operator, measurements,
truth. A denoiser runs in the suite's solver at its tuned level and coupling; total variation and
wavelets are minimised by the solver that is automatic for them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.benchmark import measure
from pnp_recon.benchmark.cells import STRENGTH, Cell, Plan
from pnp_recon.benchmark.choice import AUTO, TUNED
from pnp_recon.benchmark.methods import Method
from pnp_recon.benchmark.rows import (
    CERTIFIED,
    CONDITIONAL,
    CONTRADICTED,
    DIVERGED,
    NO_GUARANTEE,
)
from pnp_recon.benchmark.suites.base import (
    Outcome,
    Suite,
    kept_pictures,
    method_of,
    parameters_of,
    plugged,
    row_of_run,
    within,
)
from pnp_recon.problems.problem import Problem
from pnp_recon.reconstruction import reconstruct
from pnp_recon.solvers import Certificate, History, Solution, Status, Stopping
from pnp_recon.solvers.tuning import automatic, coupling, total_variation_weight

# All but `Status.INTERRUPTED`, of which `solve` makes no row.
STATUS = {
    Status.DIRECT: "done",
    Status.FIXED_DEPTH: "done",
    Status.CONVERGED: "converged",
    Status.GAP: "converged",
    Status.EARLY_STOP: "early stop",
    Status.LEAST_ERROR: "early stop",
    Status.ITERATION_LIMIT: "iteration limit",
    Status.TIME_LIMIT: "time limit",
    Status.STAGNATED: "stagnated",
    Status.INNER_LIMIT: "inner limit",
    Status.NON_FINITE: DIVERGED,
}
# A curve keeps at most so many points, evenly spaced in the logarithm of the iteration.
CURVE_POINTS = 200


class Reconstruct(Suite):
    """What deblurring, inpainting and tomography share."""

    @abstractmethod
    def problem(self, plan: Plan, cell: Cell) -> Problem:
        """The problem of a cell, with its truth in [0, 1]; the same for every method.

        What it starts from is what the reconstruction is compared with.
        """

    def measure(self, plan: Plan, cell: Cell) -> Outcome:
        problem = self.problem(plan, cell)
        truth, start = problem.truth, problem.first_guess()
        assert truth is not None
        method = method_of(plan, cell)
        parameters: dict[str, float] = {}
        if plan.strength == TUNED:
            parameters = parameters_of(plan, cell.suite, method, cell.degradation.noise)
        run = {**arguments(plan, method, problem, parameters), "start": start}
        # Imports, caches and the norm of the operator are not timed.
        warm = {**run, "stopping": Stopping(tol=1.0, max_iter=1), "strength": 1.0}
        solve(problem.y, problem.A, **warm)
        solution, seconds, memory = measure.timed(
            lambda: solve(problem.y, problem.A, **run), plan.repeats, plan.device
        )
        row = row_of_run(
            plan,
            cell,
            method,
            {**parameters, **strength_of(plan, method, solution)},
            seconds,
            memory,
            **course(solution),
            **certified(solution.certificate),
            **measure.scores(solution.image, truth, start),
        )
        pictures = kept_pictures(plan, cell, clean=truth, input=start, image=solution.image)
        return Outcome(row, curve(solution.history), pictures)


def solve(y: Tensor, A: LinearOperator, **run: Any) -> Solution:
    """`reconstruct`, which Ctrl-C ends as it ends any other cell.

    Raises:
        KeyboardInterrupt: the loop was interrupted; half an iteration is no row.
    """
    solution = reconstruct(y, A, **run)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution


def arguments(
    plan: Plan, method: Method, problem: Problem, parameters: Mapping[str, float]
) -> dict[str, Any]:
    """What `reconstruct` is called with for a method.

    Parameters are "level" (of the denoiser, σ·255) and "coupling" (c of γ = c (level/σ)²), or, of
    variational methods, "weight" (in units of the automatic one); what is left out is automatic.
    Where the plan's strength is not "tuned" there are none, and `reconstruct` couples by it.
    """
    scale, noise = problem.A.norm_bound, problem.noise()
    shared: dict[str, Any] = {
        "noise_level": noise,
        "stopping": stopping(plan, "max_iter"),
        "allow_uncertified": True,  # the certificate says so
        "strength": 1.0,
    }
    factor, strength = strengths(plan)
    weight = factor * parameters.get("weight", 1.0) * total_variation_weight(noise, scale)
    prior = method.regulariser(weight, plan.channels)
    if prior is not None:
        limit = stopping(plan, "variational_max_iter")
        own = AUTO if strength == AUTO else 1.0  # a number is in the weight already
        return {**shared, "prior": prior, "stopping": limit, "strength": own}
    if method.energy is not None:
        return {**shared, "prior": method.energy, "strength": strength}
    denoiser = plugged(plan, method)
    if method.solver is not None:  # with its published settings
        return {**shared, "prior": denoiser, "solver": method.solver}
    solver = plan.settings["solver"]
    if plan.strength != TUNED:
        return {**shared, "prior": denoiser, "solver": solver, "strength": strength}
    choice = automatic(noise, solver, scale)
    level = within(denoiser, parameters.get("level", 255 * choice.level) / 255)
    gamma = choice.coupling
    if "coupling" in parameters:
        gamma = coupling(parameters["coupling"], level, noise, scale)
    return {
        **shared,
        "prior": denoiser,
        "solver": solver,
        "denoiser_level": level,
        "gamma": gamma,
    }


def strengths(plan: Plan) -> tuple[float, float | str]:
    """The factor on the automatic coupling, and what `reconstruct` takes: it, or "auto"."""
    if plan.strength == AUTO:
        return 1.0, AUTO
    factor = 1.0 if plan.strength == TUNED else float(plan.strength)
    return factor, factor


def strength_of(plan: Plan, method: Method, solution: Solution) -> dict[str, float]:
    """The strength that a run had, where it was not tuned, as a parameter of the row."""
    if plan.strength == TUNED or method.solver is not None:
        return {}
    found: Any = strengths(plan)[1]
    if found == AUTO:
        chosen = getattr(solution, "strength", None)
        found = getattr(chosen, "value", chosen)
    return {} if found is None else {STRENGTH: float(found)}


def stopping(plan: Plan, limit: str) -> Stopping:
    """The suite's rule; iterations of variational methods are many and cheap."""
    tol, most = plan.settings["tol"], int(plan.settings[limit])
    return Stopping(tol=tol, max_iter=most, check_every=1)


def course(solution: Solution) -> dict[str, Any]:
    """The columns about how an iteration went."""
    residual = None
    if solution.iterations:
        residual = max(solution.history.relative(-1))
    status = STATUS[solution.status]
    return {
        "status": status,
        "message": solution.status.value if status == DIVERGED else "",
        "iterations": solution.iterations,
        "residual": residual,
    }


def certified(certificate: Certificate) -> dict[str, Any]:
    """The certificate columns of an iteration: what its theorem says of itself."""
    words = NO_GUARANTEE
    if certificate.holds:
        words = CONDITIONAL if certificate.conditions else CERTIFIED
    numbers = certificate.theorem.numbers()
    return {
        "certificate": CONTRADICTED if certificate.contradicted else words,
        "theorem": certificate.verdict,
        "alpha": numbers.get("averagedness"),
        "lipschitz": numbers.get("lipschitz"),
    }


def curve(history: History) -> dict[str, list[float]]:
    """Relative residual against iteration, thinned out."""
    count = history.iterations
    if not count:
        return {}
    wanted = torch.logspace(0, torch.tensor(float(count)).log10(), CURVE_POINTS).round().int()
    chosen = sorted({min(max(int(k), 1), count) for k in wanted})
    return {
        "iteration": [float(k) for k in chosen],
        "residual": [max(history.relative(k - 1)) for k in chosen],
    }
