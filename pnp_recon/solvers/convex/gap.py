"""The duality gap of min g(x) + Σ Fᵢ(Kᵢx), g a bounded box: how far an objective is from its least.

For every x in the box and all uᵢ, weak duality says

    F(x) − min F ≤ F(x) + Σ Fᵢ*(uᵢ) + g*(−Σ Kᵢᵀuᵢ)

(Rockafellar 1970, Thm 31.1). It bounds values of the objective and no distance: for ‖x − x*‖ the
objective has to be strongly convex, ‖x − x*‖² ≤ 2 gap/m, which total variation is not, nor a fit to
fewer data than pixels. The Fᵢ*(uᵢ) come from proximal maps; one that is wrong makes a dual point
that is not feasible, or a gap below zero, and either is said instead of a bound.

That holds in exact arithmetic. Computed in float64, the gap gets a margin for rounding: chosen, and
not derived from the operators, the values Fᵢ and the proximal maps, whose rounding is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pnp_recon.proximal import Box
from pnp_recon.solvers.convex.blocks import Block, Steps
from pnp_recon.solvers.core.gap import Gap

# Margin for rounding in float64, relative to the absolute sum of what is added up. γ_n = n·1.1e-16
# of it bounds the rounding of a sum in any order (Higham 2002, Eq. 4.4), so that it is proven for
# n up to 9e5; for operators and proximal maps it is chosen: far below a gap that counts.
ROUNDING = 1e-10
# Multiples of the point of Fenchel and Young at which their inequality is held against.
FAR = 8.0


def duality_gap(
    box: Box, blocks: Sequence[Block], sigmas: Sequence[Steps], x: Tensor, duals: Sequence[Tensor]
) -> Gap:
    """The gap at x and at uᵢ' = prox_{σᵢFᵢ*}(uᵢ + σᵢKᵢx).

    Fᵢ*(uᵢ') = ⟨pᵢ, uᵢ'⟩ − Fᵢ(pᵢ) with pᵢ = (uᵢ + σᵢKᵢx − uᵢ')/σᵢ (Fenchel–Young); it is held
    against ⟨q, uᵢ'⟩ − Fᵢ(q) at other q, which lies nowhere above it.

    Args:
        box: g, bounded.
        x: (B, C, H, W) in the box.
        duals: uᵢ (B, *measurement shape) of each block.
    """
    wide = x.double()
    objective = wide.new_zeros(len(x))
    sizes, gap, back = objective.clone(), objective.clone(), torch.zeros_like(wide)
    faulty = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for block, step, u in zip(blocks, sigmas, duals, strict=True):
        sigma = step.double() if isinstance(step, Tensor) else step
        image = block.operator.A(wide)
        moved = u.double() + sigma * image
        dual = block.outer.conjugate_prox(moved, sigma)  # type: ignore[arg-type]
        touched = (moved - dual) / sigma

        def below(q: Tensor, block: Block = block, dual: Tensor = dual) -> tuple[Tensor, Tensor]:
            """⟨q, u'⟩ − F(q), and how much is rounded in it."""
            terms, value = (q * dual).flatten(1), block.outer.value(q).double()
            return terms.sum(1) - value, terms.abs().sum(1) + value.abs()

        conjugate, size = below(touched)
        for q in (image, FAR * touched):
            other, more = below(q)
            faulty |= other > conjugate + ROUNDING * (size + more)
        value = block.outer.value(image).double()
        objective += value
        gap += value + conjugate
        sizes += value.abs() + size
        back += block.operator.A_adjoint(dual)
    corners = torch.maximum(-box.low * back, -box.high * back).flatten(1)
    corner = corners.sum(1)
    slack = ROUNDING * (sizes + corners.abs().sum(1))
    gap += corner
    faulty |= ~(gap >= -slack)  # NaN as well
    return Gap(torch.where(faulty, math.inf, gap + slack), objective, faulty)
