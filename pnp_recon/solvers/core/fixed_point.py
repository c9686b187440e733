"""z ← T(z) for any function T with a declared guarantee: what the accelerations may wrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pnp_recon.guarantees import Guarantee
from pnp_recon.solvers.core.certificate import Certificate
from pnp_recon.solvers.core.loop import Solver, Step


@dataclass(frozen=True)
class FixedPoint(Solver):
    """The iteration of a map that has a fixed point.

    Attributes:
        function: T, from (B, ...) to (B, ...).
        guarantee: what is proven about T in the Euclidean norm.
        start: z₀ (B, ...).
        distance: proven bound on ‖z₀ − z*‖ for each picture, or None.
    """

    function: Callable[[Tensor], Tensor]
    guarantee: Guarantee
    start: Tensor
    distance: float | None = None
    name = "fixed-point"

    def check(self) -> Certificate:
        theorem = (
            "the iterates converge to a fixed point, if T has one (Krasnosel'skii–Mann; Bauschke & "
            "Combettes 2017, Thm 5.15)"
        )
        return Certificate(theorem, self.guarantee)

    def init(self) -> Tensor:
        return self.start

    def step(self, z: Tensor, iteration: int) -> Step:
        return Step(self.function(z), z.new_zeros(z.shape[0]))

    def image(self, z: Tensor) -> Tensor:
        return z

    def distance_bound(self, z: Tensor) -> Tensor | None:
        if self.distance is None or z is not self.start:
            return None
        return torch.full((z.shape[0],), self.distance, dtype=z.dtype, device=z.device)
