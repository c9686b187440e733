"""A denoiser at a level, as iterations call it, and what theorems need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.guarantees import Guarantee
from pnp_recon.priors.denoiser import Denoiser
from pnp_recon.solvers.core.theorem import Basis, Constant, Premise


@dataclass(frozen=True)
class Plugged:
    """A denoiser at a level, with its certified scaling c: D_c(x) = D(cx)/c."""

    denoiser: Denoiser
    sigma: float
    scaling: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        c = self.scaling
        if c == 1:
            return self.denoiser(x, self.sigma)
        return self.denoiser(c * x, self.sigma) / c

    @property
    def guarantee(self) -> Guarantee:
        return guarantees.scale(self.denoiser.guarantee, self.scaling)

    def constant(self) -> Constant:
        held = self.denoiser.guarantee
        value = held.averagedness if held.averagedness is not None else float("nan")
        return Constant(f"averagedness of denoiser {self.denoiser.name}", value, held.source)

    def premise(self) -> Premise:
        """That the constant holds: proven for the very weights, or as somebody declares."""
        held = self.denoiser
        if held.proven:
            return Premise(f"denoiser {held.name} has its constant, proven for its weights")
        guarantee = held.guarantee
        known = guarantee.averagedness or guarantee.lipschitz
        number = "" if known is None else f" ({known:.6g})"
        words = f"denoiser {held.name} has the constant that is declared for it{number}"
        return Premise(words, Basis.DECLARED)
