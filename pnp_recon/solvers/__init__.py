"""Solvers: one loop (`iterate`), one registry (`catalogue`).

Names are resolved when they are first used (PEP 562), so that the catalogue can be read before
torch is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pnp_recon.solvers.catalogue import ACCELERATIONS, SOLVERS

if TYPE_CHECKING:
    from pnp_recon.solvers.acceleration.anderson import Anderson
    from pnp_recon.solvers.acceleration.momentum import Nesterov, PnPFISTA
    from pnp_recon.solvers.acceleration.wrapped import Halpern, KrasnoselskiiMann, Wrapped
    from pnp_recon.solvers.cgls import CGLS
    from pnp_recon.solvers.choice import variational_solver
    from pnp_recon.solvers.classical import SIRT, Landweber
    from pnp_recon.solvers.convex.admm import ADMM
    from pnp_recon.solvers.convex.fista import FISTA
    from pnp_recon.solvers.convex.gradient import ISTA, GradientDescent, ProximalGradient
    from pnp_recon.solvers.convex.pdhg import PDHG
    from pnp_recon.solvers.convex.splitting import HQS, DouglasRachford
    from pnp_recon.solvers.convex.total_variation import total_variation_solver
    from pnp_recon.solvers.core.certificate import Certificate, Observation
    from pnp_recon.solvers.core.fixed_point import FixedPoint
    from pnp_recon.solvers.core.laws import Laws
    from pnp_recon.solvers.core.loop import iterate
    from pnp_recon.solvers.core.solution import History, Look, Solution
    from pnp_recon.solvers.core.solver import Solver, State, Step
    from pnp_recon.solvers.core.stopping import Status, Stopping
    from pnp_recon.solvers.core.theorem import (
        Accelerated,
        AnchoredMap,
        AveragedMap,
        Basis,
        Constant,
        Contraction,
        Krylov,
        PerturbedMap,
        Premise,
        RelaxedMap,
        SaddlePoint,
        Theorem,
        Unproven,
    )
    from pnp_recon.solvers.knobs import Knobs
    from pnp_recon.solvers.pnp.iterations import PnPDRS, PnPHQS, PnPPGD
    from pnp_recon.solvers.pnp.plugged import Plugged
    from pnp_recon.solvers.pnp.red import RED
    from pnp_recon.solvers.unrolled import refuse_settings, run_learned

_NAMES = {
    "acceleration.anderson": ("Anderson",),
    "acceleration.momentum": ("Nesterov", "PnPFISTA"),
    "acceleration.wrapped": ("Halpern", "KrasnoselskiiMann", "Wrapped"),
    "cgls": ("CGLS",),
    "classical": ("SIRT", "Landweber"),
    "choice": ("variational_solver",),
    "convex.admm": ("ADMM",),
    "convex.fista": ("FISTA",),
    "convex.gradient": ("ISTA", "GradientDescent", "ProximalGradient"),
    "convex.pdhg": ("PDHG",),
    "convex.splitting": ("HQS", "DouglasRachford"),
    "convex.total_variation": ("total_variation_solver",),
    "core.certificate": ("Certificate", "Observation"),
    "core.fixed_point": ("FixedPoint",),
    "core.laws": ("Laws",),
    "core.loop": ("iterate",),
    "core.solver": ("Solver", "State", "Step"),
    "core.solution": ("History", "Look", "Solution"),
    "core.stopping": ("Status", "Stopping"),
    "core.theorem": (
        "Accelerated",
        "AnchoredMap",
        "AveragedMap",
        "Basis",
        "Constant",
        "Contraction",
        "Krylov",
        "PerturbedMap",
        "Premise",
        "RelaxedMap",
        "SaddlePoint",
        "Theorem",
        "Unproven",
    ),
    "knobs": ("Knobs",),
    "pnp.iterations": ("PnPDRS", "PnPHQS", "PnPPGD"),
    "pnp.plugged": ("Plugged",),
    "pnp.red": ("RED",),
    "unrolled": ("refuse_settings", "run_learned"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "ACCELERATIONS",
    "ADMM",
    "CGLS",
    "FISTA",
    "HQS",
    "ISTA",
    "PDHG",
    "RED",
    "SIRT",
    "SOLVERS",
    "Accelerated",
    "AnchoredMap",
    "Anderson",
    "AveragedMap",
    "Basis",
    "Certificate",
    "Constant",
    "Contraction",
    "DouglasRachford",
    "FixedPoint",
    "GradientDescent",
    "Halpern",
    "History",
    "Knobs",
    "KrasnoselskiiMann",
    "Krylov",
    "Landweber",
    "Laws",
    "Look",
    "Nesterov",
    "Observation",
    "PerturbedMap",
    "Plugged",
    "PnPDRS",
    "PnPFISTA",
    "PnPHQS",
    "PnPPGD",
    "Premise",
    "ProximalGradient",
    "RelaxedMap",
    "SaddlePoint",
    "Solution",
    "Solver",
    "State",
    "Status",
    "Step",
    "Stopping",
    "Theorem",
    "Unproven",
    "Wrapped",
    "iterate",
    "refuse_settings",
    "run_learned",
    "total_variation_solver",
    "variational_solver",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
