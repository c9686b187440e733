"""Solvers: one loop (`iterate`), one registry (`SOLVERS`)."""

from pnp_recon.solvers.base import Solver, Step, iterate
from pnp_recon.solvers.certificate import Certificate, Constant, Observation
from pnp_recon.solvers.laws import Laws
from pnp_recon.solvers.pnp import Plugged, PnPDRS, PnPHQS, PnPPGD
from pnp_recon.solvers.solution import History, Look, Solution
from pnp_recon.solvers.stopping import Status, Stopping

PLUG_AND_PLAY = {solver.name: solver for solver in (PnPPGD, PnPHQS, PnPDRS)}
SOLVERS = PLUG_AND_PLAY

__all__ = [
    "PLUG_AND_PLAY",
    "SOLVERS",
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
]
