"""When a declared constant is challenged during a run, and what that may cost.

In calls of the denoiser, of which a plain iteration takes one: `BEGINNING` at the first look,
a quarter of the iterations after it, in parts of `PART`, and `ENDING` at the last iterate. Three
more ask whether it is one map at all: whether it gives the same of the same picture at once, and
after the run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from operators.checks.steady import SAME
from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.certificate import Observation
from pnp_recon.solvers.core.solver import norms
from pnp_recon.solvers.pnp.challenge import Challenge, Denoise

BEGINNING = 8
SHARE = 0.25
PART = 8
ENDING = 80
LAW = "N z is the same when it is asked for again (difference over {:g} of it)"
REMEDY = (
    "; a denoiser that keeps a state between calls (a warm start) is no map: make it forget "
    "it at every call, or wrap it without a constant"
)


@dataclass(frozen=True)
class DeclaredConstant:
    """The challenge of a denoiser's declared constant, as `core.examination` wants it.

    Attributes:
        denoise: the denoiser as the run calls it.
        challenge: what was tried.
        planned: calls of the parts so far.
        first: where the run was first seen, and N there.
        strayed: how far N was from that when it was asked again, over what rounding explains.
    """

    denoise: Denoise
    challenge: Challenge
    planned: int = 0
    first: tuple[Tensor, Tensor] | None = None
    strayed: float = 0.0

    @classmethod
    def begin(cls, denoise: Denoise, declared: Guarantee) -> Self:
        return cls(denoise, Challenge.begin(declared))

    def look(self, z: Tensor, iteration: int) -> Self:
        if not self.challenge.pairs:
            point = z.clone()
            known = replace(self, first=(point, self.denoise(point)))
            return known._asked_again()._confronted(z, BEGINNING)
        if self.planned + PART > SHARE * iteration:
            return self
        return replace(self._confronted(z, PART), planned=self.planned + PART)

    def end(self, z: Tensor) -> Self:
        return self._asked_again()._confronted(z, ENDING, far=True)

    @property
    def observations(self) -> tuple[Observation, ...]:
        worst = self.challenge.worst
        if worst is None:
            return ()
        found = (Observation(self.challenge.words, float(worst.max()), 1.0),)
        if self.first is None:
            return found
        law = LAW.format(SAME[self.first[0].dtype]) + (REMEDY if self.strayed > 1 else "")
        return (*found, Observation(law, self.strayed, 1.0))

    def _asked_again(self) -> Self:
        if self.first is None:
            return self
        point, before = self.first
        size = SAME[point.dtype] * norms(before).double().clamp_min(1e-30)
        change = norms(self.denoise(point) - before).double() / size
        worst = float(change.nan_to_num(torch.inf, torch.inf).max())
        return replace(self, strayed=max(self.strayed, worst))

    def _confronted(self, z: Tensor, calls: int, far: bool = False) -> Self:
        if not bool(torch.isfinite(z).all()):
            return self
        found = self.challenge.confront(self.denoise, z, calls, far=far)[1]
        return replace(self, challenge=found)
