"""What the theorem about descent rests on for an energy and its data, in words and numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.priors.energies.base import LearnedEnergy, believed
from pnp_recon.priors.proof import TRAINING, unsteady
from pnp_recon.solvers.core.laws import GRADIENT, TOTAL
from pnp_recon.solvers.core.premises import basis_of, bounded_below, fitting, transposed
from pnp_recon.solvers.core.theorem import (
    Basis,
    Constant,
    CriticalPoint,
    Premise,
    Theorem,
    unproven,
)
from pnp_recon.solvers.descent.objective import Objective

NO_MAP = (
    "an energy is descended, no map is iterated; nothing is said of how its critical point depends "
    "on the data"
)
CRITICAL = (
    "Descent: the iterates z converge to a critical point of E = f + λR_σ + "
    "(c/2) dist²(·, [0, 1]ⁿ), and their moves have a finite sum "
    "(Attouch, Bolte & Svaiter 2013, Thm 2.9); which one depends "
    "on the start, and nothing is said of its stability in the data"
)
SPLIT = (
    "; the picture is x = z + ∇f(z)/λ of the limit z, a critical point of x ↦ E(prox_{f/λ}(x)), "
    "as prox_{f/λ} is a bijection with this inverse"
)
MINIMISER = (
    "Descent: the iterates z converge to the one minimiser of E = f + λR_σ + "
    "(c/2) dist²(·, [0, 1]ⁿ), which is strongly convex: f outweighs the weak convexity "
    "of λR_σ (Attouch, Bolte & Svaiter "
    "2013, Thm 2.9)"
)

ON_PLANE = "; all of it on the plane of the points whose picture has Σ A x = Σ y"


def descent_theorem(
    objective: Objective, step: float, fall: float, slope: float, continued: int
) -> Theorem:
    """The theorem for an objective, or why there is none."""
    fidelity, prior, level = objective.fidelity, objective.prior, objective.level
    operator = fidelity.A
    if not operator.adjoint_matched:
        return unproven(f"A_adjoint of operator '{operator.name}' is not the transpose of A")
    if math.isinf(fidelity.loss_lipschitz):
        return unproven(f"the gradient of the fidelity '{fidelity.name}' is not Lipschitz")
    if not bool((torch.as_tensor(fidelity.least) > -math.inf).all()):
        return unproven(
            f"no lower bound of the fidelity '{fidelity.name}' is known, without which level sets "
            "of the energy need not be bounded; give it `least`"
        )
    if part := unsteady(prior):
        return unproven(f"energy {prior.name}: {TRAINING.format(part=part)}")
    if coarse := _coarse(objective):
        return unproven(
            f"{coarse} of pictures in float64, in which H1 and H2 are to be checked; let it "
            "compute in the precision of the picture"
        )
    if rough := LearnedEnergy.rough(objective.exact, level, operator.image_shape):
        return unproven(
            f"the energy {prior.name} is made of {', '.join(rough[:3])}, which is not known to be "
            "smooth and definable; smooth forms (softplus, SiLU, ELU, squares) are"
        )
    ours = believed(prior) and believed(objective.exact)
    lipschitz = prior.lipschitz(level) if ours else None
    bend = prior.weak_convexity(level) if ours else None
    known = [
        Constant("λ", objective.weight, "weight of the energy"),
        Constant("σ", level, "level of the energy"),
        Constant("c", objective.penalty, "of the penalty outside [0, 1], which bounds level sets"),
        Constant("a", fall, "H1, set before the run"),
        Constant("b", slope, "H2, set before the run"),
        Constant(
            "τ",
            step,
            "plain step, halved down to τ/16"
            + (f"; the start is a continuation in σ of {continued} steps" if continued else ""),
        ),
    ]
    if lipschitz is not None:
        known.append(Constant("L of R_σ", lipschitz, "proven for every picture size"))
    convexity = fidelity.strong_convexity
    convex = bend is not None and objective.weight * bend < convexity
    if bend is not None:
        known.append(Constant("ρ of R_σ", bend, "R_σ + ρ/2‖·‖² is convex, every picture size"))
    if convex:
        known.append(Constant("m", convexity, f"strong convexity of the {fidelity.name} fidelity"))
    smooth = Premise(
        f"R_σ of {prior.name} is definable, with a gradient that is Lipschitz on bounded sets",
        Basis.PROVEN if ours else Basis.DECLARED,
    )
    below = Premise(
        f"R_σ of {prior.name} is not negative", Basis.PROVEN if ours else Basis.DECLARED
    )
    premises = (
        smooth,
        below,
        Premise("level sets of E are bounded, by the penalty outside the box"),
        transposed(operator),
        *fitting(fidelity),
        *definable(fidelity),
        *(bounded_below(operator) if convex else ()),
        Premise(GRADIENT, Basis.CHECKED),
        Premise(
            "H1 (E falls by a‖x_{k+1} − x_k‖²) and H2 (‖∇E(x_{k+1})‖ ≤ b‖x_{k+1} − x_k‖) hold at "
            "every step and for every picture, in float64",
            Basis.CHECKED,
        ),
    )
    statement = MINIMISER if convex else CRITICAL
    if objective.plane is not None:
        statement += ON_PLANE
        premises += (Premise(f"the points with {TOTAL} are a plane, as f is quadratic"),)
    return CriticalPoint(
        f"{statement}{SPLIT}" if objective.split else statement,
        guarantees.none(NO_MAP),
        tuple(known),
        premises,
        fall=fall,
        slope=slope,
    )


def definable(fidelity: Fidelity) -> tuple[Premise, ...]:
    """That somebody's fidelity is definable, as not every convex function is; () for ours."""
    if basis_of(fidelity) is Basis.PROVEN:
        return ()
    words = f"the fidelity '{fidelity.name}' is definable"
    return (Premise(words, Basis.DECLARED),)


def _coarse(objective: Objective) -> str:
    """What gives another precision than that of a picture in float64, in words; or empty.

    Raises:
        InputError: a caller's energy takes no such picture.
    """
    wide, fidelity, prior = objective.origin.double(), objective.fidelity, objective.exact
    found: dict[str, tuple[Tensor, ...]] = {}
    with torch.no_grad():
        image = fidelity.A.A(wide)
        found[f"operator '{fidelity.A.name}'"] = (image,)
        if basis_of(fidelity) is not Basis.PROVEN:
            found[f"the fidelity '{fidelity.name}'"] = (
                fidelity.value_at(wide, image),
                fidelity.gradient_at(wide, image),
            )
        if not believed(prior):
            try:
                found[f"the energy {prior.name}"] = prior.value_and_gradient(wide, objective.level)
            except RuntimeError as error:
                raise InputError(
                    f"the energy {prior.name} cannot be had of pictures in float64, in which H1 "
                    f"and H2 are to be checked: {error}; make it a torch.nn.Module, whose weights "
                    "are converted with it, or convert them to the precision of the picture"
                ) from error
    for name, parts in found.items():
        for part in parts:
            if part.dtype is not torch.float64:
                return f"{name} gives {part.dtype}"
    return ""
