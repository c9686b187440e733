"""Step sizes of PDHG: how the budget τ Σ σᵢ‖Kᵢ‖² < 1 is spent.

Every choice inside it converges; these numbers only make it fast. The proof is `PDHG.theorem`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator

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


def absolute_sums(operator: LinearOperator) -> tuple[Tensor, Tensor]:
    """Proven upper bounds of the row sums A1 and of the column sums Aᵀ1, for entries ≥ 0.

    From the operator's own enclosures, which allow for its rounding.

    Returns:
        (1, *measurement_shape) and (1, C, H, W) in float64, ≥ 0.
    """
    device, dtype = operator.certificate_start().device, operator.certificate_dtype
    pixels = torch.ones(1, *operator.image_shape, dtype=dtype, device=device)
    data = torch.ones(1, *operator.measurement_shape, dtype=dtype, device=device)
    with torch.no_grad():
        rows = operator.enclosure(pixels)[1]
        columns = operator.enclosure(data, transpose=True)[1]
    return rows.double(), columns.double()
