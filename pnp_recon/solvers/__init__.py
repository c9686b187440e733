"""Solvers: one loop (`iterate`), one registry (`SOLVERS`)."""

from pnp_recon.solvers.acceleration import Halpern, KrasnoselskiiMann, Wrapped
from pnp_recon.solvers.anderson import Anderson
from pnp_recon.solvers.base import Solver, Step, iterate
from pnp_recon.solvers.certificate import Certificate, Constant, Observation
from pnp_recon.solvers.fixed_point import FixedPoint
from pnp_recon.solvers.laws import Laws
from pnp_recon.solvers.pnp import Plugged, PnPDRS, PnPHQS, PnPPGD
from pnp_recon.solvers.solution import History, Look, Solution
from pnp_recon.solvers.stopping import Status, Stopping

PLUG_AND_PLAY = {solver.name: solver for solver in (PnPPGD, PnPHQS, PnPDRS)}
SOLVERS = PLUG_AND_PLAY

# Wrapped around a solver: ACCELERATIONS["anderson"](solver).
ACCELERATIONS: dict[str, type[Wrapped]] = {
    solver.label: solver for solver in (KrasnoselskiiMann, Halpern, Anderson)
}

__all__ = [
    "ACCELERATIONS",
    "PLUG_AND_PLAY",
    "SOLVERS",
    "Anderson",
    "Certificate",
    "Constant",
    "FixedPoint",
    "Halpern",
    "History",
    "KrasnoselskiiMann",
    "Laws",
    "Look",
    "Observation",
    "Plugged",
    "PnPDRS",
    "PnPHQS",
    "PnPPGD",
    "Solution",
    "Solver",
    "Status",
    "Step",
    "Stopping",
    "Wrapped",
    "iterate",
]
