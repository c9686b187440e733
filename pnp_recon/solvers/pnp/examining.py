"""When a declared constant is challenged during a run, and what that may cost.

In calls of the denoiser, of which a plain iteration takes one: `BEGINNING` at the first look,
a quarter of the iterations after it, in parts of `PART`, and `ENDING` at the last iterate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.pnp.challenge import Challenge, Denoise

BEGINNING = 8
SHARE = 0.25
PART = 8
ENDING = 80


@dataclass(frozen=True)
class DeclaredConstant:
    """The challenge of a denoiser's declared constant, as `core.examination` wants it.

    Attributes:
        denoise: the denoiser as the run calls it.
        challenge: what was tried.
        planned: calls of the parts so far.
    """

    denoise: Denoise
    challenge: Challenge
    planned: int = 0

    @classmethod
    def begin(cls, denoise: Denoise, declared: Guarantee) -> Self:
        return cls(denoise, Challenge.begin(declared))

    def look(self, z: Tensor, iteration: int) -> Self:
        if not self.challenge.pairs:
            return self._confronted(z, BEGINNING)
        if self.planned + PART > SHARE * iteration:
            return self
        return replace(self._confronted(z, PART), planned=self.planned + PART)

    def end(self, z: Tensor) -> Self:
        return self._confronted(z, ENDING, far=True)

    @property
    def observations(self) -> tuple[Observation, ...]:
        worst = self.challenge.worst
        if worst is None:
            return ()
        return (Observation(self.challenge.words, float(worst.max()), 1.0),)

    def _confronted(self, z: Tensor, calls: int, far: bool = False) -> Self:
        if not bool(torch.isfinite(z).all()):
            return self
        found = self.challenge.confront(self.denoise, z, calls, far=far)[1]
        return replace(self, challenge=found)
