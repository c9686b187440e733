"""From a case and the options to a solution: the one place where a command calls a solver.

Imported after parsing: it loads torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pnp_recon.cli.run.case import Case
from pnp_recon.cli.run.flags import SolverName
from pnp_recon.cli.run.options import Options, RunOptions
from pnp_recon.cli.run.parts import in_parts
from pnp_recon.cli.run.session import Session
from pnp_recon.cli.shell import parse_positive
from pnp_recon.errors import CertificateError
from pnp_recon.models import load
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.priors.unrolled import LearnedReconstruction
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Regulariser
from pnp_recon.reconstruction import reconstruct
from pnp_recon.solvers import Look, Solution, Status, Stopping
from pnp_recon.solvers.catalogue import solvers_for
from pnp_recon.solvers.core.strength import Trial
from pnp_recon.solvers.core.unsettled import UnsettledWarning
from pnp_recon.solvers.priors import total_variation

Prior = Denoiser | LearnedEnergy | Regulariser | LearnedReconstruction | None
# Where the solver can end before noise adds more error than its steps remove. With the usual
# tolerance scans of little noise ended up to 2.8 dB before that (docs/results/landweber.md).
LEAST_ERROR: dict[str, Any] = {"least_error": True, "early": False, "max_iter": 2000, "tol": 1e-6}
# Up to so many pixels an energy is the default: it is not computed in tiles, and a gradient in
# float64 takes about 2.5 GB for each million of them in colour.
ENERGY_PIXELS = 1_000_000


def choose_prior(case: Case, session: Session[Options]) -> Prior:
    """What --method, --solver, --denoiser and --model ask for; None: no prior at all."""
    options = session.options
    model = session.learned()
    if model is not None:
        return model
    if case.solve is not None or solver_name(case, options) in solvers_for("none"):
        return None
    if options.prior_kind == "functional":
        weight = parse_positive(options.weight, "--weight")
        fidelity = case.arguments.get("fidelity")
        found = total_variation(Problem(case.A, case.y, case.noise_level, fidelity=fidelity))
        return found if weight is None else replace(found, weight=weight)
    return session.prior(prior_name(case, options))


def prior_name(case: Case, options: RunOptions) -> str:
    """The name that --denoiser gives, or what its "auto" means for the case."""
    if options.denoiser != "auto":
        return options.denoiser
    channels, height, width = case.A.image_shape
    if case.energy is not None and height * width <= ENERGY_PIXELS and not options.iterates:
        return case.energy
    return case.model or load.AUTO[channels]


def model_warnings(case: Case, session: Session[Options]) -> tuple[str, ...]:
    """What the case has that the network of --model was not trained for.

    Raises:
        InputError: the network is for another measurement.
    """
    model = session.learned()
    return () if model is None else model.check(case.A, **case.facts)


def solve(
    case: Case,
    prior: Prior,
    options: RunOptions,
    look: Callable[[Look], None],
    tried: Callable[[Trial], None],
) -> Solution:
    """Runs the case's own method, or `reconstruct`.

    Parts share the strength that the middle one's data speak for.

    Args:
        look: see `reconstruct`, as `callback`.
        tried: see `reconstruct`, as `on_trial`.

    Raises:
        CertificateError: one is required, and cannot be given, or the run contradicts it.
    """
    required = options.require_certificate
    if case.solve is not None:
        return _by_formula(case.solve, required)
    if case.parts:
        return _in_parts(case.parts, prior, options, look, tried)
    with warnings.catch_warnings(action="ignore", category=UnsettledWarning):  # a doubt of the job
        solution = reconstruct(
            case.y,
            case.A,
            "auto" if prior is None else prior,
            require_certificate=required,
            callback=look,
            on_trial=tried,
            **({} if options.model is not None else _settings(case, prior, options)),
        )
    return solution if case.strength is None else replace(solution, strength=case.strength)


def _in_parts(
    parts: Sequence[Case],
    prior: Prior,
    options: RunOptions,
    look: Callable[[Look], None],
    tried: Callable[[Trial], None],
) -> Solution:
    """The parts one after the other, or the middle one first where its data say the strength.

    Raises:
        KeyboardInterrupt: Ctrl-C before the strength is known.
    """
    known: dict[int, Solution] = {}
    if options.asked_strength == "auto" and options.model is None:
        middle = len(parts) // 2
        first = solve(parts[middle], prior, options, lambda _: None, tried)
        if first.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        known[id(parts[middle])] = first
        if first.strength is not None:
            options = replace(options, strength=repr(first.strength.value))

    def one(part: Case, see: Callable[[Look], None]) -> Solution:
        return known.get(id(part)) or solve(part, prior, options, see, tried)

    joined = in_parts(parts, look, one)
    return replace(joined, strength=next(iter(known.values()), joined).strength)


def _settings(case: Case, prior: Prior, options: RunOptions) -> dict[str, Any]:
    """What the options and the case set of an iteration; a network of --model has none."""
    limits = {"tol": options.tol, "max_iter": options.max_iter, "time_limit": options.time_limit}
    given: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    given = {**case.limits, **(LEAST_ERROR if options.ends_in_time else {}), **given}
    return {
        "strength": options.asked_strength,
        "acceleration": options.acceleration.value,
        "noise_level": case.noise_level,
        "solver": "auto" if _chooses_itself(prior, options) else solver_name(case, options),
        "step": options.step,
        "ridge": options.ridge_weight(),
        "stopping": Stopping(**given) if given else None,
        "allow_uncertified": options.allow_uncertified,
        **case.arguments,
    }


def _by_formula(formula: Callable[[], Solution], required: bool) -> Solution:
    """No theorem can be asked before a formula is evaluated; its solution says what it has."""
    solution = formula()
    if required and not solution.certificate.holds:
        raise CertificateError(f"a certificate was required: {solution.certificate.verdict}")
    return solution


def _chooses_itself(prior: Prior, options: RunOptions) -> bool:
    """An energy, which no case has a solver for."""
    return options.solver == SolverName.auto and isinstance(prior, LearnedEnergy)


def searched(case: Case, options: RunOptions) -> bool:
    """Does the strength come from trials? A case may have its own."""
    own = "strength" in case.arguments or options.model is not None
    return options.asked_strength == "auto" and not own


def solver_name(case: Case, options: RunOptions) -> str:
    """The solver by name; where the user names none, the case's is for denoisers."""
    is_open = options.solver == SolverName.auto and options.prior_kind != "functional"
    return case.solver or "auto" if is_open else options.solver.value
