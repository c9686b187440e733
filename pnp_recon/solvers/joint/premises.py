"""What the theorem about pairs of picture and kernel rests on, in words and numbers."""

from __future__ import annotations

from dataclasses import replace

from pnp_recon.solvers.core.theorem import Basis, Constant, CriticalPoint, Premise, Theorem
from pnp_recon.solvers.descent.premises import descent_theorem
from pnp_recon.solvers.joint.objective import JointObjective

ENERGY = "E(x, k) = f_k(x) + λR_σ(x) + (c/2) dist²(x, [0, 1]ⁿ) + ι(k)"
STATEMENT = (
    "Joint descent; start: heuristic, the kernel k₀ that was handed in; end: critical point of the "
    f"joint energy, picture x and kernel k together converge to one of {ENERGY}, ι of the kernels "
    "without negative weights that sum to one, and their moves have a finite sum (Attouch, Bolte & "
    "Svaiter 2013, Thm 2.9; steps of Bolte, Sabach & Teboulle 2014); which one depends on the "
    "start, and nothing says that k is the true kernel"
)
SPLIT = (
    "; the picture is x + ∇f_k(x)/λ of the limit, a critical point of E(prox_{f_k/λ}(·), k), as "
    "prox_{f_k/λ} is a bijection with this inverse"
)
PREMISES = (
    Premise("f_k(x) is a polynomial of x and k, and the simplex of kernels is compact"),
    Premise(
        "H1 (E falls by a‖z_{k+1} − z_k‖²) and H2 (a subgradient at z_{k+1} is at most "
        "b‖z_{k+1} − z_k‖) hold at every step, z = (x, s·k), in float64",
        Basis.CHECKED,
    ),
)


def joint_theorem(joint: JointObjective, step: float, fall: float, slope: float) -> Theorem:
    """The theorem for a pair, or why there is none: what descent in x alone has, and more."""
    alone = descent_theorem(joint.objective, step, fall, slope, 0)
    if not isinstance(alone, CriticalPoint):
        return alone
    # Strong convexity in x alone says nothing of the pair.
    constants = tuple(item for item in alone.constants if item.name != "m")
    return replace(
        alone,
        statement=STATEMENT + (SPLIT if joint.objective.split else ""),
        constants=(
            *constants,
            Constant("s", joint.unit, "unit of the kernel in ‖z‖"),
        ),
        premises=(*(item for item in alone.premises if "H1" not in item.words), *PREMISES),
    )
