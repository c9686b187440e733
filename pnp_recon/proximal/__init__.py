"""Convex functionals with their proximal maps, each with its guarantee and its error bound."""

from pnp_recon.proximal.base import Composite, Regulariser
from pnp_recon.proximal.simple import L1, Box, ElasticNet, L2Ball, Ridge

REGULARISERS: dict[str, type[Regulariser]] = {
    kind.name: kind for kind in (L1, Ridge, ElasticNet, Box, L2Ball)
}

__all__ = [
    "L1",
    "REGULARISERS",
    "Box",
    "Composite",
    "ElasticNet",
    "L2Ball",
    "Regulariser",
    "Ridge",
]
