"""Total variation for any physics: min f(x) + weight·TV(x) over a box, by PDHG."""

from __future__ import annotations

from torch import Tensor

from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal.coupling import Coupling
from pnp_recon.solvers.convex.pdhg import PDHG
from pnp_recon.solvers.convex.terms import RELAXATION, StepRule, total_variation_terms


def total_variation_solver(
    fidelity: Fidelity,
    weight: float,
    start: Tensor,
    *,
    coupling: Coupling = "isotropic",
    box: tuple[float, float] | None = (0.0, 1.0),
    balance: float = 1.0,
    step_rule: StepRule = "norms",
    relaxation: float = RELAXATION,
    allow_uncertified: bool = False,
) -> PDHG:
    """PDHG for min f(x) + weight·Σ_pixels ‖∇x‖ subject to low ≤ x ≤ high.

    Args:
        fidelity, weight, start, coupling, box, balance, step_rule: see `total_variation_terms`.
        relaxation: ρ in (0, 2).
        allow_uncertified: run outside the theorem's range, and say so in the certificate.

    Raises:
        InputError: arguments that do not fit together.
    """
    terms = total_variation_terms(
        fidelity,
        weight,
        start,
        coupling=coupling,
        box=box,
        balance=balance,
        step_rule=step_rule,
    )
    return PDHG(
        terms.primal,
        terms.blocks,
        terms.tau,
        terms.sigmas,
        start,
        relaxation,
        allow_uncertified,
    )
