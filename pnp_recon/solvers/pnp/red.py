"""Regularisation by denoising as projected gradient descent (Romano, Elad & Milanfar 2017).

    T = P ∘ (I − τG),        G = ∇f + w(I − N_λ),        N_λ = (1−λ)I + λN,

P the projection onto the box [0, 1]. If N_λ is α-averaged, α = 1 for one that is only nonexpansive,
N_λ = (1−α)I + αR, then I − N_λ = α(I − R) is 1/(2α)-cocoercive, ∇f is 1/L-cocoercive, and the sum G
is 1/(L + 2αw)-cocoercive (Bauschke & Combettes 2017, Prop. 4.12). I − τG is then averaged with
τ(L + 2αw)/2 for 0 < τ < 2/(L + 2αw) (Prop. 4.39). Cohen, Elad & Milanfar 2021 argue in the same way
with fixed-point sets.

G is a monotone operator; in general it is *not* the gradient of a function, because the Jacobian
of a denoiser is not symmetric (Reehorst & Schniter 2019). The limit solves 0 ∈ G(x) + N_box(x)
and need not minimise anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.solvers.core.certificate import Certificate, Constant
from pnp_recon.solvers.core.loop import Step
from pnp_recon.solvers.pnp.iterations import BOX, CONVERGENCE, _PnP
from pnp_recon.solvers.pnp.maps import into_box


@dataclass(frozen=True)
class RED(_PnP):
    """x ← P(x − τ(∇f(x) + w(x − N_λ(x)))); `weight` is w > 0, `step_size` τ ∈ (0, 2/(L + 2αw)).

    Raises:
        StepSizeError: from `check`, where a parameter lies outside its range, unless allowed.
    """

    step_size: float = 1.0
    weight: float = 1.0
    name = "red"

    def check(self) -> Certificate:
        if (missing := self._no_theorem()) is not None:
            return missing
        if not 0 < self.weight < float("inf"):
            reason = f"weight {self.weight:.6g} is not a positive number"
            self._refuse(f"{reason}; take a positive one")
            return Certificate("", guarantees.none(reason), (self.denoiser.constant(),))
        denoiser = guarantees.relax(self.denoiser.guarantee, self.relaxation)
        if denoiser.averagedness is None:
            reason = str(denoiser).removeprefix("no guarantee: ")
            return Certificate("", guarantees.none(reason), (self.denoiser.constant(),))
        lipschitz = self.fidelity.lipschitz
        smoothness = lipschitz + 2 * denoiser.averagedness * self.weight
        limit = 2 / smoothness
        constants = (
            Constant("L", lipschitz, f"gradient of the {self.fidelity.name} fidelity"),
            Constant("L + 2αw", smoothness, "inverse of the proven cocoercivity of the field"),
            Constant("step τ", self.step_size, f"covered range (0, {limit:.6g})"),
            self.denoiser.constant(),
        )
        if not 0 < self.step_size < limit:
            reason = (
                f"step size {self.step_size:.6g} lies outside the proven range (0, 2/(L + 2αw)) = "
                f"(0, {limit:.6g})"
            )
            self._refuse(f"{reason}; take a step inside it or allow an uncertified run")
            return Certificate("", guarantees.none(reason), constants)
        source = (
            "regularisation by denoising, τ(L + 2αw)/2 with a (L + 2αw)⁻¹-cocoercive field, in "
            "general no gradient (Reehorst & Schniter 2019; Bauschke & Combettes 2017, Prop. 4.39)"
        )
        descent = guarantees.averaged(self.step_size * smoothness / 2, source)
        return Certificate(f"RED: {CONVERGENCE}", guarantees.compose(BOX, descent), constants)

    def step(self, z: Tensor, iteration: int) -> Step:
        field = self.fidelity.gradient(z) + self.weight * (z - self._relaxed(z))
        return Step(into_box(z - self.step_size * field), z.new_zeros(z.shape[0]))

    def parameters(self) -> dict[str, float]:
        return {"step": self.step_size, "weight": self.weight, **super().parameters()}
