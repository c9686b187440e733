"""Are both gradients those of the energy? Central differences in float64, where a run ended.

In x as for every descent. In k, where the energy is quadratic, differences are exact but for
rounding; the energy is computed there by the operator, the gradient by correlations, so that a
mistake in either shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.laws import IN_KERNEL, limit_of
from pnp_recon.solvers.descent.differences import GradientOfEnergy
from pnp_recon.solvers.joint.objective import JointObjective

# Of the differences, relative to the kernel: large, as only rounding speaks against it.
STEP = 0.1
LAW = f"{IN_KERNEL} (relative difference from differences)"


@dataclass(frozen=True)
class JointGradients:
    """See the module; an `Examination` of z = (x, s·k).

    Attributes:
        of_picture: the examination in x.
        worst: the difference in k, or None.
    """

    joint: JointObjective
    of_picture: GradientOfEnergy
    worst: float | None = None

    def look(self, z: Tensor, iteration: int) -> Self:
        x = self.joint.parted(z)[0]
        return replace(self, of_picture=self.of_picture.look(x, iteration))

    def end(self, z: Tensor) -> Self:
        if not bool(torch.isfinite(z).all()):
            return self
        x, k = self.joint.parted(z)
        return replace(self, of_picture=self.of_picture.end(x), worst=difference(self.joint, x, k))

    @property
    def observations(self) -> tuple[Observation, ...]:
        found = self.of_picture.observations
        return (
            found if self.worst is None else (*found, Observation(LAW, self.worst, limit_of(LAW)))
        )


def difference(joint: JointObjective, x: Tensor, k: Tensor) -> float:
    """How far ⟨∇ₖf, d⟩ is from (f(k + hd) − f(k − hd))/2h, relative to ‖∇ₖf‖‖d‖, for the
    gradient's own direction and an uneven one, both of which keep the sum of the kernel."""
    wide = x.double()
    gradient = joint.of(wide).gradient(k)
    gradient = gradient - gradient.mean()
    uneven = torch.arange(k.numel(), device=k.device, dtype=k.dtype).square().cos().view(k.shape)
    worst = 0.0
    for direction in (gradient, uneven - uneven.mean()):
        d = direction / direction.norm().clamp_min(1e-300)
        step = STEP * float(k.norm())
        ahead, behind = (
            float(joint.at(k + sign * step * d).fidelity.value(wide)) for sign in (1, -1)
        )
        rounding = 1e-12 * max(abs(ahead), abs(behind)) / step
        error = abs((ahead - behind) / (2 * step) - float((gradient * d).sum()))
        worst = max(worst, max(0.0, error - rounding) / max(float(gradient.norm()), rounding))
    return worst
