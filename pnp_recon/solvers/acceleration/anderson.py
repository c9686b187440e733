"""Safeguarded Anderson acceleration around any averaged map.

Type II (Anderson 1965; Walker & Ni 2011): with g_j = T z_j, r_j = g_j − z_j and the last m
differences Δr_j, Δg_j,

    γ = argmin ‖r_k − Σ γ_j Δr_j‖² + Σ η_j γ_j²,        w = g_k − Σ γ_j Δg_j,

and z_{k+1} = w if the safeguard allows it, else T z_k. Tikhonov weights in the manner of A2DR (Fu,
Zhang & Boyd 2020), but each relative to its own difference: residuals fall by orders of magnitude
within the memory, and a common weight would blot out the latest. What rounding and inner solves
leave uncertain in a difference is added. Each picture of a batch has its own coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.solvers.acceleration.safeguard import DEVIATION_FACTOR, Safeguard, safeguarded
from pnp_recon.solvers.acceleration.wrapped import Around, Wrapped
from pnp_recon.solvers.core.solver import Step
from pnp_recon.solvers.core.theorem import Theorem

# Tikhonov weight relative to ‖Δr_j‖²; from 1e-12 to 1e-3 the iterations hardly change.
REGULARISATION = 1e-6
# A residual that grew by more than this in one step: what is remembered misleads.
GROWTH = 2.0


class _Memory:
    """The last differences of residuals and images, in rings on the device."""

    def __init__(self, like: Tensor, length: int) -> None:
        pictures, size = like.flatten(1).shape
        self.residuals = like.new_zeros(pictures, length, size)
        self.images = like.new_zeros(pictures, length, size)
        self.gram = like.new_zeros(pictures, length, length, dtype=torch.float64)
        self.noise = like.new_zeros(pictures, length, dtype=torch.float64)
        self.valid = torch.zeros(pictures, length, dtype=torch.bool, device=like.device)
        self.used = 0

    def forget(self, which: Tensor) -> None:
        """Empties the memory of the pictures `which` (B,)."""
        self.valid &= ~which[:, None]

    def push(self, residual: Tensor, image: Tensor, noise: Tensor) -> None:
        """Stores a difference of residuals and of images, (B, N) each, off by `noise` (B,)."""
        slot = self.used % self.residuals.shape[1]
        self.used += 1
        self.residuals[:, slot] = residual
        self.images[:, slot] = image
        self.noise[:, slot] = noise.double().square()
        self.valid[:, slot] = True
        row = self._products(residual)
        self.gram[:, slot, :] = row
        self.gram[:, :, slot] = row

    def combine(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Σ γ_j Δg_j (B, N) for the residual (B, N), and whether there was anything to combine."""
        both = self.valid[:, :, None] & self.valid[:, None, :]
        gram = torch.where(both, self.gram, 0)
        size = gram.diagonal(dim1=1, dim2=2)
        shift = (REGULARISATION * size + self.noise).clamp_min(1e-300)
        # Empty places get a unit diagonal and a zero on the right: their coefficient is zero.
        diagonal = torch.where(self.valid, shift, 1.0)
        right = torch.where(self.valid, self._products(residual), 0)
        factor, failed = torch.linalg.cholesky_ex(gram + torch.diag_embed(diagonal))
        weights = torch.cholesky_solve(right[:, :, None], factor)
        offered = self.valid.any(1) & (failed == 0)
        weights = torch.where(offered[:, None, None], weights, 0).to(residual.dtype)
        return torch.bmm(weights.mT, self.images)[:, 0], offered

    def _products(self, vector: Tensor) -> Tensor:
        return torch.bmm(self.residuals, vector[:, :, None])[:, :, 0].double()


@dataclass(frozen=True, kw_only=True)
class Remembering(Around):
    """What a run remembers of its last step; the memory's buffers are used again by the next.

    Attributes:
        safeguard: what may still deviate; None before the first step, as are those below.
        memory: the last differences.
        residual, image: T z − z and T z, flat (B, N).
        size: norm of the residual (B,).
        noise: what rounding and inner solves leave open of it (B,).
        restarts: how often the memory was emptied (B,).
    """

    safeguard: Safeguard
    memory: _Memory
    residual: Tensor
    image: Tensor
    size: Tensor
    noise: Tensor
    restarts: Tensor


@dataclass(frozen=True, eq=False)
class Anderson(Wrapped[Around]):
    """Anderson acceleration of `inner` with `memory` differences.

    Attributes:
        inner: a solver z ← T(z) whose theorem says that T is averaged.
        memory: differences kept; each costs two pictures of storage.
        factor: C of the safeguard.
    """

    label = "anderson"
    # The errors of inner solves are noise in the differences: with tolerances of the plain
    # iteration they cost all that acceleration gains.
    pace = 4

    memory: int = 5
    factor: float = DEVIATION_FACTOR

    def __post_init__(self) -> None:
        if self.memory < 1:
            raise InputError(f"the memory of Anderson acceleration is {self.memory}; give 1 to 20")
        if not 0 <= self.factor < float("inf"):
            raise InputError(f"factor is {self.factor}; give a finite number >= 0")

    def theorem(self) -> Theorem:
        return safeguarded("Anderson acceleration", self.inner_theorem(), self.factor)

    def init(self) -> Around:
        return Around(**self.beginning())

    def step(self, state: Around, iteration: int) -> Step[Around]:
        found = self.evaluate(state, iteration)
        flat, point = found.difference.flatten(1), found.image.flatten(1)
        held = state if isinstance(state, Remembering) else None
        if held is None:
            safeguard = Safeguard.begin(found.residual, self.norm, self.factor)
            memory = _Memory(state.z, self.memory)
            noise, restarts = found.error, torch.zeros_like(found.residual)
            chosen = found.image
        else:
            grown = found.residual > GROWTH * held.size
            restarts = held.restarts + grown
            memory = held.memory
            memory.forget(grown)
            noise = found.error + torch.finfo(state.z.dtype).eps * self.norm(found.image)
            memory.push(flat - held.residual, point - held.image, noise + held.noise)
            correction, offered = memory.combine(flat)
            candidate = found.image - correction.view_as(found.image)
            chosen, safeguard = held.safeguard.choose(candidate, found.image, offered)
        moved = Remembering(
            z=chosen,
            inner=found.inner,
            pair=found.pair,
            shown=found.image,
            safeguard=safeguard,
            memory=memory,
            residual=flat,
            image=point,
            size=found.residual,
            noise=noise,
            restarts=restarts,
        )
        return Step(moved, found.error, found.residual, found.ratio, found.tolerance)

    def parameters(self, state: Around | None = None) -> dict[str, float]:
        """Counts are means over the pictures of the batch."""
        found = {"memory": float(self.memory), **super().parameters(state)}
        if isinstance(state, Remembering):
            found |= state.safeguard.counts()
            found["memory_restarts"] = float(state.restarts.mean())
        return found
