"""Solvers: one loop (`iterate`), one registry (`SOLVERS`)."""

from pnp_recon.solvers.acceleration.anderson import Anderson
from pnp_recon.solvers.acceleration.momentum import Nesterov, PnPFISTA
from pnp_recon.solvers.acceleration.wrapped import Halpern, KrasnoselskiiMann, Wrapped
from pnp_recon.solvers.classical import CGLS, SIRT, Landweber
from pnp_recon.solvers.convex.choice import VARIATIONAL, variational_solver
from pnp_recon.solvers.convex.fista import FISTA
from pnp_recon.solvers.convex.gradient import ISTA, GradientDescent, ProximalGradient
from pnp_recon.solvers.convex.pdhg import PDHG
from pnp_recon.solvers.convex.splitting import ADMM, HQS, DouglasRachford
from pnp_recon.solvers.convex.total_variation import total_variation_solver
from pnp_recon.solvers.core.certificate import Certificate, Constant, Observation
from pnp_recon.solvers.core.fixed_point import FixedPoint
from pnp_recon.solvers.core.laws import Laws
from pnp_recon.solvers.core.loop import Solver, Step, iterate
from pnp_recon.solvers.core.solution import History, Look, Solution
from pnp_recon.solvers.core.stopping import Status, Stopping
from pnp_recon.solvers.pnp.iterations import Plugged, PnPDRS, PnPHQS, PnPPGD
from pnp_recon.solvers.pnp.red import RED
from pnp_recon.solvers.unrolled import refuse_settings, run_learned

PLUG_AND_PLAY = {solver.name: solver for solver in (PnPPGD, PnPHQS, PnPDRS)}
# With a denoiser as well, but other arguments.
DENOISING: dict[str, type[Solver]] = {solver.name: solver for solver in (RED, PnPFISTA)}
# Without a prior.
ALGEBRAIC: dict[str, type[Solver]] = {solver.name: solver for solver in (Landweber, SIRT, CGLS)}
SOLVERS: dict[str, type[Solver]] = {**PLUG_AND_PLAY, **DENOISING, **VARIATIONAL, **ALGEBRAIC}

# Wrapped around a solver: ACCELERATIONS["anderson"](solver).
ACCELERATIONS: dict[str, type[Wrapped]] = {
    solver.label: solver for solver in (KrasnoselskiiMann, Halpern, Anderson, Nesterov)
}

__all__ = [
    "ACCELERATIONS",
    "ADMM",
    "ALGEBRAIC",
    "CGLS",
    "DENOISING",
    "FISTA",
    "HQS",
    "ISTA",
    "PDHG",
    "PLUG_AND_PLAY",
    "RED",
    "SIRT",
    "SOLVERS",
    "VARIATIONAL",
    "Anderson",
    "Certificate",
    "Constant",
    "DouglasRachford",
    "FixedPoint",
    "GradientDescent",
    "Halpern",
    "History",
    "KrasnoselskiiMann",
    "Landweber",
    "Laws",
    "Look",
    "Nesterov",
    "Observation",
    "Plugged",
    "PnPDRS",
    "PnPFISTA",
    "PnPHQS",
    "PnPPGD",
    "ProximalGradient",
    "Solution",
    "Solver",
    "Status",
    "Step",
    "Stopping",
    "Wrapped",
    "iterate",
    "refuse_settings",
    "run_learned",
    "total_variation_solver",
    "variational_solver",
]
