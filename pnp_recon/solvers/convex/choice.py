"""`variational_solver`: any registered solver of min f(x) + g(x), with steps that are covered."""

from __future__ import annotations

import math

from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Composite, Regulariser
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers.convex.blocks import data_block
from pnp_recon.solvers.convex.fista import FISTA
from pnp_recon.solvers.convex.gradient import ISTA, GradientDescent, ProximalGradient
from pnp_recon.solvers.convex.objective import Objective
from pnp_recon.solvers.convex.pdhg import PDHG
from pnp_recon.solvers.convex.splitting import ADMM, HQS, DouglasRachford
from pnp_recon.solvers.convex.steps import balanced_steps
from pnp_recon.solvers.convex.total_variation import RELAXATION, total_variation_solver
from pnp_recon.solvers.core.loop import Solver

GRADIENT: dict[str, type[ProximalGradient]] = {
    solver.name: solver for solver in (GradientDescent, ProximalGradient, ISTA, FISTA)
}
SPLITTING: dict[str, type[HQS | DouglasRachford | ADMM]] = {
    solver.name: solver for solver in (HQS, DouglasRachford, ADMM)
}
VARIATIONAL: dict[str, type[Solver]] = {**GRADIENT, **SPLITTING, PDHG.name: PDHG}

# Steps as fractions of the limit of their range.
STEP_FRACTION = 0.9
FISTA_FRACTION = 0.99
# γL. HQS replaces f by its Moreau envelope, which is near f for small γL; and a proximal map that
# is a loop of its own is the faster the smaller γ is.
COUPLING = 10.0
COUPLING_SMALL = 1.0


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
    """A solver of min f(x) + g(x) by its registered name.

    Args:
        name: from `VARIATIONAL`, or "auto": pdhg for g = outer(Kx), FISTA for a smooth f and a g
            with a closed-form proximal map, Douglas–Rachford for others.
        step: τ of gradient methods; default 0.9 of the range's limit, 0.99 for FISTA.
        gamma: coupling of hqs, drs, admm; default 10/L; 1/L for hqs, and where the
            proximal map of g is a loop.
        relaxation: ρ of hqs, drs, admm, pdhg.

    Raises:
        InputError: arguments that the solver does not take.
    """
    name = automatic_name(fidelity, regulariser) if name == "auto" else name
    if name not in VARIATIONAL:
        raise InputError(f"unknown solver {name!r}; known: auto, {', '.join(VARIATIONAL)}")
    if step is not None and name not in GRADIENT:
        raise InputError(f"step belongs to {', '.join(GRADIENT)}; {name} takes gamma")
    if gamma is not None and name not in SPLITTING:
        raise InputError(f"gamma belongs to {', '.join(SPLITTING)}; {name} does not take it")
    if relaxation is not None and name in GRADIENT:
        raise InputError(f"relaxation belongs to {', '.join(SPLITTING)}, pdhg; {name} takes step")
    smoothness = fidelity.lipschitz if fidelity.A.has_norm_bound else math.inf
    smooth = 0 < smoothness < math.inf
    if name in GRADIENT:
        solver = GRADIENT[name]
        if step is None:
            fraction = FISTA_FRACTION if name == FISTA.name else 2 * STEP_FRACTION
            total = smoothness
            if name == GradientDescent.name:
                total += regulariser.strong_convexity
            step = fraction / total if smooth else 1.0  # `check` says what is missing
        return solver(fidelity, regulariser, step, start, allow_uncertified)
    if name in SPLITTING:
        if gamma is None:
            small = name == HQS.name or not regulariser.exact
            factor = COUPLING_SMALL if small else COUPLING
            gamma = factor / smoothness if smooth else 1.0
        weight = 1.0 if relaxation is None else relaxation
        return SPLITTING[name](fidelity, regulariser, gamma, start, weight, allow_uncertified)
    return _pdhg(fidelity, regulariser, start, relaxation, allow_uncertified)


def automatic_name(fidelity: Fidelity, regulariser: Regulariser) -> str:
    """The choice of "auto"."""
    if isinstance(regulariser, Composite) or not fidelity.has_prox:
        return PDHG.name
    missing = Objective(fidelity, regulariser).missing(smooth=True)
    return FISTA.name if missing is None and regulariser.exact else DouglasRachford.name


def _pdhg(
    fidelity: Fidelity,
    regulariser: Regulariser,
    start: Tensor,
    relaxation: float | None,
    allow_uncertified: bool,
) -> PDHG:
    weight = RELAXATION if relaxation is None else relaxation
    if isinstance(regulariser, TotalVariation):
        return total_variation_solver(
            fidelity,
            regulariser.weight,
            start,
            coupling=regulariser.coupling,
            box=regulariser.box,
            relaxation=weight,
            allow_uncertified=allow_uncertified,
        )
    bound = fidelity.A.norm_bound if fidelity.A.has_norm_bound else 1.0
    tau = 1 / max(bound, 1e-30)
    sigmas = balanced_steps((bound,), (1.0,), tau)
    blocks = (data_block(fidelity),)
    return PDHG(regulariser, blocks, tau, sigmas, start, weight, allow_uncertified)
