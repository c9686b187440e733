"""The solvers and accelerations that there are. Loads nothing.

Choices of options, listings, refusals and imports derive from these entries; no code elsewhere
compares a solver's name. A run's certificate has the numbers that an entry's theorem leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnp_recon.contracts import PriorKind
from pnp_recon.registry import Entry, Registry

# What is set of a denoiser, whatever the iteration.
DENOISER_KNOBS = ("relaxation", "denoiser_level", "denoiser_scaling")
KEEPS = "keep_total"
WORDS = ("auto",)


@dataclass(frozen=True)
class SolverEntry(Entry):
    """A solver.

    Attributes:
        takes: the settings of `reconstruct` that it knows, besides those of every run.
        prior_kinds: the kinds of priors that it takes; "none": it knows none.
        theorem: what is proven about it, in one line; "none: " and why where nothing is.
        steps: its steps come from norms, though none can be set.
        tried_with: the solver that strengths are tried with in its place, or itself.
        least_error: `Stopping.least_error` is a rule of it.
    """

    takes: tuple[str, ...]
    prior_kinds: tuple[PriorKind, ...]
    theorem: str
    steps: bool = False
    tried_with: str = ""
    least_error: bool = False

    @property
    def needs_norm(self) -> bool:
        """Are its steps inside a range that a bound of the operator's norm sets?"""
        return "step" in self.takes or self.steps

    @property
    def proven(self) -> bool:
        """Is there a theorem at all?"""
        return not self.theorem.startswith("none: ")


@dataclass(frozen=True)
class AccelerationEntry(Entry):
    """An iteration around a solver; `theorem` as in `SolverEntry`."""

    theorem: str


SOLVERS: Registry[SolverEntry] = Registry(
    "solver",
    [
        SolverEntry(
            "pnp-pgd",
            "pnp_recon.solvers.pnp.iterations:PnPPGD",
            ("step", *DENOISER_KNOBS, KEEPS),
            ("denoiser",),
            "averaged for 0 < τ < 2/L and an averaged denoiser; the iterates converge "
            "(Krasnosel'skii–Mann; Combettes & Yamada 2015)",
        ),
        SolverEntry(
            "pnp-hqs",
            "pnp_recon.solvers.pnp.iterations:PnPHQS",
            ("gamma", "coupling", *DENOISER_KNOBS, KEEPS),
            ("denoiser",),
            "averaged for any γ > 0 and an averaged denoiser; the iterates converge "
            "(Krasnosel'skii–Mann; Combettes & Yamada 2015)",
        ),
        SolverEntry(
            "pnp-drs",
            "pnp_recon.solvers.pnp.iterations:PnPDRS",
            ("gamma", "coupling", *DENOISER_KNOBS),
            ("denoiser",),
            "averaged for any γ > 0, 0 < λ < 1 and a 1-Lipschitz denoiser; the iterates "
            "converge (Lions & Mercier 1979; Krasnosel'skii–Mann)",
        ),
        SolverEntry(
            "red",
            "pnp_recon.solvers.pnp.red:RED",
            ("step", *DENOISER_KNOBS, KEEPS),
            ("denoiser",),
            "averaged for 0 < τ < 2/(L + 2αw) and an α-averaged denoiser; the iterates converge "
            "(Reehorst & Schniter 2019; Krasnosel'skii–Mann)",
        ),
        SolverEntry(
            "pnp-fista",
            "pnp_recon.solvers.acceleration.momentum:PnPFISTA",
            ("step", *DENOISER_KNOBS, KEEPS),
            ("denoiser",),
            "momentum within a safeguard: pnp-pgd with errors of a finite sum, which "
            "converges like it (Combettes 2001); without the safeguard no guarantee",
        ),
        SolverEntry(
            "descent",
            "pnp_recon.solvers.descent.solver:Descent",
            ("denoiser_level", "continuation", KEEPS),
            ("energy",),
            "E falls enough at every step, checked in float64; the iterates converge to a critical "
            "point of the energy (Attouch, Bolte & Svaiter 2013)",
        ),
        SolverEntry(
            "joint-descent",
            "pnp_recon.solvers.joint.solver:JointDescent",
            ("denoiser_level",),
            ("energy",),
            "descent on the picture and its blur kernel together, checked in float64; the pairs "
            "converge to a critical point of their joint energy (Attouch, Bolte & Svaiter 2013; "
            "Bolte, Sabach & Teboulle 2014)",
            tried_with="descent",
        ),
        SolverEntry(
            "dpir",
            "pnp_recon.solvers.pnp.schedule:DPIR",
            ("denoiser_level",),
            ("denoiser",),
            "none: a schedule of 8 changing maps, as published for comparison (Zhang et al. 2021); "
            "no convergence theorem",
        ),
        SolverEntry(
            "gradient-descent",
            "pnp_recon.solvers.convex.gradient:GradientDescent",
            ("step",),
            ("functional",),
            "averaged for 0 < τ < 2/(L + m); the iterates converge to a minimiser "
            "(Krasnosel'skii–Mann), linearly where the objective is known to be strongly convex",
        ),
        SolverEntry(
            "proximal-gradient",
            "pnp_recon.solvers.convex.gradient:ProximalGradient",
            ("step",),
            ("functional",),
            "averaged for 0 < τ < 2/L; the iterates converge to a minimiser "
            "(Bauschke & Combettes 2017, Cor. 28.9)",
        ),
        SolverEntry(
            "ista",
            "pnp_recon.solvers.convex.gradient:ISTA",
            ("step",),
            ("functional",),
            "proximal-gradient with a regulariser that makes sparse; the same theorem",
        ),
        SolverEntry(
            "fista",
            "pnp_recon.solvers.convex.fista:FISTA",
            ("step",),
            ("functional",),
            "0 < τ < 1/L; objective above its minimum by O(1/k²), iterates converge "
            "(Beck & Teboulle 2009; Chambolle & Dossal 2015)",
        ),
        SolverEntry(
            "hqs",
            "pnp_recon.solvers.convex.splitting:HQS",
            ("gamma", "relaxation"),
            ("functional",),
            "averaged for any γ > 0; converges to a minimiser of the Moreau envelope of f plus g",
        ),
        SolverEntry(
            "drs",
            "pnp_recon.solvers.convex.splitting:DouglasRachford",
            ("gamma", "relaxation"),
            ("functional",),
            "averaged for any γ > 0, 0 < ρ < 2; converges to a minimiser (Lions & Mercier 1979; "
            "Eckstein & Bertsekas 1992)",
        ),
        SolverEntry(
            "admm",
            "pnp_recon.solvers.convex.admm:ADMM",
            ("gamma", "relaxation"),
            ("functional",),
            "drs on the dual, inexact steps with summable errors (Eckstein & Bertsekas "
            "1992, Thm 8)",
        ),
        SolverEntry(
            "pdhg",
            "pnp_recon.solvers.convex.pdhg:PDHG",
            ("relaxation",),
            ("functional",),
            "τ Σ σᵢ‖Kᵢ‖² < 1 from proven bounds; converges to a saddle point (Chambolle & Pock "
            "2011; He & Yuan 2012)",
            steps=True,
        ),
        SolverEntry(
            "landweber",
            "pnp_recon.solvers.classical:Landweber",
            ("step",),
            ("none",),
            "averaged for 0 < τ < 2/‖A‖²; converges to a least-squares solution",
            least_error=True,
        ),
        SolverEntry(
            "sirt",
            "pnp_recon.solvers.classical:SIRT",
            ("relaxation",),
            ("none",),
            "averaged in the norm of its weights, entries of A ≥ 0; converges to a weighted "
            "least-squares solution (Gregor & Benson 2008)",
        ),
        SolverEntry(
            "cgls",
            "pnp_recon.solvers.cgls:CGLS",
            (),
            ("none",),
            "‖x_k − x*‖ and ‖A x_k − y‖ never increase (Hestenes & Stiefel 1952)",
        ),
    ],
)

