"""Solvers: one loop (`iterate`), one registry (`SOLVERS`)."""

from pnp_recon.solvers.base import Solver, Step, iterate
from pnp_recon.solvers.certificate import Certificate, Constant, Observation
from pnp_recon.solvers.pnp import Plugged, PnPDRS, PnPHQS, PnPPGD
from pnp_recon.solvers.solution import History, Look, Solution
from pnp_recon.solvers.stopping import Status, Stopping

SOLVERS = {solver.name: solver for solver in (PnPPGD, PnPHQS, PnPDRS)}

__all__ = [
    "SOLVERS",
    "Certificate",
    "Constant",
    "History",
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
