"""The terms F(K x) of a primal–dual solver: a fidelity's loss, a functional's outer part, a box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from operators.base import LinearOperator
from operators.sampling import Identity
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.proximal import Box, Composite

# Step sizes: one number, or one for each entry.
Steps = float | Tensor


class Outer(Protocol):
    """F, a convex function of K x: its value, and the proximal map of step·F*."""

    def value(self, v: Tensor, /) -> Tensor: ...

    def conjugate_prox(self, u: Tensor, step: float, /) -> Tensor: ...


@dataclass(frozen=True)
class Block:
    """One term F(K x).

    Attributes:
        operator: K.
        outer: F.
        lipschitz: proven Lipschitz constant of F; it bounds the dual variable.
        smoothness: proven Lipschitz constant of ∇F for an F ≥ 0; it does so too.
    """

    operator: LinearOperator
    outer: Outer
    lipschitz: float = math.inf
    smoothness: float = math.inf

    def dual_radius(self, objective: Tensor) -> Tensor:
        """Bound (B,) on ‖u*‖ where the minimum is at most `objective` (B,).

        u* = ∇F(Kx*) has ‖u*‖² ≤ 2·smoothness·F(Kx*) for an F ≥ 0 (Nesterov 2004, Thm 2.1.5).
        """
        by_value = (2 * self.smoothness * objective.clamp_min(0)).sqrt()
        return by_value.nan_to_num(nan=math.inf).clamp_max(self.lipschitz)


@dataclass(frozen=True)
class _Loss:
    """The loss φ of a fidelity φ(A x)."""

    fidelity: Fidelity

    def value(self, v: Tensor) -> Tensor:
        return self.fidelity.loss(v)

    def conjugate_prox(self, u: Tensor, step: Steps) -> Tensor:
        return self.fidelity.conjugate_prox(u, step)


def data_block(fidelity: Fidelity) -> Block:
    """φ(A x), for fidelities without a closed-form proximal map on pictures."""
    if fidelity.beyond_loss:
        raise InputError(fidelity.beyond_loss)
    return Block(fidelity.A, _Loss(fidelity), smoothness=fidelity.loss_lipschitz)


def composite_block(
    regulariser: Composite, image_shape: tuple[int, int, int], lipschitz: float = math.inf
) -> Block:
    """outer(K x), as in total variation; `lipschitz` bounds that of outer."""
    return Block(regulariser.operator(image_shape), regulariser.outer, lipschitz)


def box_block(box: Box, image_shape: tuple[int, int, int]) -> Block:
    """The box as a dual term, where the primal term is something else."""
    return Block(Identity(image_shape), box)
