"""Is the gradient that of the energy? Central differences in float64, where a run ended.

A gradient of another function, or of part of it, would lead to points that are critical for
nothing, however well everything falls on the way. What a caller wrote is asked two things more:
whether it is the same function at the end, and whether it is not negative, as it was declared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.priors.energies.base import believed
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import GRADIENT, POSITIVE, SAME, TRIED, limit_of
from pnp_recon.solvers.core.premises import basis_of
from pnp_recon.solvers.core.theorem import Basis
from pnp_recon.solvers.descent.objective import Objective

# Steps of the differences, relative to a direction whose largest entry is 1, on the [0, 1] scale.
# A shorter one counts where the longer one disagrees: kinks of the slope that lie within a step
# make an error that shrinks with it, and a wrong gradient one that does not.
STEPS = (1e-4, 1e-5, 1e-6, 1e-7)
# Side of the part of the picture that is compared.
SIDE = 64
# Relative difference that is allowed: above the cubic term of smooth networks, far below a mistake.
AGREEMENT = TRIED[GRADIENT]
# Rounding of a value, relative; and the share of the agreement that it may be of a difference.
ROUNDING, HIDDEN = 1e-12, 0.1
LAW = f"{GRADIENT} (relative difference from central differences)"
UNCHANGED = f"{SAME} (relative difference, at one point)"
NOT_BELOW = f"{POSITIVE} (how far below zero, for each number of the picture)"

Sloped = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class GradientOfEnergy:
    """See the module; an `Examination`.

    Attributes:
        objective: whose gradient.
        worst: the largest difference so far, or None.
        first: a point of the run and E there when it was reached; None where all is ours.
        changed: how far E is from that at the end, relatively, or None.
        below: how far below zero a caller's R_σ is, for each number of the picture, or None.
    """

    objective: Objective
    worst: float | None = None
    first: tuple[Tensor, Tensor] | None = None
    changed: float | None = None
    below: float | None = None

    def look(self, z: Tensor, iteration: int) -> Self:
        if self.first is not None or _ours(self.objective) or not bool(torch.isfinite(z).all()):
            return self
        return replace(self, first=(z.clone(), self.objective.facts(z).energy))

    def end(self, z: Tensor) -> Self:
        if not bool(torch.isfinite(z).all()):
            return self
        found = replace(self, worst=difference(self.objective, z))
        if not believed(self.objective.exact):
            value = self.objective.exact.value_and_gradient(z.double(), self.objective.level)[0]
            found = replace(found, below=_largest((-value / z[0].numel()).clamp_min(0)))
        if self.first is not None:
            point, before = self.first
            change = (self.objective.facts(point).energy - before).abs()
            found = replace(found, changed=_largest(change / before.abs().clamp_min(1e-300)))
        return found

    @property
    def observations(self) -> tuple[Observation, ...]:
        rows = ((LAW, self.worst), (UNCHANGED, self.changed), (NOT_BELOW, self.below))
        return tuple(
            Observation(law, worst, limit_of(law)) for law, worst in rows if worst is not None
        )


def centre_part(z: Tensor) -> Tensor:
    """The middle of a picture, `SIDE` pixels wide: it shows a mistake as well, and costs little."""
    top, left = (max(0, (n - SIDE) // 2) for n in z.shape[-2:])
    return z[..., top : top + SIDE, left : left + SIDE].contiguous()


def difference(objective: Objective, z: Tensor) -> float:
    """How far gradients are from differences for the worst picture: that of R_σ, and where the
    fidelity is a caller's, that of f as well."""
    prior, level = objective.exact, objective.level

    def energy(x: Tensor) -> tuple[Tensor, Tensor]:
        return prior.value_and_gradient(x, level)

    def fidelity(x: Tensor) -> tuple[Tensor, Tensor]:
        image = objective.fidelity.A.A(x)
        value = objective.fidelity.value_at(x, image).double()
        return value, objective.fidelity.gradient_at(x, image).double()

    # What a caller wrote may be wrong anywhere, at a border too.
    wide = z.double()
    found = [_difference(energy, centre_part(wide) if believed(prior) else wide)]
    if basis_of(objective.fidelity) is not Basis.PROVEN:
        found.append(_difference(fidelity, wide))
    return _largest(torch.tensor(found))


def _difference(function: Sloped, z: Tensor) -> float:
    """How far ⟨∇F(z), d⟩ is from (F(z + hd) − F(z − hd))/2h for the worst picture.

    d is first a part of the gradient, then random signs: the one shows a gradient that is too long
    or too short, the other one that lacks something anywhere. Differences are relative to what
    either side is, or ⟨∇F(z), d⟩ on average would be.
    """
    value, gradient = function(z)
    generator = torch.Generator(device=z.device).manual_seed(0)
    chance = torch.rand(z.shape, generator=generator, device=z.device, dtype=torch.float64)
    along = gradient * (chance < 0.5)
    size = along.abs().flatten(1).amax(1).clamp_min(1e-300).view(-1, 1, 1, 1)
    length = gradient.flatten(1).norm(dim=1)
    found = 0.0
    for d in (along / size, torch.where(chance < 0.5, -1.0, 1.0).to(z)):
        stated = (gradient * d).flatten(1).sum(1)
        best = torch.full_like(stated, math.inf)
        for step in STEPS:
            ahead, behind = (function(z + h * d)[0] for h in (step, -step))
            quotient = (ahead - behind) / (2 * step)
            expected = torch.maximum(torch.maximum(stated.abs(), quotient.abs()), length)
            rounding = ROUNDING * torch.stack((value, ahead, behind)).abs().amax(0) / step
            error = ((quotient - stated).abs() - rounding).clamp_min(0)
            error = error / expected.clamp_min(1e-300)
            if step == STEPS[0]:
                # A flat energy has nothing to compare.
                best = torch.where(expected > rounding, error, 0.0)
            else:
                clear = rounding <= HIDDEN * AGREEMENT * expected
                best = torch.where(clear & (error < best), error, best)
            if bool((best <= HIDDEN * AGREEMENT).all()):
                break
        found = max(found, _largest(best))
    return found


def _ours(objective: Objective) -> bool:
    return believed(objective.exact) and basis_of(objective.fidelity) is Basis.PROVEN


def _largest(values: Tensor) -> float:
    """The largest, inf where one is NaN: it must not pass."""
    return float(torch.nan_to_num(values, nan=math.inf, posinf=math.inf).max())
