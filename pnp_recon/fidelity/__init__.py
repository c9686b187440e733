"""Data fidelities f(x) = φ(A x): value, gradient, proximal maps, smoothness."""

from pnp_recon.fidelity.base import Fidelity
from pnp_recon.fidelity.cells import CellDistance
from pnp_recon.fidelity.kullback_leibler import KullbackLeibler
from pnp_recon.fidelity.quadratic import LeastSquares, WeightedLeastSquares
from pnp_recon.fidelity.ridged import Ridged
from pnp_recon.fidelity.robust import Huber

FIDELITIES: dict[str, type[Fidelity]] = {
    kind.name: kind
    for kind in (LeastSquares, WeightedLeastSquares, Huber, KullbackLeibler, CellDistance)
}

__all__ = [
    "FIDELITIES",
    "CellDistance",
    "Fidelity",
    "Huber",
    "KullbackLeibler",
    "LeastSquares",
    "Ridged",
    "WeightedLeastSquares",
]
