"""The terms of PDHG for total variation with any physics, and steps that balance them.

The step sizes were measured on pictures in [0, 1]; they decide how fast it is, never whether it
converges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from operators.checks.probing import norm_or_attained
from operators.norms import round_up
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Box, Regulariser
from pnp_recon.proximal.coupling import Coupling
from pnp_recon.proximal.total_variation import TotalVariation
from pnp_recon.solvers.convex.blocks import Block, Steps, composite_block, data_block
from pnp_recon.solvers.convex.steps import balanced_steps, diagonal_steps

StepRule = Literal["norms", "diagonal"]

# τ = 0.2 (R/(L·weight))^½ for pictures of range R and an L-smooth fidelity: scaling the objective
# or the picture scales τ as it has to. Measured, with the share of the data term, on blurs,
# missing pixels and a scan: within a third of the fewest iterations of a grid around them.
PRIMAL_SCALE = 0.2
# τ·weight/R where the fidelity is not smooth.
PRIMAL_SCALE_NONSMOOTH = 0.03
DATA_SHARE = 0.3
# Halves the iterations of ρ = 1 in all of them.
RELAXATION = 1.9


@dataclass(frozen=True, eq=False)
class Terms:
    """g, the terms Fᵢ(Kᵢx), and the steps τ and σᵢ: see `PDHG`."""

    primal: Regulariser | Fidelity | None
    blocks: tuple[Block, ...]
    tau: Steps
    sigmas: tuple[Steps, ...]


def plain_terms(fidelity: Fidelity, regulariser: Regulariser) -> Terms:
    """g as the primal term, the fidelity as the only block."""
    bound = norm_or_attained(fidelity.A)
    tau = 1 / max(bound, 1e-30)
    return Terms(regulariser, (data_block(fidelity),), tau, balanced_steps((bound,), (1.0,), tau))


def total_variation_terms(
    fidelity: Fidelity,
    weight: float,
    start: Tensor,
    *,
    coupling: Coupling = "isotropic",
    box: tuple[float, float] | None = (0.0, 1.0),
    balance: float = 1.0,
    step_rule: StepRule = "norms",
    slice_spacing: float | None = None,
) -> Terms:
    """f(x) + weight·Σ_pixels ‖∇x‖ subject to low ≤ x ≤ high.

    Without a box, and where f has a proximal map in closed form, f is the primal term; otherwise
    its loss is a dual block, so that a step costs one A and one Aᵀ.

    Args:
        fidelity: f.
        weight: > 0, in the units of f: doubling f asks for twice the weight.
        start: x₀ (B, C, H, W).
        coupling: how channels are coupled, see `TotalVariation`.
        box: (low, high) or None.
        balance: multiplies τ and divides the σᵢ; for tuning.
        step_rule: "norms": one step for each block; "diagonal": one for each pixel and datum, for
            operators with entries ≥ 0 (Pock & Chambolle 2011).
        slice_spacing: channels are the slices of a volume, see `TotalVariation`.

    Raises:
        InputError: arguments that do not fit together.
    """
    regulariser = TotalVariation(weight, coupling, slice_spacing=slice_spacing)
    if not weight > 0 or not 0 < balance < math.inf:
        raise InputError(f"weight and balance must be positive, found {weight} and {balance}")
    shape = (int(start.shape[1]), int(start.shape[2]), int(start.shape[3]))
    slopes = composite_block(regulariser, shape, dual_radius(coupling, weight, shape))
    steepest = max(slopes.operator.norm_bound, 1.0)  # a picture of one pixel has no gradient
    extent = 1.0 if box is None else box[1] - box[0]
    tau = balance * _primal_step(fidelity, weight, extent if 0 < extent < math.inf else 1.0)
    sigmas: tuple[Steps, ...]
    if box is None and fidelity.exact_prox and step_rule == "norms":
        sigmas = balanced_steps((steepest,), (1.0,), tau)
        return Terms(fidelity, (slopes,), tau, sigmas)
    blocks: tuple[Block, ...] = (data_block(fidelity), slopes)
    primal = None if box is None else Box(*box)
    if step_rule == "norms":
        bound = norm_or_attained(fidelity.A)  # `theorem` says where it is none
        sigmas = balanced_steps((bound, steepest), (DATA_SHARE, 1 - DATA_SHARE), tau)
        return Terms(primal, blocks, tau, sigmas)
    if step_rule != "diagonal":
        raise InputError(f"step_rule is {step_rule!r}; choose norms or diagonal")
    taus, data, rest = diagonal_steps(fidelity.A, DATA_SHARE, tau)
    sigmas = (data.to(start), rest / steepest**2)
    return Terms(primal, blocks, taus.to(start), sigmas)


def dual_radius(coupling: Coupling, weight: float, shape: tuple[int, int, int]) -> float:
    """Norm of the largest dual variable: the Lipschitz constant of weight·Σ‖·‖ of gradients.

    In every pixel its dual norm is at most `weight` (see `proximal.coupling`), and its Euclidean
    norm at most the root of as many times that as there are norms, or singular values.
    """
    channels, height, width = shape
    parts = {"isotropic": channels, "vectorial": 1, "nuclear": min(2, channels)}[coupling]
    return round_up(weight * math.sqrt(parts * height * width))


def _primal_step(fidelity: Fidelity, weight: float, extent: float) -> float:
    smoothness = fidelity.usual_lipschitz
    if 0 < smoothness * weight < math.inf:
        return PRIMAL_SCALE * math.sqrt(extent / (smoothness * weight))
    return PRIMAL_SCALE_NONSMOOTH * extent / weight
