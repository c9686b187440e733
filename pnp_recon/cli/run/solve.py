"""From a problem and the options to a solution: the one place where a command calls a solver.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pnp_recon import guarantees
from pnp_recon.cli.run.model import chosen_model
from pnp_recon.cli.run.options import Method, Options, RunOptions, SolverName
from pnp_recon.cli.run.parts import in_parts
from pnp_recon.cli.run.problem import Problem, Session
from pnp_recon.cli.shell import parse_positive
from pnp_recon.errors import CertificateError, StepSizeError
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.problem import Problem as Measured
from pnp_recon.proximal import Regulariser
from pnp_recon.reconstruction import reconstruct, total_variation
from pnp_recon.report import RegulariserRecord
from pnp_recon.solvers import Look, Solution, Stopping
from pnp_recon.solvers.catalogue import solvers_for

Prior = Denoiser | Regulariser | LearnedReconstruction | None


def choose_prior(problem: Problem, session: Session[Options]) -> Prior:
    """What --method, --solver, --denoiser and --model ask for; None: no prior at all.

    Raises:
        CertificateError: one is required, and the network rules it out before the run.
        InputError: the network of --model is for another measurement.
    """
    options = session.options
    model = chosen_model(problem, session)
    if model is not None:
        return model
    if problem.solve is not None or _solver(problem, options) in solvers_for("none"):
        return None
    if options.method == Method.tv:
        fidelity = problem.arguments.get("fidelity")
        weight = parse_positive(options.weight, "--weight")
        measured = Measured(problem.A, problem.y, problem.noise_level, fidelity=fidelity)
        found = total_variation(measured)
        return found if weight is None else replace(found, weight=weight)
    denoiser = session.denoiser(problem.A.image_shape[0], problem.model)
    if options.require_certificate:
        _require_before(denoiser, _solver(problem, options))
    return denoiser


def _require_before(denoiser: Denoiser, solver: str) -> None:
    """What can be known of a certificate before the run."""
    held = denoiser.guarantee
    needs_slack = solver != "pnp-drs"
    if held.is_averaged if needs_slack else held.is_nonexpansive:
        return
    need = "averaged (α < 1)" if needs_slack else "1-Lipschitz"
    raise CertificateError(
        f"a certificate was required, but denoiser {denoiser.name} is not proven to be {need}: "
        f"{held}; choose another denoiser, or leave out --require-certificate"
    )


def solve(
    problem: Problem,
    prior: Prior,
    options: RunOptions,
    look: Callable[[Look], None],
) -> Solution:
    """Runs the problem's own method, or `reconstruct`."""
    if problem.solve is not None:
        return problem.solve()
    if problem.parts:
        return in_parts(problem.parts, look, lambda part, see: solve(part, prior, options, see))
    if isinstance(prior, LearnedReconstruction):
        return reconstruct(problem.y, problem.A, prior, callback=look)
    limits = {"tol": options.tol, "max_iter": options.max_iter, "time_limit": options.time_limit}
    given: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    given = {**problem.limits, **given}
    try:
        return reconstruct(
            problem.y,
            problem.A,
            "auto" if prior is None else prior,
            strength=parse_positive(options.strength, "--strength") or 1.0,
            acceleration=options.acceleration.value,
            noise_level=problem.noise_level,
            solver=_solver(problem, options),
            step=options.step,
            stopping=Stopping(**given) if given else None,
            allow_uncertified=options.allow_uncertified,
            callback=look,
            **problem.arguments,
        )
    except StepSizeError as error:
        if options.require_certificate:
            raise CertificateError(f"a certificate was required: {error}") from error
        raise


def _solver(problem: Problem, options: RunOptions) -> str:
    is_open = options.solver == SolverName.auto and options.method != Method.tv
    return problem.solver or "auto" if is_open else options.solver.value


def prior_record(prior: Prior) -> Denoiser | RegulariserRecord | LearnedReconstruction:
    """The prior as reports describe it."""
    if isinstance(prior, Denoiser | LearnedReconstruction):
        return prior
    if prior is None:
        nothing = guarantees.none("no prior: an early stop is the only regularisation")
        return RegulariserRecord("none", nothing)
    numbers = {k: v for k, v in vars(prior).items() if isinstance(v, int | float)}
    return RegulariserRecord(prior.name, prior.guarantee, numbers)
