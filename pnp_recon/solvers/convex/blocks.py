"""The terms F(K x) of a primal–dual solver: a fidelity's loss, a functional's outer part, a box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

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
        smoothness: proven Lipschitz constant of ∇F; it does so too, where F is bounded below.
    """

    operator: LinearOperator
    outer: Outer
    lipschitz: float = math.inf
    smoothness: float = math.inf

    @property
    def term(self) -> Any:
        """F as it was given: the fidelity, or the functional."""
        return self.outer.fidelity if isinstance(self.outer, _Loss) else self.outer

    @property
    def least(self) -> Tensor | float:
        """A lower bound of F, a number or (B,)."""
        return self.outer.fidelity.least if isinstance(self.outer, _Loss) else 0.0

    def dual_radius(self, excess: Tensor) -> Tensor:
        """Bound (B,) on ‖u*‖ where F(Kx*) lies at most `excess` (B,) above the infimum of F.

        u* = ∇F(Kx*) has ‖u*‖² ≤ 2·smoothness·(F(Kx*) − inf F) (Nesterov 2004, Thm 2.1.5).
        """
        by_value = (2 * self.smoothness * excess.clamp_min(0)).sqrt()
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
