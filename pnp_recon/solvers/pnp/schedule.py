"""DPIR's schedule: half-quadratic splitting with a denoiser whose level falls from step to step.

Zhang, Li, Zuo, Zhang, Van Gool & Timofte, "Plug-and-Play Image Restoration with Deep Denoiser
Prior" (IEEE TPAMI 2021). Step k of 8 takes x = prox_{γ_k f}(z), γ_k = s_k²/(λσ²), and
z = D(x, s_k); s_k falls log-uniformly from 49/255 to the noise level σ. Each step is another map,
and there are as many as the schedule has: nothing converges and nothing is proven. It is what
people use, and what certified iterations are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from pnp_recon import guarantees
from pnp_recon.errors import InputError
from pnp_recon.fidelity import Fidelity
from pnp_recon.problems.problem import Problem
from pnp_recon.solvers.core.inner import inner_tolerance
from pnp_recon.solvers.core.solver import Solver, State, Step
from pnp_recon.solvers.core.theorem import Theorem, Unproven
from pnp_recon.solvers.knobs import Knobs
from pnp_recon.solvers.pnp.plugged import Plugged
from pnp_recon.solvers.tuning import LEAST_NOISE, coupling

STEPS = 8
FIRST_LEVEL = 49 / 255
# λ of the data term's weight, as published.
WEIGHT = 0.23
NO_THEOREM = (
    f"a schedule of {STEPS} changing maps (Zhang et al. 2021), cut off after the last one; no "
    "convergence theorem covers it"
)


def levels(noise: float, sigma_range: tuple[float, float] = (0.0, 1.0)) -> tuple[float, ...]:
    """The denoiser's levels s_k, falling log-uniformly, each taken to the nearest that it serves.

    Args:
        noise: the last one, σ of the picture on the [0, 1] scale; above 49/255 all levels are σ.
        sigma_range: levels of the denoiser.
    """
    last = max(noise, LEAST_NOISE)
    ratio = max(FIRST_LEVEL, last) / last
    low, high = sigma_range
    wanted = (last * ratio ** (1 - k / (STEPS - 1)) for k in range(STEPS))
    return tuple(min(max(level, low), high) for level in wanted)


@dataclass(frozen=True)
class ChangingMaps(Unproven):
    """No theorem, and no one map that an acceleration could be wrapped around."""

    iterates_map = False


@dataclass(frozen=True)
class Scheduled(State):
    """z, the denoised picture, and the data step's last solution, where the next one starts."""

    inner: Tensor | None = None


@dataclass(frozen=True)
class DPIR(Solver[Scheduled]):
    """x ← D_s prox_{γf}(x), s falling to the noise level in 8 steps; no box around the picture.

    Attributes:
        fidelity: f.
        denoisers: D at each level s_k.
        couplings: γ_k.
        start: (B, C, H, W), z before the first step.
    """

    fidelity: Fidelity
    denoisers: tuple[Plugged, ...]
    couplings: tuple[float, ...]
    start: Tensor
    name: ClassVar[str] = "dpir"  # type: ignore[misc]

    def __post_init__(self) -> None:
        if not self.denoisers or len(self.denoisers) != len(self.couplings):
            raise InputError(
                f"found {len(self.denoisers)} levels and {len(self.couplings)} couplings; a "
                "schedule has one of each for every step, and at least one step"
            )
        self.denoisers[0].check_fits(self.start)

    @classmethod
    def configure(cls, problem: Problem, prior: Any, knobs: Knobs) -> Self:
        """The published schedule; `strength` multiplies λ, `denoiser_level` is the last level.

        As for other solvers σ is the noise level on the scale of the picture (`tuning.automatic`).
        """
        noise, scale = problem.noise(), problem.scale
        last = noise / scale if knobs.denoiser_level is None else knobs.denoiser_level
        found = levels(last, prior.sigma_range)
        factor = 1 / (WEIGHT * knobs.strength)
        return cls(
            problem.data_term,
            tuple(Plugged(prior, level) for level in found),
            tuple(coupling(factor, level, noise, scale) for level in found),
            problem.first_guess(),
        )

    @property
    def depth(self) -> int:
        return len(self.denoisers)

    def theorem(self) -> Theorem:
        held = guarantees.none(NO_THEOREM)
        return ChangingMaps("", held, (self.denoisers[-1].constant(),))

    def init(self) -> Scheduled:
        return Scheduled(self.start)

    def step(self, state: Scheduled, iteration: int) -> Step[Scheduled]:
        gamma, denoise = self.couplings[iteration], self.denoisers[iteration]
        start = state.z if state.inner is None else state.inner
        tol = torch.full_like(state.z[:, 0, 0, 0], inner_tolerance(state.z, iteration))
        x, error = self.fidelity.prox(state.z, gamma, start=start, tol=tol)
        return Step(Scheduled(denoise(x), x), error)

    def image(self, state: Scheduled) -> Tensor:
        return state.z

    def error_tolerance(self, z: Tensor, iteration: int) -> float | None:
        return None if self.fidelity.exact_prox else inner_tolerance(z, iteration)

    def parameters(self, state: Scheduled | None = None) -> dict[str, float]:
        return {
            "steps": self.depth,
            "first_level": self.denoisers[0].sigma,
            "last_level": self.denoisers[-1].sigma,
            "gamma": self.couplings[-1],
        }
