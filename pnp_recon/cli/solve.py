"""From a problem and the options to a solution: the one place where a command calls a solver.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pnp_recon import guarantees
from pnp_recon.cli.common import parse_positive
from pnp_recon.cli.options import Acceleration, Method, Options, RunOptions, SolverName
from pnp_recon.cli.parts import in_parts
from pnp_recon.cli.problem import Problem, Session
from pnp_recon.denoisers import Denoiser
from pnp_recon.errors import CertificateError, InputError, StepSizeError
from pnp_recon.reconstruction import reconstruct
from pnp_recon.report import RegulariserRecord
from pnp_recon.solvers import Look, Solution, Stopping


def choose_prior(problem: Problem, session: Session[Options]) -> Denoiser | RegulariserRecord:
    """What --method and --denoiser ask for.

    Raises:
        CertificateError: one is required, and the denoiser rules it out before the run.
    """
    options = session.options
    if problem.prior is not None:
        return problem.prior
    if options.method == Method.tv:
        moreau = "proximal map of a convex function (Moreau 1965)"
        weight = parse_positive(options.weight, "--weight")
        return RegulariserRecord("total variation", guarantees.firm(moreau), {"weight": weight})
    denoiser = session.denoiser(problem.A.image_shape[0], problem.model)
    if options.require_certificate and problem.solve is None:
        _require_before(denoiser, _solver(problem, options))
    return denoiser


def _require_before(denoiser: Denoiser, solver: str) -> None:
    """What can be known of a certificate before the run."""
    held = denoiser.guarantee
    needs_slack = solver in (SolverName.pgd, SolverName.hqs)
    if held.is_averaged if needs_slack else held.is_nonexpansive:
        return
    need = "averaged (α < 1)" if needs_slack else "1-Lipschitz"
    raise CertificateError(
        f"a certificate was required, but denoiser {denoiser.name} is not proven to be {need}: "
        f"{held}; choose another denoiser, or leave out --require-certificate"
    )


def solve(
    problem: Problem,
    prior: Denoiser | RegulariserRecord,
    options: RunOptions,
    look: Callable[[Look], None],
) -> Solution:
    """Runs the problem's own method, or `reconstruct`."""
    if problem.solve is not None:
        return problem.solve()
    if problem.parts:
        return in_parts(problem.parts, look, lambda part, see: solve(part, prior, options, see))
    limits = {"tol": options.tol, "max_iter": options.max_iter, "time_limit": options.time_limit}
    given = {key: value for key, value in limits.items() if value is not None}
    given = {**problem.limits, **given}
    try:
        return reconstruct(
            problem.y,
            problem.A,
            **_method(prior, options),
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
    # The problem's own solver is for a denoiser, or for the method that has no prior at all.
    fits = options.method == Method.pnp or problem.prior is not None
    is_open = options.solver == SolverName.auto and fits
    return problem.solver or "auto" if is_open else options.solver.value


def _method(prior: Denoiser | RegulariserRecord, options: RunOptions) -> dict[str, Any]:
    """Prior, strength and acceleration as arguments of `reconstruct`."""
    if options.acceleration != Acceleration.none:
        raise InputError(
            f"--acceleration {options.acceleration.value} is not available; leave it out"
        )
    if isinstance(prior, Denoiser):
        strength = parse_positive(options.strength, "--strength") or 1.0
        return {"denoiser": prior, "strength": strength}
    raise InputError("--method tv is not available; take --method pnp")
