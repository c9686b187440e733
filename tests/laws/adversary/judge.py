"""The opponent's rules: what a run is, what spoils it, and which endings are false certificates.

A route falsifies one premise of a run that is certified as it stands. No run may then end
certified: what is refused, contradicted or without a guarantee is well; "certified if ..." is only
where it names the very fact that was declared and is false. An error that nobody wrote a sentence
for is no refusal, and fails the test by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from laws.networks import picture
from laws.solvers import SIZE, TINY, blur, random_kernel
from operators import LinearOperator, OperatorError
from pnp_recon import reconstruct
from pnp_recon.errors import PnPReconError
from pnp_recon.networks.configs import GradientStepConfig
from pnp_recon.networks.energies.gradient_step import GradientStepNet
from pnp_recon.priors.energies.base import LearnedEnergy
from pnp_recon.proximal import L1, Ridge
from pnp_recon.solvers import SOLVERS, Solution, Stopping
from pnp_recon.solvers.catalogue import ACCELERATIONS, solvers_for
from pnp_recon.solvers.core.theorem import CriticalPoint

REFUSALS = (PnPReconError, OperatorError)
ITERATIONS = 12
SHORT = Stopping(1e-9, ITERATIONS)
NOISE = 0.02


@dataclass
class Rig:
    """A run about to happen: what `reconstruct` will be called with, open to be spoilt.

    Attributes:
        A, y, prior: as for `reconstruct`.
        settings: its other arguments.
        around: contexts that the call is made in.
    """

    A: LinearOperator
    y: Tensor
    prior: Any
    settings: dict[str, Any]
    around: ExitStack = field(default_factory=ExitStack)

    def run(self) -> Solution:
        with self.around:
            return reconstruct(self.y, self.A, self.prior, **self.settings)


@dataclass(frozen=True)
class Route:
    """A way to a false certificate.

    Attributes:
        name: of the test.
        spoil: falsifies a premise of the rig.
        declared: words of the fact that is declared and false, under which a run may be certified;
            empty where the package has to see it.
    """

    name: str
    spoil: Callable[[Rig], object]
    declared: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Ending:
    """How it went: a refusal in words, or a solution."""

    refusal: str = ""
    solution: Solution | None = None


def ending(rig: Rig, spoil: Callable[[Rig], object] | None = None) -> Ending:
    """Spoils the rig and runs it; errors other than refusals are passed on."""
    try:
        if spoil is not None:
            spoil(rig)
        return Ending(solution=rig.run())
    except REFUSALS as error:
        return Ending(refusal=f"{type(error).__name__}: {error}")


def false_claim(found: Ending, declared: str = "") -> str:
    """What a spoilt run claims and must not, or empty: the law."""
    if found.solution is None:
        return "" if found.refusal else "neither a solution nor a refusal"
    certificate = found.solution.certificate
    if not certificate.holds:
        said = certificate.verdict.startswith(("certified", "certified if"))
        return f"it says {certificate.verdict} and does not hold" if said else ""
    if declared and any(declared in condition for condition in certificate.conditions):
        return ""
    if declared == "proximal" and says_how_inexact(found.solution):
        return ""
    # A descent trusts no proximal map: energy and gradient are those of A and its transpose.
    if declared == "proximal" and certificate.theorem.kind == CriticalPoint.kind:
        return ""
    return "\n".join(certificate.lines())


def says_how_inexact(solution: Solution) -> bool:
    """Did it not converge, and tell proven errors of its inner solves that explain it?"""
    total, size = sum(map(max, solution.history.errors)), max(solution.history.norms[-1])
    told = any("errors sum to" in remark for remark in solution.certificate.remarks)
    return not solution.status.succeeded and told and total > 0.1 * size


def falsely_certified(made: Callable[[], Rig], route: Route) -> str:
    """What a rig claims after a route; empty where the opponent got nothing.

    Nothing also where the run never used what was falsified, and ended in the very same picture.
    """
    found = ending(made(), route.spoil)
    claim = false_claim(found, route.declared)
    if not claim:
        return ""
    honest = made().run()
    assert found.solution is not None
    same = torch.equal(honest.image, found.solution.image)
    return "" if same and honest.history.residuals == found.solution.history.residuals else claim


# ---- rigs of registered entries -----------------------------------------------------------------

# A prior that a functional solver takes, where it is not the usual one.
FUNCTIONALS = {"gradient-descent": lambda: Ridge(0.1)}


def data(A: LinearOperator, batch: int = 1) -> Tensor:
    """Data of a random picture with noise, in float64."""
    x = picture(batch, *A.image_shape, seed=3)
    y = A.A(x)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    return y + NOISE * noise


def tiny_energy(dtype: torch.dtype = torch.float64) -> LearnedEnergy:
    """A gradient-step energy of few numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = GradientStepNet(GradientStepConfig(widths=(4, 6), down=(1, 1), up=(1,)))
    return LearnedEnergy(network.to(dtype).requires_grad_(False), "tiny energy", channels=1)


def rig(name: str, A: LinearOperator | None = None, acceleration: str = "none") -> Rig:
    """A certified run of a registered solver, with a prior of the kind that it takes.

    A new solver inherits it: the tiny certified network for denoisers, ℓ1 for functionals.
    """
    if A is None:
        A = blur(random_kernel(0))
    kind = SOLVERS[name].prior_kinds[0]
    settings: dict[str, Any] = {
        "solver": name,
        "acceleration": acceleration,
        "noise_level": NOISE,
        "strength": 1.0,
        "stopping": SHORT,
    }
    if "gamma" in SOLVERS[name].takes:
        settings["gamma"] = 5.0  # of its own it would follow from the operator's norm
    prior: Any = "auto"
    if kind == "denoiser":
        prior, settings["denoiser_level"] = copy.deepcopy(TINY), 0.1
    elif kind == "functional":
        prior = FUNCTIONALS.get(name, lambda: L1(0.01))()
    elif kind == "energy":
        prior, settings["denoiser_level"] = tiny_energy(), 0.1
    return Rig(A, data(A), prior, settings)


@dataclass(frozen=True)
class Runner:
    """A registered solver, alone or inside a registered acceleration."""

    solver: str
    acceleration: str = "none"

    def __str__(self) -> str:
        return self.solver if self.acceleration == "none" else f"{self.solver}+{self.acceleration}"

    def rig(self, A: LinearOperator | None = None) -> Rig:
        return rig(self.solver, A, self.acceleration)


# Every acceleration goes around a map with a denoiser, which averages and need not contract.
WRAPPED = "pnp-hqs"
ALONE = [Runner(name) for name in SOLVERS]
RUNNERS = [*ALONE, *(Runner(WRAPPED, name) for name in ACCELERATIONS)]
# Whoever has no theorem claims nothing, whatever is true.
PROVEN = [item for item in RUNNERS if SOLVERS[item.solver].proven]
WITH_DENOISER = [item for item in RUNNERS if item.solver in solvers_for("denoiser")]
WITHOUT = [item for item in RUNNERS if item.solver not in solvers_for("denoiser")]

__all__ = [
    "ALONE",
    "PROVEN",
    "RUNNERS",
    "SIZE",
    "WITHOUT",
    "WITH_DENOISER",
    "Ending",
    "Rig",
    "Route",
    "Runner",
    "data",
    "ending",
    "false_claim",
    "falsely_certified",
    "rig",
]
