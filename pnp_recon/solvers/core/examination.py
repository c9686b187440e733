"""What a run asks of a declaration while it goes on: the loop knows only this."""

from __future__ import annotations

from typing import Protocol, Self

from torch import Tensor

from pnp_recon.solvers.core.certificate import Observation


class Examination(Protocol):
    """A search for what contradicts a declared premise, with all that it remembers; frozen."""

    def look(self, z: Tensor, iteration: int) -> Self:
        """After one of the run's looks, around z; it decides for itself whether it is time."""
        ...

    def end(self, z: Tensor) -> Self:
        """After the last iteration."""
        ...

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was found; empty where nothing was tried."""
        ...
