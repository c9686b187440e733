"""Step sizes of PDHG: how the budget τ Σ σᵢ‖Kᵢ‖² < 1 is spent.

Every choice inside it converges; these numbers only make it fast. The proof is `PDHG.check`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from operators.base import LinearOperator

# Of the budget, so that the rounding of the steps cannot lift the product to 1.
BUDGET = 0.99


def balanced_steps(
    norms: tuple[float, ...], shares: tuple[float, ...], tau: float
) -> tuple[float, ...]:
    """σᵢ with τσᵢ‖Kᵢ‖² = 0.99·shareᵢ.

    Args:
        norms: proven bounds of ‖Kᵢ‖.
        shares: of the budget, > 0, adding up to 1.
        tau: τ > 0; its best value is about (what the picture moves)/(what dual variables move).
    """
    pairs = zip(norms, shares, strict=True)
    return tuple(BUDGET * share / (tau * max(norm, 1e-30) ** 2) for norm, share in pairs)


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
    return BUDGET / (weight * columns + others), weight / rows, others


def absolute_sums(operator: LinearOperator) -> tuple[Tensor, Tensor]:
    """Proven upper bounds of the row sums A1 and of the column sums Aᵀ1, for entries ≥ 0.

    A sum of n numbers ≥ 0 has a relative error of at most nε (Higham 2002, §3.1). Operators that
    work by FFT have an absolute one, in float64 far below 10⁻⁶ of the largest sum. Both are added,
    the second to sums that vanish as well.

    Returns:
        (1, *measurement_shape) and (1, C, H, W) in float64, all > 0.
    """
    device = operator.certificate_start().device
    shape = (1, *operator.image_shape)
    ones = torch.ones(shape, dtype=operator.certificate_dtype, device=device)
    with torch.no_grad():
        rows = operator.A(ones)
        columns = operator.A_adjoint(torch.ones_like(rows))
    return _raised(rows, columns.numel()), _raised(columns, rows.numel())


def _raised(sums: Tensor, terms: int) -> Tensor:
    wide = sums.double()
    return wide * (1 + terms * torch.finfo(sums.dtype).eps) + 1e-6 * wide.max()
