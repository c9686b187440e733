"""Which solver suits a problem and a prior, and which settings it takes."""

from __future__ import annotations

from dataclasses import fields

from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.problems.problem import Problem
from pnp_recon.proximal import Composite, Regulariser
from pnp_recon.solvers.catalogue import SOLVERS, SolverEntry, solvers_with
from pnp_recon.solvers.convex.objective import Objective
from pnp_recon.solvers.core.loop import Solver
from pnp_recon.solvers.knobs import Knobs


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
    map in closed form, Douglas–Rachford for others."""
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
        raise InputError(f"{name} belongs to {', '.join(solvers_with(name))}; {entry.name} {takes}")
