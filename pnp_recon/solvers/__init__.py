"""Solvers: one loop (`iterate`), one registry (`SOLVERS`)."""

from pnp_recon.solvers.base import Solver, Step, iterate
from pnp_recon.solvers.certificate import Certificate, Constant, Observation
from pnp_recon.solvers.laws import Laws
from pnp_recon.solvers.pdhg import PDHG
from pnp_recon.solvers.pnp import Plugged, PnPDRS, PnPHQS, PnPPGD
from pnp_recon.solvers.solution import History, Look, Solution
from pnp_recon.solvers.stopping import Status, Stopping
from pnp_recon.solvers.total_variation import total_variation_solver

PLUG_AND_PLAY = {solver.name: solver for solver in (PnPPGD, PnPHQS, PnPDRS)}
VARIATIONAL = {solver.name: solver for solver in (PDHG,)}
SOLVERS = {**PLUG_AND_PLAY, **VARIATIONAL}

__all__ = [
    "PDHG",
    "PLUG_AND_PLAY",
    "SOLVERS",
    "VARIATIONAL",
    "Certificate",
    "Constant",
    "History",
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
    "iterate",
    "total_variation_solver",
]
