"""Which solver suits a problem and a prior, and which settings it takes."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from operators.base import LinearOperator
from pnp_recon.contracts import PriorKind
from pnp_recon.errors import InputError, StepSizeError
from pnp_recon.fidelity import Fidelity, Ridged
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Composite, Regulariser
from pnp_recon.solvers.acceleration.wrapped import Wrapped
from pnp_recon.solvers.catalogue import (
    ACCELERATIONS,
    AUTOMATIC_ACCELERATION,
    DEFAULT_SOLVERS,
    SOLVERS,
    SolverEntry,
    solvers_for,
    solvers_with,
)
from pnp_recon.solvers.convex.objective import Objective
from pnp_recon.solvers.core.solver import Solver
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.base import PnP

# Times as short as a step may be made by curvature that no data reach.
SHORTEST = 100.0


def configured(
    prior: Denoiser | LearnedEnergy | Regulariser | None,
    entry: SolverEntry | None,
    problem: Problem,
    knobs: Knobs,
) -> Solver:
    """The solver that was asked for, or the automatic one of the prior's kind.

    Raises:
        InputError: the solver takes other priors, or does not know a setting.
    """
    kind: PriorKind = "none" if prior is None else prior.kind
    if entry is None:
        if isinstance(prior, Regulariser):
            entry = SOLVERS[automatic_name(problem.data_term, prior)]
        else:
            entry = SOLVERS[DEFAULT_SOLVERS[kind]]
    if kind not in entry.prior_kinds:
        wanted = " or ".join(map(_one, entry.prior_kinds))
        raise InputError(
            f"solver {entry.name} takes {wanted}, found {_one(kind)}; {_one(kind)} goes into "
            f"{', '.join(solvers_for(kind))}"
        )
    check_settings(knobs, entry)
    _check_norm(problem.A, entry, kind, knobs)
    _check_bend(problem, entry, kind, knobs)
    if isinstance(prior, Regulariser):
        prior = prior.scaled(knobs.strength)
    with torch.no_grad():
        if problem.start is None:
            # Iterations without a prior start from nothing: an early stop is their regularisation.
            empty = problem.y.new_zeros(problem.y.shape[0], *problem.A.image_shape)
            problem = replace(problem, start=empty if prior is None else problem.first_guess())
    solver: Solver = entry.load().configure(problem, prior, knobs)
    return solver


def _check_norm(A: LinearOperator, entry: SolverEntry, kind: PriorKind, knobs: Knobs) -> None:
    """Refuses steps that are to follow from a norm of which nothing is known.

    An operator whose A_adjoint is not the transpose has no theorem anyway, and no bound to give.

    Raises:
        StepSizeError: with what to declare, or which solvers need no norm.
    """
    if A.has_norm_bound or not A.adjoint_matched or not entry.needs_norm:
        return
    if knobs.step is not None or knobs.allow_uncertified:
        return
    others = [name for name in solvers_for(kind) if not SOLVERS[name].needs_norm]
    instead = f", take {' or '.join(others)}, which need none" if others else ""
    raise StepSizeError(
        f"solver {entry.name} takes its steps from the norm of '{A.name}', of which no bound is "
        "known; declare norm_bound=... (or nonnegative=True) where the operator is made"
        f"{instead}, or pass allow_uncertified=True for an estimate and no guarantee"
    )


def _check_bend(problem: Problem, entry: SolverEntry, kind: PriorKind, knobs: Knobs) -> None:
    """Refuses a denoiser between steps that the fidelity makes far too short for it.

    A step follows the largest curvature, which a Kullback–Leibler fidelity has in the dark. Where
    data are explained it hardly moves then, and the denoiser, which has a least level, decides
    alone: pictures came out 10 dB worse than a back-projection, and no strength changed it.

    Raises:
        StepSizeError: with what to take instead.
    """
    if kind != "denoiser" or "step" not in entry.takes or knobs.step is not None:
        return
    shorter = problem.smoothness / problem.scale**2
    if shorter <= SHORTEST:
        return
    raise StepSizeError(
        f"solver {entry.name} takes steps by the largest curvature of the fidelity "
        f"'{problem.data_term.name}', {shorter:.2g} times what it is where the data are explained: "
        "it would hardly move, and the denoiser decide alone. Take pnp-hqs or pnp-drs, an energy "
        "(descent), or WeightedLeastSquares with weights 1/photon_variance(y, ...) "
        "(pnp_recon.estimation.photons); or set the step"
    )


def _one(kind: str) -> str:
    return f"{'an' if kind == 'energy' else 'a'} {kind}"


def accelerated(solver: Solver, acceleration: str) -> Solver:
    """The solver inside an acceleration; "auto": Anderson's around an averaged map of a denoiser.

    Raises:
        InputError: there is no such acceleration, or it is not for this solver.
    """
    if acceleration == "none":
        return solver
    if acceleration == "auto":
        plain = isinstance(solver, PnP) and solver.theorem().guarantee.is_averaged
        if not plain:
            return solver
        acceleration = AUTOMATIC_ACCELERATION
    wrapper: type[Wrapped] = ACCELERATIONS.find(acceleration, "auto", "none").load()
    return wrapper(solver)


def variational_solver(
    name: str,
    fidelity: Fidelity,
    regulariser: Regulariser,
    start: Tensor,
    *,
    step: float | None = None,
    gamma: float | None = None,
    relaxation: float | None = None,
    allow_uncertified: bool = False,
) -> Solver:
    """A solver of min f(x) + g(x) by its name, with steps that are covered.

    Args:
        name: from the catalogue, or "auto": see `automatic_name`.
        step: τ of gradient methods; default 0.9 of the range's limit, 0.99 for FISTA.
        gamma: coupling of hqs, drs, admm; default 10/L; 1/L for hqs, and where the
            proximal map of g is a loop.
        relaxation: ρ of hqs, drs, admm, pdhg.

    Raises:
        InputError: arguments that the solver does not take.
    """
    name = automatic_name(fidelity, regulariser) if name == "auto" else name
    entry = SOLVERS.find(name, "auto")
    knobs = Knobs(
        step=step, gamma=gamma, relaxation=relaxation, allow_uncertified=allow_uncertified
    )
    check_settings(knobs, entry)
    solver: Solver = entry.load().configure(
        Problem(fidelity.A, fidelity.y, start=start, fidelity=fidelity), regulariser, knobs
    )
    return solver


def automatic_name(fidelity: Fidelity, regulariser: Regulariser) -> str:
    """The choice of "auto": pdhg for g = outer(Kx), FISTA for a smooth f and a g with a proximal
    map in closed form, Douglas–Rachford for others, and wherever f has a ridge."""
    if isinstance(fidelity, Ridged) and fidelity.has_prox:
        return "drs"  # a ridge on the picture is no loss of A x, which pdhg takes
    if isinstance(regulariser, Composite) or not fidelity.has_prox:
        return "pdhg"
    missing = Objective(fidelity, regulariser).missing(smooth=True)
    return "fista" if missing is None and regulariser.exact else "drs"


# What every run has, whatever its solver.
EVERY = ("strength", "allow_uncertified")


def check_settings(knobs: Knobs, entry: SolverEntry) -> None:
    """Refuses what a solver does not know.

    Raises:
        InputError: naming the solvers that take the setting, and what this one takes.
    """
    for field in fields(knobs):
        name = field.name
        if name in EVERY or name in entry.takes or getattr(knobs, name) is None:
            continue
        takes = f"takes {', '.join(entry.takes)}" if entry.takes else "takes no such setting"
        # Those that take the prior at hand, where there are any.
        known = solvers_with(name)
        fitting = [s for s in known if set(SOLVERS[s].prior_kinds) & set(entry.prior_kinds)]
        raise InputError(f"{name} belongs to {', '.join(fitting or known)}; {entry.name} {takes}")
