"""Nesterov's momentum around any averaged map, safeguarded or without a theorem.

    w = T z_k + (t_k − 1)/t_{k+1} · (T z_k − T z_{k−1}),        t_{k+1} = (1 + (1 + 4t_k²)^½)/2

(Nesterov 1983; Beck & Teboulle 2009, FISTA, where T is a proximal gradient step), with t back at 1
when the residual grew (after O'Donoghue & Candès 2015). FISTA's own proof needs the objective that
T descends. A learned denoiser has none, so that plain momentum has no convergence theorem; as a
candidate that `Safeguard` admits it leaves the theorem of T standing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from operators.conjugate_gradient import per_image
from pnp_recon import guarantees
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
from pnp_recon.solvers.pnp.iterations import PnPPGD


@dataclass
class _State:
    """What a run remembers: the last image, its residual, t and the safeguard."""

    safeguard: Safeguard
    image: Tensor
    residual: Tensor
    t: Tensor


@dataclass(eq=False)
class Nesterov(Wrapped):
    """Momentum around `inner`; without `guarded` the certificate says that there is none.

    Attributes:
        inner: a solver z ← T(z) whose `check` proves T averaged.
        guarded: admit momentum through the safeguard only.
        factor: C of the safeguard.
    """

    label = "nesterov"
    pace = 2

    guarded: bool = True
    factor: float = DEVIATION_FACTOR
    _state: _State | None = field(default=None, init=False, repr=False)

    def check(self) -> Certificate:
        held = self.inner_certificate()
        if self.guarded:
            return safeguarded("Nesterov's momentum", held, self.factor)
        reason = "momentum without the objective of a descent method has no convergence theorem"
        return Certificate("", guarantees.none(reason), held.constants, covered=False)

    def laws(self, certificate: Certificate) -> Laws:
        return Laws(step=STEP_LAW)

    def init(self) -> Tensor:
        self._state = None
        return super().init()

    def step(self, z: Tensor, iteration: int) -> Step:
        image, error, _, residual, ratio = self.evaluate(z, iteration)
        state = self._state
        if state is None:
            safeguard = Safeguard(residual, self.norm, self.factor)
            self._state = _State(safeguard, image, residual, torch.ones_like(residual))
            return Step(self.remember(image, image), error, residual, ratio)
        t = torch.where(residual > state.residual, 1.0, state.t)
        after = (1 + (1 + 4 * t.square()).sqrt()) / 2
        candidate = image + per_image((t - 1) / after, image) * (image - state.image)
        state.image, state.residual, state.t = image, residual, after
        if self.guarded:
            candidate = state.safeguard.choose(candidate, image, t > 1)
        return Step(self.remember(candidate, image), error, residual, ratio)

    def parameters(self) -> dict[str, float]:
        """Counts are means over the pictures of the batch."""
        found = super().parameters()
        if self._state is not None and self.guarded:
            found |= self._state.safeguard.counts()
        return found


@dataclass(eq=False)
class PnPFISTA(Nesterov):
    """PnP-PGD with safeguarded momentum; τ ≤ 1/L suits momentum best."""

    inner: PnPPGD
    name = "pnp-fista"

    def __post_init__(self) -> None:
        """Keeps its own name."""