_SAFEGUARD = (
    "any averaged map plus errors of a finite sum: converges like the plain iteration "
    "(Combettes 2001; Bauschke & Combettes 2017, Prop. 5.34)"
)

# Around a solver: `ACCELERATIONS["anderson"].load()(solver)`.
ACCELERATIONS: Registry[AccelerationEntry] = Registry(
    "acceleration",
    [
        AccelerationEntry(
            "km",
            "pnp_recon.solvers.acceleration.wrapped:KrasnoselskiiMann",
            "averaged for 0 < λ < 1/α; converges, with the tight rate (Lieder 2018)",
        ),
        AccelerationEntry(
            "halpern",
            "pnp_recon.solvers.acceleration.wrapped:Halpern",
            "any 1-Lipschitz map; converges to the fixed point nearest to the start, residual "
            "O(1/k), tight (Lieder 2021)",
        ),
        AccelerationEntry(
            "anderson", "pnp_recon.solvers.acceleration.anderson:Anderson", _SAFEGUARD
        ),
        AccelerationEntry(
            "nesterov", "pnp_recon.solvers.acceleration.momentum:Nesterov", _SAFEGUARD
        ),
    ],
)


# What "auto" means where nothing about the problem decides.
DEFAULT_SOLVERS: dict[PriorKind, str] = {"denoiser": "pnp-hqs", "energy": "descent"}
AUTOMATIC_ACCELERATION = "anderson"
# What takes a likelihood whose gradient has no bound, by its proximal map.
LIKELIHOOD_SOLVER = "pdhg"


def solvers_for(kind: PriorKind) -> tuple[str, ...]:
    """Names of the solvers that take priors of a kind."""
    return tuple(name for name, entry in SOLVERS.items() if kind in entry.prior_kinds)


def solvers_with(setting: str) -> tuple[str, ...]:
    """Names of the solvers that know a setting."""
    return tuple(name for name, entry in SOLVERS.items() if setting in entry.takes)
