"""Conjugate gradients for least squares (CGLS); as in `classical` an early stop regularises."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from operators.conjugate_gradient import image_dots, image_norms, per_image
from pnp_recon import guarantees
from pnp_recon.fidelity import LeastSquares
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.classical import least_squares, unmatched
from pnp_recon.solvers.core.laws import ROUNDING_UNITS
from pnp_recon.solvers.core.premises import transposed
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.theorem import Basis, Krylov, Premise, Theorem, unproven
from pnp_recon.solvers.knobs import Knobs


@dataclass(frozen=True)
class Conjugate(State):
    """What conjugate gradients remember: the residual r, s = Aᵀr, the direction p and ‖s‖²."""

    r: Tensor
    s: Tensor
    p: Tensor
    gamma: Tensor


@dataclass(frozen=True, eq=False)
class CGLS(Solver[Conjugate]):
    """Conjugate gradients on AᵀA x = Aᵀy (Hestenes & Stiefel 1952).

    In exact arithmetic it ends after at most rank(A) steps at the least-squares solution nearest
    to the start. Until then neither ‖A x_k − y‖ nor the distance to that solution ever grows
    (Thm 6:3 there). The residual for stopping is ‖Aᵀ(y − A x_k)‖/‖Aᵀy‖.
    """

    fidelity: LeastSquares
    start: Tensor
    name = "cgls"

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        return cls(least_squares(problem.data_term), problem.first_guess())

    def __post_init__(self) -> None:
        least_squares(self.fidelity)

    def theorem(self) -> Theorem:
        if (reason := unmatched(self.fidelity.A)) is not None:
            return unproven(reason)
        statement = (
            "CGLS: ‖A x_k − y‖ and the distance to the nearest least-squares solution never grow, "
            "and the iterates end there (Hestenes & Stiefel 1952)"
        )
        law = "‖A x_k − y‖ never increases (ratio of successive)"
        premises = (
            transposed(self.fidelity.A),
            Premise("‖A x_k − y‖ never increases", Basis.CHECKED),
        )
        map_ = guarantees.none("conjugate gradients iterate no map of their own")
        return Krylov(statement, map_, premises=premises, step_law=law)

    @cached_property
    def _scale(self) -> Tensor:
        """‖Aᵀy‖ (B,)."""
        return image_norms(self.fidelity.A.A_adjoint(self.fidelity.y))

    def init(self) -> Conjugate:
        A, y = self.fidelity.A, self.fidelity.y
        r = y - A.A(self.start)
        s = A.A_adjoint(r)
        return Conjugate(self.start, r, s, s, image_dots(s, s))

    def step(self, state: Conjugate, iteration: int) -> Step[Conjugate]:
        A, z, r, p, gamma = self.fidelity.A, state.z, state.r, state.p, state.gamma
        q = A.A(p)
        curvature = image_dots(q, q)
        some = curvature > 0
        alpha = torch.where(some, gamma / torch.where(some, curvature, 1.0), 0.0)
        moved = z + per_image(alpha, z) * p
        before, r = image_norms(r), r - per_image(alpha, r) * q
        s = A.A_adjoint(r)
        size = image_dots(s, s)
        beta = torch.where(gamma > 0, size / torch.where(gamma > 0, gamma, 1.0), 0.0)
        after = Conjugate(moved, r, s, s + per_image(beta, p) * p, size)
        slack = ROUNDING_UNITS * torch.finfo(z.dtype).eps * image_norms(self.fidelity.y)
        ratio = image_norms(r) / (before + slack).clamp_min(torch.finfo(z.dtype).tiny)
        return Step(after, z.new_zeros(z.shape[0]), size.sqrt(), ratio)

    def image(self, state: Conjugate) -> Tensor:
        return state.z

    def norm(self, z: Tensor) -> Tensor:
        """‖Aᵀy‖ (B,), whatever z is: residuals are gradients, and relative to it."""
        return self._scale
