"""Step sizes of PDHG: how the budget τ Σ σᵢ‖Kᵢ‖² < 1 is spent, and how much of it is.

Every choice inside it converges; these numbers only make it fast. The proof is `PDHG.theorem`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from operators.base import LinearOperator
from operators.norms import round_up
from pnp_recon.solvers.convex.blocks import Block, Steps

# What is used of the budget, so that the rounding of the steps cannot lift the product to 1.
BUDGET = 0.99


def balanced_steps(
    norms: tuple[float, ...], shares: tuple[float, ...], tau: float
) -> tuple[float, ...]:
    """σᵢ with τσᵢ‖Kᵢ‖² = 0.99·shareᵢ.

    Args:
        norms: proven bounds of ‖Kᵢ‖.
        shares: parts of the budget, > 0, adding up to 1.
        tau: τ > 0; its best value is about (what the picture moves)/(what dual variables move).
    """
    pairs = zip(norms, shares, strict=True)
    return tuple(
        BUDGET * share / (tau * max(norm, 1e-30) * max(norm, 1e-30)) for norm, share in pairs
    )


def diagonal_steps(
    operator: LinearOperator, share: float, tau: float
) -> tuple[Tensor, Tensor, float]:
    """Steps for each pixel and each datum of an operator with entries ≥ 0.

    σᵢ = w/rᵢ and τⱼ = 0.99/(w cⱼ + q) with row sums r and column sums c (Pock & Chambolle 2011,
    eq. 10 with α = 1), where w and q are such that operator and other blocks take `share` and
    1 − `share` of 1/τ in a pixel of average c.

    Returns:
        τⱼ (1, C, H, W), σᵢ (1, *measurement_shape), and q, which the other blocks may fill:
        Σ σᵢ‖Kᵢ‖² ≤ q over them.
    """
    rows, columns = absolute_sums(operator)
    others = (1 - share) / tau
    weight = share / (tau * float(columns.mean()))
    # A datum that nothing reaches may have any finite step.
    reached = rows.clamp_min(1e-6 * float(rows.max()))
    return BUDGET / (weight * columns + others), weight / reached, others


def absolute_sums(
    operator: LinearOperator, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Proven upper bounds of the row sums A1 and of the column sums Aᵀ1, for entries ≥ 0.

    From the operator's own enclosures, which allow for its rounding; on `device`, or where the
    operator lies.

    Returns:
        (1, *measurement_shape) and (1, C, H, W) in float64, ≥ 0.
    """
    device = operator.certificate_start().device if device is None else device
    dtype = operator.certificate_dtype
    pixels = torch.ones(1, *operator.image_shape, dtype=dtype, device=device)
    data = torch.ones(1, *operator.measurement_shape, dtype=dtype, device=device)
    with torch.no_grad():
        rows = operator.enclosure(pixels)[1]
        columns = operator.enclosure(data, transpose=True)[1]
    return rows.double(), columns.double()


def step_product(blocks: Sequence[Block], tau: Steps, sigmas: Sequence[Steps]) -> float:
    """Proven bound of ‖Σ^½ K T^½‖², T and Σ the diagonal matrices of the step sizes.

    A block with one σ adds σ‖K‖²; a block with a σ for each row adds wⱼ = max σᵢrᵢ times its
    column sums, rᵢ its row sums (Pock & Chambolle 2011, proof of Lemma 2). NaN or inf where a step
    is not a positive number.
    """
    total: Steps = 0.0
    for block, sigma in zip(blocks, sigmas, strict=True):
        if isinstance(sigma, Tensor):
            rows, columns = absolute_sums(block.operator, sigma.device)
            total = total + float((sigma.double() * rows).max()) * columns
        else:
            total = total + sigma * block.operator.norm_bound * block.operator.norm_bound
    taus = tau.double() if isinstance(tau, Tensor) else tau
    positive = all(smallest(step) > 0 for step in (tau, *sigmas))
    return round_up(largest(taus * total)) if positive else math.nan


def largest(step: Steps) -> float:
    return float(step.max()) if isinstance(step, Tensor) else step


def smallest(step: Steps) -> float:
    return float(step.min()) if isinstance(step, Tensor) else step


def weighted(u: Tensor, step: Steps) -> Tensor:
    """Σ u²/step of each picture, (B,)."""
    square = u.square()
    if isinstance(step, Tensor):
        return (square / step).flatten(1).sum(1)
    return square.flatten(1).sum(1) / step
