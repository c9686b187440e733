"""--model: a reconstruction network in place of solver and prior. Imports no torch at the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnp_recon.errors import CertificateError, InputError

if TYPE_CHECKING:
    from pnp_recon.cli.run.options import Options, RunOptions
    from pnp_recon.cli.run.problem import Problem, Session
    from pnp_recon.priors.unrolled import LearnedReconstruction


def check_model_options(options: RunOptions) -> None:
    """Refuses settings of an iteration along with --model.

    Raises:
        InputError: naming the first of them.
    """
    if options.model is None:
        return
    given = {
        f"--method {options.method.value}": options.method.value != "pnp",
        "--denoiser": options.denoiser != "auto",
        "--solver": options.solver.value != "auto",
        "--acceleration": options.acceleration.value != "auto",
        "--strength": options.strength != "auto",
        "--weight": options.weight != "auto",
        "--step": options.step is not None,
        "--max-iter": options.max_iter is not None,
        "--tol": options.tol is not None,
        "--time-limit": options.time_limit is not None,
    }
    found = [option for option, is_given in given.items() if is_given]
    if found:
        raise InputError(
            f"{found[0]} does not go with --model, a network that reconstructs by itself in a "
            "fixed number of learned iterations; leave one of them out"
        )


def chosen_model(problem: Problem, session: Session[Options]) -> LearnedReconstruction | None:
    """The network of --model, checked against the problem; None where there is none.

    Raises:
        CertificateError: a certificate is required, and a network has none.
        InputError: the network is for another measurement.
    """
    model = session.learned()
    if model is None:
        return None
    if session.options.require_certificate:
        raise CertificateError(
            f"a certificate was required, but {model.name} has none: {model.guarantee}; take a "
            "denoiser, or leave out --require-certificate"
        )
    model.check(problem.A, **problem.facts)
    return model


def model_warnings(problem: Problem, session: Session[Options]) -> tuple[str, ...]:
    """What the problem has that the network of --model was not trained for."""
    model = session.learned()
    return () if model is None else model.check(problem.A, **problem.facts)
