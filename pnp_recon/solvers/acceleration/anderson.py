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

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pnp_recon.errors import InputError
from pnp_recon.solvers.acceleration.safeguard import (
    DEVIATION_FACTOR,
    STEP_LAW,
    Safeguard,
    safeguarded,
)
from pnp_recon.solvers.acceleration.wrapped import Wrapped
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.laws import Laws
from pnp_recon.solvers.core.loop import Step

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


@dataclass
class _State:
    """What a run remembers of its last step."""

    safeguard: Safeguard
    memory: _Memory
    residual: Tensor
    image: Tensor
    size: Tensor
    noise: Tensor
    restarts: Tensor


@dataclass(eq=False)
class Anderson(Wrapped):
    """Anderson acceleration of `inner` with `memory` differences.

    Attributes:
        inner: a solver z ← T(z) whose `check` proves T averaged.
        memory: differences kept; each costs two pictures of storage.
        factor: C of the safeguard.
    """

    label = "anderson"
    # The errors of inner solves are noise in the differences: with tolerances of the plain
    # iteration they cost all that acceleration gains.
    pace = 4

    memory: int = 5
    factor: float = DEVIATION_FACTOR
    _state: _State | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory < 1:
            raise InputError(f"the memory of Anderson acceleration is {self.memory}; give 1 to 20")
        if not 0 <= self.factor < float("inf"):
            raise InputError(f"factor is {self.factor}; give a finite number >= 0")

    def check(self) -> Certificate:
        return safeguarded("Anderson acceleration", self.inner_certificate(), self.factor)

    def laws(self, certificate: Certificate) -> Laws:
        return Laws(step=STEP_LAW)

    def init(self) -> Tensor:
        self._state = None
        return super().init()

    def step(self, z: Tensor, iteration: int) -> Step:
        image, error, difference, residual, ratio = self.evaluate(z, iteration)
        flat, point = difference.flatten(1), image.flatten(1)
        state = self._state
        if state is None:
            safeguard = Safeguard(residual, self.norm, self.factor)
            memory = _Memory(z, self.memory)
            noise, none = error, torch.zeros_like(residual)
            self._state = _State(safeguard, memory, flat, point, residual, noise, none)
            return Step(self.remember(image, image), error, residual, ratio)
        grown = residual > GROWTH * state.size
        state.restarts += grown
        state.memory.forget(grown)
        noise = error + torch.finfo(z.dtype).eps * self.norm(image)
        state.memory.push(flat - state.residual, point - state.image, noise + state.noise)
        state.residual, state.image, state.size, state.noise = flat, point, residual, noise
        correction, offered = state.memory.combine(flat)
        candidate = image - correction.view_as(image)
        chosen = state.safeguard.choose(candidate, image, offered)
        return Step(self.remember(chosen, image), error, residual, ratio)

    def parameters(self) -> dict[str, float]:
        """Counts are means over the pictures of the batch."""
        found = {"memory": float(self.memory), **super().parameters()}
        if self._state is not None:
            found |= self._state.safeguard.counts()
            found["memory_restarts"] = float(self._state.restarts.mean())
        return found
