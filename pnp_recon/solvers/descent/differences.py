"""Is the gradient that of the energy? Central differences in float64, where a run ended.

A gradient of another function, or of part of it, would lead to points that are critical for
nothing, however well everything falls on the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.descent.objective import Objective

# Step of the differences, relative to a direction whose largest entry is 1, on the [0, 1] scale.
STEP = 1e-4
# Side of the part of the picture that is compared.
SIDE = 64
# Relative difference that is allowed: above the cubic term of smooth networks, far below a mistake.
AGREEMENT = 1e-3
LAW = "the gradient is that of the energy (relative difference from central differences)"


@dataclass(frozen=True)
class GradientOfEnergy:
    """See the module; an `Examination`.

    Attributes:
        objective: whose gradient.
        worst: the largest difference so far, or None.
    """

    objective: Objective
    worst: float | None = None

    def look(self, z: Tensor, iteration: int) -> Self:
        return self  # at the end, where it is claimed that the gradient vanishes

    def end(self, z: Tensor) -> Self:
        return self._compared(z)

    @property
    def observations(self) -> tuple[Observation, ...]:
        if self.worst is None:
            return ()
        return (Observation(LAW, self.worst, AGREEMENT),)

    def _compared(self, z: Tensor) -> Self:
        if not bool(torch.isfinite(z).all()):
            return self
        found = difference(self.objective, z)
        return replace(self, worst=found if self.worst is None else max(found, self.worst))


def centre_part(z: Tensor) -> Tensor:
    """The middle of a picture, `SIDE` pixels wide: it shows a mistake as well, and costs little."""
    top, left = (max(0, (n - SIDE) // 2) for n in z.shape[-2:])
    return z[..., top : top + SIDE, left : left + SIDE].contiguous()


def difference(objective: Objective, z: Tensor) -> float:
    """How far ⟨∇R(z), d⟩ is from (R(z + hd) − R(z − hd))/2h for the worst picture.

    d is first a part of the gradient, then random signs: the one shows a gradient that is too long
    or too short, the other one that lacks something anywhere. Differences are relative to what
    ⟨∇R(z), d⟩ is, or on average would be.
    """
    prior, level = objective.exact, objective.level
    # What a caller wrote may be wrong anywhere, at a border too.
    wide = (centre_part(z) if prior.ours else z).double()
    value, gradient = prior.value_and_gradient(wide, level)
    generator = torch.Generator(device=z.device).manual_seed(0)
    chance = torch.rand(wide.shape, generator=generator, device=z.device, dtype=torch.float64)
    along = gradient * (chance < 0.5)
    size = along.abs().flatten(1).amax(1).clamp_min(1e-300).view(-1, 1, 1, 1)
    found = 0.0
    for d in (along / size, torch.where(chance < 0.5, -1.0, 1.0).to(wide)):
        ahead, behind = (prior.value(wide + h * d, level) for h in (STEP, -STEP))
        stated = (gradient * d).flatten(1).sum(1)
        expected = torch.maximum(stated.abs(), gradient.flatten(1).norm(dim=1))
        # A flat energy has nothing to compare.
        rounding = 1e-12 * value.abs() / STEP
        error = (((ahead - behind) / (2 * STEP) - stated).abs() - rounding).clamp_min(0)
        error = torch.where(expected > rounding, error / expected.clamp_min(1e-300), 0.0)
        found = max(found, float(error.max()))
    return found
